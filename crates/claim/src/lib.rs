//! The vocabulary: ids, roots, receipts, encodings, signatures, Merkle trees.
