//! Attention of one query head.

use crate::attention::{AttentionShape, Query};
use crate::fault::Fault;
use crate::page::{KvPage, PAGE_POSITIONS};
use crate::portable::vector::fold;
use crate::portable::{exp, max, vector_sum};

/// Head `head` of `query`: `out` is `[head_dim]`.
pub(crate) fn attention(shape: &AttentionShape, query: &Query<'_>, head: usize, out: &mut [f32]) -> Result<(), Fault> {
    let kv_head = head / (shape.heads / shape.kv_heads);
    let q = &query.q[head * shape.head_dim..][..shape.head_dim];
    let (first, end) = shape.keys(query.position);
    let mut scores: Vec<f32> = (first..end)
        .map(|j| score(q, query.pages[j / PAGE_POSITIONS], kv_head, j % PAGE_POSITIONS) * shape.scale)
        .collect();
    if Fault::find("attention", &scores).is_some() {
        return Err(Fault { operation: "attention", index: head });
    }
    let max = max(&scores);
    for s in &mut scores {
        *s = exp(*s - max);
    }
    let mut total = 0.0f32;
    out.fill(0.0);
    let mut chunk_out = vec![0.0f32; shape.head_dim];
    for chunk in first / PAGE_POSITIONS..end.div_ceil(PAGE_POSITIONS) {
        let start = (chunk * PAGE_POSITIONS).max(first);
        let stop = ((chunk + 1) * PAGE_POSITIONS).min(end);
        let mut lanes = [0.0f32; 16];
        chunk_out.fill(0.0);
        for j in start..stop {
            let e = scores[j - first];
            lanes[j % 16] += e;
            let page = query.pages[chunk];
            let v = page.value_index(kv_head, j % PAGE_POSITIONS);
            for (d, o) in chunk_out.iter_mut().enumerate() {
                *o += e * page.format().load(page.values(), v + d);
            }
        }
        total += fold(lanes);
        for (o, c) in out.iter_mut().zip(&chunk_out) {
            *o += c;
        }
    }
    for o in out.iter_mut() {
        *o /= total;
    }
    Ok(())
}

/// The dot product of a query head and one key, a vector sum over the head dimension.
fn score(q: &[f32], page: &KvPage, kv_head: usize, slot: usize) -> f32 {
    let k = page.key_index(kv_head, slot);
    vector_sum(q.iter().enumerate().map(|(d, q)| q * page.format().load(page.keys(), k + 16 * d)))
}
