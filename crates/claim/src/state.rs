//! The hash of a hidden state.

use crate::StateHash;
use crate::domain;
use crate::encoding::HashEncoder;

/// How many values are turned into bytes at once: 4 KiB on the stack, so that hashing copies nothing to the heap.
const BLOCK_LEN: usize = 1024;

/// The hash of the final hidden state at one position: the number of values and the bits of each, in order.
///
/// `state` is the vector after the last normalisation, before the output matrix, as CA-1 computes it.
pub fn state_hash(state: &[f32]) -> StateHash {
    let mut encoder = HashEncoder::new(domain::STATE);
    encoder.count(state.len());
    let mut block = [0; BLOCK_LEN * size_of::<f32>()];
    for values in state.chunks(BLOCK_LEN) {
        let bytes = &mut block[..size_of_val(values)];
        for (target, value) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(values) {
            *target = value.to_le_bytes();
        }
        encoder.raw(bytes);
    }
    StateHash::new(encoder.finish())
}
