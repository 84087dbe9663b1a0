//! Replay of receipts: Held, Refuted or Cannot, with zero tolerance.
