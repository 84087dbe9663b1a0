//! The rule of every word: from which words to its left, and from which weights, it follows.

use arith::{ActivationKind, Isa, KvFormat, Machine, Pool, RopeStyle, portable};
use claim::domain;
use claim::encoding::HashEncoder;
use claim::{Digest, OutputChain, OutputRoot, Position, StateChain, StateHash, StateRoot, TokenId};
use model::Gate;

use super::source::{Leaf, Source};
use super::{Disputed, Step, Target, attention, product};
use crate::trace::{Form, Part, Place, TILE_WORDS, tree};

/// Tokens that one step of a scan over the vocabulary looks at.
const RUN: u32 = 64;

/// Numbers that one step of a norm squares and adds up.
const NORM_RUN: u32 = 32;

/// Values under one digest of a state.
const STATE_PIECE: u32 = claim::STATE_PIECE_LEN as u32;

/// The rules of one disputed word, over the source of their inputs.
pub(super) struct Rule<'a, S> {
    pub(super) source: &'a mut S,
    pub(super) disputed: Disputed,
}

/// Computes step `step` of the working of a word. The steps of a word are numbered from 0; the last one gives the word.
///
/// # Errors
///
/// Those of the source.
pub(super) fn evaluate<S: Source>(source: &mut S, disputed: Disputed, step: u32) -> Result<Step, S::Error> {
    let mut rule = Rule { source, disputed };
    let is_drawn = disputed.position >= rule.source.statement().first_drawn();
    match disputed.part {
        Part::Logits | Part::Best | Part::Weights | Part::Drawn if !is_drawn => Ok(rule.direct(step, &[0])),
        Part::AttentionNorm
        | Part::AttentionPostNorm
        | Part::QueryNorm
        | Part::KeyNorm
        | Part::FeedNorm
        | Part::FeedPostNorm
        | Part::FinalNorm => rule.norm(step),
        Part::Query
        | Part::Key
        | Part::Value
        | Part::AttentionOutput
        | Part::Gate
        | Part::Up
        | Part::Down
        | Part::Logits => product::evaluate(&mut rule, step),
        Part::Mixed => attention::evaluate(&mut rule, step),
        Part::Best => rule.best(step),
        Part::Drawn => rule.drawn(step),
        _ => rule.simple(step),
    }
}

/// Words that the working of a word has.
///
/// # Errors
///
/// Those of the source: the weights of a product tell how wide its runs are.
pub(super) fn working_length<S: Source>(source: &mut S, disputed: Disputed) -> Result<u32, S::Error> {
    let mut rule = Rule { source, disputed };
    let shape = rule.source.statement().shape;
    let is_drawn = disputed.position >= rule.source.statement().first_drawn();
    Ok(match disputed.part {
        Part::Logits | Part::Best | Part::Drawn if !is_drawn => 0,
        Part::QueryNorm | Part::KeyNorm => 16 * shape.head_dim.div_ceil(NORM_RUN) + 2,
        Part::AttentionNorm | Part::AttentionPostNorm | Part::FeedNorm | Part::FeedPostNorm | Part::FinalNorm => {
            16 * shape.width.div_ceil(NORM_RUN) + 2
        }
        Part::Query
        | Part::Key
        | Part::Value
        | Part::AttentionOutput
        | Part::Gate
        | Part::Up
        | Part::Down
        | Part::Logits => product::runs(&mut rule)? - 1,
        Part::Mixed => attention::length(&rule),
        Part::State => 8 * shape.width.div_ceil(STATE_PIECE),
        Part::Best => 2 * shape.vocabulary.div_ceil(RUN),
        Part::Drawn if rule.source.statement().temperature > 0.0 => 4 * shape.vocabulary.div_ceil(RUN),
        _ => 0,
    })
}

