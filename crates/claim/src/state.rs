//! The hash of a hidden state.

use crate::domain;
use crate::encoding::HashEncoder;
use crate::{Digest, StateHash};

/// Values under one digest: what one call of a contract can hash.
pub const STATE_PIECE_LEN: usize = 256;

/// The hash of the final hidden state at one position: the number of values, and a digest of the bits of every 256.
///
/// `state` is the vector after the last normalisation, before the output matrix, as CA-1 computes it.
pub fn state_hash(state: &[f32]) -> StateHash {
    let mut encoder = HashEncoder::new(domain::STATE);
    encoder.count(state.len());
    // On the stack, so that hashing copies nothing to the heap.
    let mut piece = [0; STATE_PIECE_LEN * size_of::<f32>()];
    for values in state.chunks(STATE_PIECE_LEN) {
        let bytes = &mut piece[..size_of_val(values)];
        for (target, value) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(values) {
            *target = value.to_le_bytes();
        }
        encoder.digest(Digest::sha256(bytes));
    }
    StateHash::new(encoder.finish())
}
