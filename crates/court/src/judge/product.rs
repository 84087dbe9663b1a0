//! A word of a product: one row of a matrix times the activations, by runs.

use arith::{ActivationKind, Activations, Matrix, WeightType, portable};

use super::rules::{Rule, floats};
use super::source::{Leaf, Source, WeightRun, leaf_of, run_of};
use super::{Disputed, Step, Target};
use crate::trace::{Form, Part, TILE_WORDS};

/// The matrix of a part and what it multiplies.
struct Map {
    tensor: String,
    rows: u32,
    columns: u32,
    input: Part,
    form: fn(Form) -> Part,
}

/// Steps: the sum after each run of columns; the last one is the word.
pub(super) fn evaluate<S: Source>(rule: &mut Rule<'_, S>, step: u32) -> Result<Step, S::Error> {
    let map = map(rule);
    let row = rule.disputed.index;
    let run = rule.source.weights(&map.tensor, (map.rows, map.columns), row, Leaf::Run(step))?;
    let width = run_of(run.kind);
    let runs = map.columns.div_ceil(width);
    if rule.source.working_length() != runs - 1 {
        return Ok(Step::Malformed);
    }
    if step >= runs {
        return Ok(Step::NoSuchStep);
    }
    let (from, count) = (step * width, width.min(map.columns - step * width));
    let Some(weights) = columns(&run, from % leaf_of(run.kind), count) else { return Ok(Step::Malformed) };
    let x = activations(rule, &map, run.kind, from, count)?;
    let before = match step.checked_sub(1) {
        None => 0.0,
        Some(before) => f32::from_bits(rule.worked(before)?),
    };
    // The weights lie under the model's root, which no model with a weight that is not finite has.
    let Ok(sum) = portable::product_run(run.kind, weights, &x, before) else { return Ok(Step::NotFinite) };
    Ok(floats(if step + 1 == runs { Target::Word } else { Target::Working(step) }, &[sum]))
}

/// Runs of a row.
pub(super) fn runs<S: Source>(rule: &mut Rule<'_, S>) -> Result<u32, S::Error> {
    let map = map(rule);
    let row = rule.disputed.index;
    let run = rule.source.weights(&map.tensor, (map.rows, map.columns), row, Leaf::Run(0))?;
    Ok(map.columns.div_ceil(run_of(run.kind)))
}

fn map<S: Source>(rule: &Rule<'_, S>) -> Map {
    let statement = rule.source.statement();
    let shape = &statement.shape;
    let (queries, keys) = (shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim);
    let Disputed { layer, part, .. } = rule.disputed;
    let attention = (Part::AttentionNorm, Part::AttentionForm as fn(Form) -> Part);
    let feed = (Part::FeedNorm, Part::FeedForm as fn(Form) -> Part);
    let (name, rows, columns, (input, form)) = match part {
        Part::Query => ("attn_q", queries, shape.width, attention),
        Part::Key => ("attn_k", keys, shape.width, attention),
        Part::Value => ("attn_v", keys, shape.width, attention),
        Part::AttentionOutput => {
            ("attn_output", shape.width, queries, (Part::Mixed, Part::MixedForm as fn(Form) -> Part))
        }
        Part::Gate => ("ffn_gate", shape.feed_forward, shape.width, feed),
        Part::Up => ("ffn_up", shape.feed_forward, shape.width, feed),
        Part::Down => ("ffn_down", shape.width, shape.feed_forward, (Part::Gated, Part::GatedForm as fn(Form) -> Part)),
        _ => {
            let tensor = if statement.is_tied { "token_embd.weight" } else { "output.weight" }.to_owned();
            let (rows, columns) = (shape.vocabulary, shape.width);
            return Map { tensor, rows, columns, input: Part::FinalNorm, form: Part::FinalForm };
        }
    };
    Map { tensor: format!("blk.{layer}.{name}.weight"), rows, columns, input, form }
}

/// The bytes of `count` columns of a leaf from column `from` on.
fn columns(run: &WeightRun, from: u32, count: u32) -> Option<&[u8]> {
    let bytes = |columns: u32| columns as usize / run.kind.block_len() * run.kind.block_bytes();
    run.bytes.get(bytes(from)..bytes(from + count))
}

/// The activations that meet the columns `from .. from + count`.
fn activations<S: Source>(
    rule: &mut Rule<'_, S>,
    map: &Map,
    kind: WeightType,
    from: u32,
    count: u32,
) -> Result<Activations, S::Error> {
    let (quants, scales) = match kind.activation() {
        ActivationKind::F32 => {
            let words = rule.read(rule.place(map.input), from, count, run_of(kind).trailing_zeros())?;
            return Ok(Activations::from_values(&words.into_iter().map(f32::from_bits).collect::<Vec<_>>()));
        }
        ActivationKind::Block32 => (Form::Quants32, Form::Scales32),
        ActivationKind::Block256 => (Form::Quants256, Form::Scales256),
    };
    let height = (run_of(kind) / 4).trailing_zeros();
    let words = rule.read(rule.place((map.form)(quants)), from / 4, count / 4, height)?;
    let bytes: Vec<i8> = words.iter().flat_map(|word| word.to_le_bytes()).map(u8::cast_signed).collect();
    let first = from / quants.block();
    let tile = rule.read(rule.place((map.form)(scales)), first & !15, TILE_WORDS as u32, 4)?;
    let scales = &tile[(first % 16) as usize..][..(count / quants.block()) as usize];
    let scales: Vec<f32> = scales.iter().map(|&word| f32::from_bits(word)).collect();
    Ok(Activations::from_quants(kind.activation(), &bytes, &scales))
}

/// The weight at column `column` of a row, as a number; `run` is the leaf that holds it.
pub(super) fn element(run: &WeightRun, column: u32) -> f32 {
    let index = column % leaf_of(run.kind);
    let block = run.kind.block_len() as u32;
    let Some(bytes) = columns(run, index / block * block, block) else { return f32::NAN };
    let mut row = vec![0.0; block as usize];
    match Matrix::pack(run.kind, 1, row.len(), bytes) {
        Ok(matrix) => {
            matrix.row_f32(0, &mut row);
            row[(index % block) as usize]
        }
        Err(_) => f32::NAN,
    }
}
