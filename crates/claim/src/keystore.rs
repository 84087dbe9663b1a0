//! Key files: Web3 Secret Storage, version 3.