impl<S: Source> Rule<'_, S> {
    /// A word that follows in one step, with an empty working.
    fn direct(&self, step: u32, words: &[u32]) -> Step {
        match (self.source.working_length(), step) {
            (0, 0) => finite(Target::Word, words.to_vec(), false),
            (0, _) => Step::NoSuchStep,
            _ => Step::Malformed,
        }
    }

    fn direct_float(&self, step: u32, x: f32) -> Step {
        match self.direct(step, &[x.to_bits()]) {
            Step::Words { .. } if !x.is_finite() => Step::NotFinite,
            other => other,
        }
    }

    pub(super) fn place(&self, part: Part) -> Place {
        self.place_in(self.disputed.layer, part)
    }

    /// The place of a part that the shape has; the rules ask for no other.
    pub(super) fn place_in(&self, layer: u32, part: Part) -> Place {
        let layout = self.source.statement().layout();
        layout.find(layer, part).unwrap_or(Place { layer, part, start: 0, length: 0 })
    }

    /// The words `from .. from + count` of a vector at this position, as a node of height `height`.
    pub(super) fn read(&mut self, place: Place, from: u32, count: u32, height: u32) -> Result<Vec<u32>, S::Error> {
        self.read_at(self.disputed.position, place, from, count, height)
    }

    pub(super) fn read_at(
        &mut self,
        position: u32,
        place: Place,
        from: u32,
        count: u32,
        height: u32,
    ) -> Result<Vec<u32>, S::Error> {
        let bits = self.source.statement().layout().bits();
        let start = (u64::from(position) << bits) + u64::from(place.start + from);
        self.source.trace(start, count as usize, height)
    }

    /// One word of a vector.
    pub(super) fn word(&mut self, place: Place, index: u32) -> Result<u32, S::Error> {
        self.word_at(self.disputed.position, place, index)
    }

    pub(super) fn word_at(&mut self, position: u32, place: Place, index: u32) -> Result<u32, S::Error> {
        let tile = self.read_at(position, place, index & !15, TILE_WORDS as u32, 4)?;
        Ok(tile[index as usize % TILE_WORDS])
    }

    fn float(&mut self, place: Place, index: u32) -> Result<f32, S::Error> {
        self.word(place, index).map(f32::from_bits)
    }

    /// One word of the working.
    pub(super) fn worked(&mut self, index: u32) -> Result<u32, S::Error> {
        Ok(self.source.working_tile(index / 16)?[index as usize % 16])
    }

    /// Element `index` of a tensor of one dimension.
    fn element(&mut self, tensor: &str, length: u32, index: u32) -> Result<f32, S::Error> {
        let leaf = self.source.weights(tensor, (0, length), 0, Leaf::Column(index))?;
        Ok(product::element(&leaf, index))
    }

    /// The vector before: the stream that enters this layer.
    fn stream(&self) -> Place {
        match self.disputed.layer.checked_sub(1) {
            Some(layer) => self.place_in(layer, Part::FeedStream),
            None => self.place_in(0, Part::Embedding),
        }
    }

    /// The first of these parts that the shape has.
    pub(super) fn first_of(&self, parts: &[Part]) -> Place {
        let place = parts.iter().map(|&part| self.place(part)).find(|place| place.length > 0);
        place.unwrap_or_else(|| self.place(parts[0]))
    }

    fn simple(&mut self, step: u32) -> Result<Step, S::Error> {
        let Disputed { part, index, .. } = self.disputed;
        let scored = self.source.statement().shape.scored(index);
        let x = match part {
            Part::Token => return self.token(step),
            Part::AttentionForm(form)
            | Part::MixedForm(form)
            | Part::FeedForm(form)
            | Part::GatedForm(form)
            | Part::FinalForm(form) => return self.quantised(step, form),
            Part::State => return self.state(step),
            Part::Weights => return self.weight(step),
            Part::Links => return self.link(step),
            Part::Embedding => self.embedding()?,
            Part::QueryBias => self.biased(Part::Query, "attn_q")?,
            Part::KeyBias => self.biased(Part::Key, "attn_k")?,
            Part::ValueBias => self.biased(Part::Value, "attn_v")?,
            Part::QueryTurned => self.turned(&[Part::QueryNorm, Part::QueryBias, Part::Query], scored)?,
            Part::KeyTurned => self.turned(&[Part::KeyNorm, Part::KeyBias, Part::Key], index)?,
            Part::KeyKept => self.kept(&[Part::KeyTurned], scored)?,
            Part::ValueKept => self.kept(&[Part::ValueBias, Part::Value], index)?,
            Part::AttentionStream => {
                let added = self.first_of(&[Part::AttentionPostNorm, Part::AttentionOutput]);
                self.float(self.stream(), index)? + self.float(added, index)?
            }
            Part::FeedStream => {
                let added = self.first_of(&[Part::FeedPostNorm, Part::Down]);
                self.float(self.place(Part::AttentionStream), index)? + self.float(added, index)?
            }
            Part::Gated => {
                let gate = self.float(self.place(Part::Gate), index)?;
                let up = self.float(self.place(Part::Up), index)?;
                match self.source.statement().shape.gate {
                    Gate::Silu => portable::silu(gate) * up,
                    Gate::Gelu => portable::gelu(gate) * up,
                }
            }
            _ => return Ok(Step::Malformed),
        };
        Ok(self.direct_float(step, x))
    }

    /// The token that enters: the prompt's, or the one drawn at the position before.
    fn token(&mut self, step: u32) -> Result<Step, S::Error> {
        let position = self.disputed.position;
        let token = if position < self.source.statement().prompt.get() {
            self.source.prompt_token(position)?
        } else {
            let layers = self.source.statement().shape.layers;
            self.word_at(position - 1, self.place_in(layers, Part::Drawn), 0)?
        };
        Ok(self.direct(step, &[token]))
    }

    fn embedding(&mut self) -> Result<f32, S::Error> {
        let shape = self.source.statement().shape;
        let token = self.word(self.place(Part::Token), 0)?;
        if token >= shape.vocabulary {
            return Ok(f32::NAN);
        }
        let index = self.disputed.index;
        let run =
            self.source.weights("token_embd.weight", (shape.vocabulary, shape.width), token, Leaf::Column(index))?;
        Ok(product::element(&run, index) * shape.embedding_scale)
    }

    fn biased(&mut self, part: Part, tensor: &str) -> Result<f32, S::Error> {
        let Disputed { index, layer, .. } = self.disputed;
        let place = self.place(part);
        let x = self.float(place, index)?;
        Ok(x + self.element(&format!("blk.{layer}.{tensor}.bias"), place.length, index)?)
    }

    fn turned(&mut self, parts: &[Part], index: u32) -> Result<f32, S::Error> {
        let shape = self.source.statement().shape;
        let place = self.first_of(parts);
        let (head, element) = (index / shape.head_dim, index % shape.head_dim);
        let pairs = shape.head_dim / 2;
        let (pair, is_second, first, second) = match shape.rotary_style {
            RopeStyle::Interleaved => (element / 2, element % 2 == 1, element & !1, element | 1),
            RopeStyle::Halves => (element % pairs, element >= pairs, element % pairs, element % pairs + pairs),
        };
        let a = self.float(place, head * shape.head_dim + first)?;
        let b = self.float(place, head * shape.head_dim + second)?;
        let table = self.source.rotary(shape.is_local(self.disputed.layer), self.disputed.position)?;
        let (c, s) = (table[pair as usize], table[(pairs + pair) as usize]);
        Ok(if is_second { b * c + a * s } else { a * c - b * s })
    }

    fn kept(&mut self, parts: &[Part], index: u32) -> Result<f32, S::Error> {
        let format: KvFormat = model::storage(self.source.statement().kv);
        let x = self.float(self.first_of(parts), index)?;
        Ok(format.stored(x))
    }

    /// Four quants, or a scale, of one block.
    fn quantised(&mut self, step: u32, form: Form) -> Result<Step, S::Error> {
        let part = match self.disputed.part {
            Part::AttentionForm(_) => Part::AttentionNorm,
            Part::MixedForm(_) => Part::Mixed,
            Part::FeedForm(_) => Part::FeedNorm,
            Part::GatedForm(_) => Part::Gated,
            _ => Part::FinalNorm,
        };
        let (index, size) = (self.disputed.index, form.block());
        let block = if form.is_scales() { index } else { index / (size / 4) };
        let words = self.read(self.place(part), block * size, size, size.trailing_zeros())?;
        let x: Vec<f32> = words.into_iter().map(f32::from_bits).collect();
        let kind = if size == 32 { ActivationKind::Block32 } else { ActivationKind::Block256 };
        let Ok(block) = reference().quantise(&x, x.len(), kind) else { return Ok(Step::NotFinite) };
        let word = if form.is_scales() {
            block.scales()[0].to_bits()
        } else {
            let first = (index % (size / 4) * 4) as usize;
            pack(&block.quants()[first..first + 4])
        };
        Ok(self.direct(step, &[word]))
    }

    /// The state's hash: the digest of every 256 values; the hash of these.
    fn state(&mut self, step: u32) -> Result<Step, S::Error> {
        let place = self.place(Part::FinalNorm);
        let pieces = place.length.div_ceil(STATE_PIECE);
        if self.source.working_length() != 8 * pieces {
            return Ok(Step::Malformed);
        }
        if step < pieces {
            let from = step * STATE_PIECE;
            let bytes = self.values(place, from, STATE_PIECE.min(place.length - from))?;
            let words = digest_words(Digest::sha256(&bytes)).to_vec();
            return Ok(finite(Target::Working(8 * step), words, false));
        }
        if step > pieces {
            return Ok(Step::NoSuchStep);
        }
        let count = 8 * pieces;
        let height = count.next_power_of_two().trailing_zeros().max(tree::TILE_HEIGHT);
        let digests = self.source.working(0, count as usize, height)?;
        let mut encoder = HashEncoder::new(domain::STATE);
        encoder.count(place.length as usize);
        for digest in digests.chunks(8) {
            encoder.digest(words_digest(digest));
        }
        let word = digest_words(encoder.finish())[self.disputed.index as usize];
        Ok(finite(Target::Word, vec![word], false))
    }

    /// The bytes of numbers of a vector, by the largest nodes that hold nothing else: other vectors follow where its last tile ends.
    fn values(&mut self, place: Place, from: u32, count: u32) -> Result<Vec<u8>, S::Error> {
        let mut bytes = Vec::with_capacity(4 * count as usize);
        let mut done = 0;
        while done < count {
            let rest = count - done;
            let size = if rest < TILE_WORDS as u32 { rest } else { 1 << rest.ilog2() };
            let height = size.next_power_of_two().trailing_zeros().max(tree::TILE_HEIGHT);
            let words = self.read(place, from + done, size, height)?;
            bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
            done += size;
        }
        Ok(bytes)
    }

    /// The chains of states and tokens after this position.
    fn link(&mut self, step: u32) -> Result<Step, S::Error> {
        let Disputed { position, index, .. } = self.disputed;
        let first_drawn = self.source.statement().first_drawn();
        let place = self.place(Part::Links);
        let before = match position.checked_sub(1) {
            Some(before) => self.read_at(before, place, 0, TILE_WORDS as u32, 4)?,
            None => [StateChain::start().get(), OutputChain::start().get()]
                .iter()
                .flat_map(|root| digest_words(*root))
                .collect(),
        };
        let root = if index < 8 {
            let tile = self.read(self.place(Part::State), 0, TILE_WORDS as u32, 4)?;
            let state = StateHash::new(words_digest(&tile[..8]));
            StateChain::next(StateRoot::new(words_digest(&before[..8])), state, position).get()
        } else if position < first_drawn {
            words_digest(&before[8..])
        } else {
            let token = TokenId::new(self.word(self.place(Part::Drawn), 0)?);
            OutputChain::next(OutputRoot::new(words_digest(&before[8..])), token, position - first_drawn).get()
        };
        Ok(self.direct(step, &[digest_words(root)[index as usize % 8]]))
    }

    /// RMS norm: the 16 lanes of the sum of squares after every 32 numbers; the sum and the factor; the number.
    fn norm(&mut self, step: u32) -> Result<Step, S::Error> {
        let shape = self.source.statement().shape;
        let Disputed { layer, index, part, .. } = self.disputed;
        let (place, tensor) = match part {
            Part::AttentionNorm => (self.stream(), format!("blk.{layer}.attn_norm.weight")),
            Part::AttentionPostNorm => {
                (self.place(Part::AttentionOutput), format!("blk.{layer}.post_attention_norm.weight"))
            }
            Part::QueryNorm => {
                (self.first_of(&[Part::QueryBias, Part::Query]), format!("blk.{layer}.attn_q_norm.weight"))
            }
            Part::KeyNorm => (self.first_of(&[Part::KeyBias, Part::Key]), format!("blk.{layer}.attn_k_norm.weight")),
            Part::FeedNorm => (self.place(Part::AttentionStream), format!("blk.{layer}.ffn_norm.weight")),
            Part::FeedPostNorm => (self.place(Part::Down), format!("blk.{layer}.post_ffw_norm.weight")),
            _ => (self.stream(), "output_norm.weight".to_owned()),
        };
        let is_head = matches!(part, Part::QueryNorm | Part::KeyNorm);
        let length = if is_head { shape.head_dim } else { shape.width };
        let first = index / length * length;
        let runs = length.div_ceil(NORM_RUN);
        if self.source.working_length() != 16 * runs + 2 {
            return Ok(Step::Malformed);
        }
        if step < runs {
            let count = NORM_RUN.min(length - step * NORM_RUN);
            let x = self.numbers_at(self.disputed.position, place, first + step * NORM_RUN, count)?;
            let mut lanes = self.lanes_before(step, 0)?;
            for (i, x) in x.iter().enumerate() {
                lanes[i % 16] += x * x;
            }
            return Ok(floats(Target::Working(16 * step), &lanes));
        }
        if step == runs {
            let sum = portable::fold(self.lanes_before(runs, 0)?);
            let factor = 1.0 / (sum / length as f32 + shape.norm_epsilon).sqrt();
            return Ok(floats(Target::Working(16 * runs), &[sum, factor]));
        }
        if step > runs + 1 {
            return Ok(Step::NoSuchStep);
        }
        let factor = f32::from_bits(self.worked(16 * runs + 1)?);
        let x = self.float(place, index)?;
        let gain = self.element(&tensor, length, index % length)?;
        Ok(floats(Target::Word, &[(x * factor) * gain]))
    }

    /// Numbers of a vector from `from` on: by the node that they are, or else by the tiles that they lie in. The heads of a vector,
    /// and with them their runs, may have any width.
    pub(super) fn numbers_at(
        &mut self,
        position: u32,
        place: Place,
        from: u32,
        count: u32,
    ) -> Result<Vec<f32>, S::Error> {
        if count.is_power_of_two() && count >= TILE_WORDS as u32 && from.is_multiple_of(count) {
            let words = self.read_at(position, place, from, count, count.trailing_zeros())?;
            return Ok(words.into_iter().map(f32::from_bits).collect());
        }
        let mut words = Vec::new();
        let (mut at, end) = (from, from + count);
        while at < end {
            let tile = self.read_at(position, place, at & !15, TILE_WORDS as u32, 4)?;
            let stop = (at & !15) + 16;
            words.extend(tile[(at % 16) as usize..].iter().take((stop.min(end) - at) as usize));
            at = stop;
        }
        Ok(words.into_iter().map(f32::from_bits).collect())
    }

    /// The lanes after `step` steps that fill tiles from tile `first` of the working on; zeros before the first.
    pub(super) fn lanes_before(&mut self, step: u32, first: u32) -> Result<[f32; 16], S::Error> {
        match step.checked_sub(1) {
            None => Ok([0.0; 16]),
            Some(before) => Ok(self.source.working_tile(first + before)?.map(f32::from_bits)),
        }
    }

    /// The largest logit and its index: the same of every prefix of 64 logits more.
    fn best(&mut self, step: u32) -> Result<Step, S::Error> {
        let vocabulary = self.source.statement().shape.vocabulary;
        let runs = vocabulary.div_ceil(RUN);
        if self.source.working_length() != 2 * runs {
            return Ok(Step::Malformed);
        }
        if step > runs {
            return Ok(Step::NoSuchStep);
        }
        if step == runs {
            return Ok(finite(Target::Word, vec![self.worked(2 * (runs - 1) + self.disputed.index)?], false));
        }
        let count = RUN.min(vocabulary - step * RUN);
        let logits = self.read(self.place(Part::Logits), step * RUN, count, 6)?;
        let mut best = match step.checked_sub(1) {
            None => None,
            Some(before) => Some((f32::from_bits(self.worked(2 * before)?), self.worked(2 * before + 1)?)),
        };
        for (i, logit) in logits.into_iter().enumerate() {
            let logit = f32::from_bits(logit);
            if best.is_none_or(|(max, _)| logit > max) {
                // A zero maximum is +0, as everywhere.
                best = Some((logit + 0.0, step * RUN + i as u32));
            }
        }
        let (max, token) = best.unwrap_or((f32::MIN, 0));
        let words = vec![max.to_bits(), token];
        Ok(if max.is_finite() { finite(Target::Working(2 * step), words, false) } else { Step::NotFinite })
    }

    /// Half of the weight of a token: `floor(exp((l - max) / T) * 2^32)`, low word first.
    fn weight(&mut self, step: u32) -> Result<Step, S::Error> {
        let temperature = self.source.statement().temperature;
        let index = self.disputed.index;
        let weight = if temperature == 0.0 {
            0
        } else {
            let logit = self.float(self.place(Part::Logits), index / 2)?;
            let max = self.float(self.place(Part::Best), 0)?;
            (portable::exp((logit - max) / temperature) * 4_294_967_296.0) as u64
        };
        Ok(self.direct(step, &[(weight >> (32 * (index % 2))) as u32]))
    }

    /// The drawn token. With a temperature the working adds up, over every prefix of 64 tokens more, all weights and those of the
    /// tokens that come before the drawn one in the order of weights.
    fn drawn(&mut self, step: u32) -> Result<Step, S::Error> {
        let statement = self.source.statement();
        let (vocabulary, temperature) = (statement.shape.vocabulary, statement.temperature);
        if temperature == 0.0 {
            let token = self.word(self.place(Part::Best), 1)?;
            return Ok(self.direct(step, &[token]));
        }
        let runs = vocabulary.div_ceil(RUN);
        if self.source.working_length() != 4 * runs {
            return Ok(Step::Malformed);
        }
        if step > runs {
            return Ok(Step::NoSuchStep);
        }
        let token = self.disputed.word;
        if token >= vocabulary {
            return Ok(Step::Impossible);
        }
        let place = self.place(Part::Weights);
        let tile = self.read(place, (2 * token) & !15, TILE_WORDS as u32, 4)?;
        let own = long(&tile[(2 * token) as usize % 16..]);
        let (mut total, mut before) = match step.checked_sub(1) {
            None => (0, 0),
            Some(last) => {
                let tile = self.source.working_tile(last / 4)?;
                let words = &tile[(last % 4 * 4) as usize..];
                (long(words), long(&words[2..]))
            }
        };
        if step == runs {
            return Ok(self.is_drawn(own, total, before));
        }
        let count = RUN.min(vocabulary - step * RUN);
        let words = self.read(place, 2 * step * RUN, 2 * count, 7)?;
        for (i, weight) in words.as_chunks::<2>().0.iter().map(|pair| long(pair)).enumerate() {
            let other = step * RUN + i as u32;
            // Weights are at most 2^32 each, and fewer than 2^31; a party's own may be anything.
            total = total.wrapping_add(weight);
            if weight > own || (weight == own && other < token) {
                before = before.wrapping_add(weight);
            }
        }
        let words = [total, before].iter().flat_map(|&x| [x as u32, (x >> 32) as u32]).collect();
        Ok(finite(Target::Working(4 * step), words, false))
    }

    /// Whether the draw falls into the weight of the disputed token.
    fn is_drawn(&self, own: u64, total: u64, before: u64) -> Step {
        let position = Position::new(self.disputed.position + 1);
        let draw = self.source.statement().seed.draw_bits(position);
        let threshold = ((u128::from(draw) * u128::from(total)) >> 64) as u64;
        if before <= threshold && threshold - before < own {
            finite(Target::Word, vec![self.disputed.word], false)
        } else {
            Step::Impossible
        }
    }
}

/// Numbers as the words of a step, if all are finite.
pub(super) fn floats(target: Target, x: &[f32]) -> Step {
    finite(target, x.iter().map(|x| x.to_bits()).collect(), true)
}

fn finite(target: Target, words: Vec<u32>, are_floats: bool) -> Step {
    if are_floats && words.iter().any(|&word| !f32::from_bits(word).is_finite()) {
        return Step::NotFinite;
    }
    Step::Words { target, words }
}

/// Four signed bytes as one word, the first lowest.
pub(crate) fn pack(quants: &[i8]) -> u32 {
    quants.iter().rev().fold(0, |word, &q| word << 8 | u32::from(q.cast_unsigned()))
}

/// A digest as eight words, little-endian.
pub(crate) fn digest_words(digest: Digest) -> [u32; 8] {
    let chunks = digest.as_bytes().as_chunks::<4>().0;
    std::array::from_fn(|i| u32::from_le_bytes(chunks[i]))
}

/// The digest of eight words.
pub(crate) fn words_digest(words: &[u32]) -> Digest {
    let mut bytes = [0; 32];
    for (bytes, word) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(words) {
        *bytes = word.to_le_bytes();
    }
    Digest::new(bytes)
}

/// A number of 64 bits, low word first.
fn long(words: &[u32]) -> u64 {
    u64::from(words[0]) | u64::from(words[1]) << 32
}

/// The reference machine: one thread, plain loops.
fn reference() -> Machine {
    Machine::new(Isa::portable(), Pool::new(std::num::NonZeroUsize::MIN))
}
