//! The judge in Rust says what the committed vectors say, which the one in Solidity runs as well.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::path::Path;

use alloy::hex;
use alloy::sol_types::SolValue as _;
use claim::Digest;
use court::judge::{Docket, Statement};
use ledger::dispute;

#[path = "vectors/mod.rs"]
mod shared;

use shared::{PATH, Vector, asked, outcomes, trace};

#[test]
fn the_judge_rules_as_the_vectors_say() {
    let statements: Vec<Statement> =
        asked().iter().map(|asked| trace(asked, |trace, _, _| trace.statement().clone())).collect();
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(PATH)).unwrap();
    let file: serde_json::Value = serde_json::from_str(&text).unwrap();
    let vectors = file["vectors"].as_array().unwrap();
    assert!(vectors.len() > 100);
    for vector in vectors {
        let vector = Vector::abi_decode(&hex::decode(vector.as_str().unwrap()).unwrap()).unwrap();
        let statement = &statements[vector.answer as usize];
        assert_eq!(vector.context, dispute::context(statement), "{}", vector.name);
        let digest = |word: &alloy::primitives::B256| Digest::new(word.0);
        let (_, address, word, nodes, working_root, working_length) = vector.docket;
        let docket = Docket {
            statement: statement.clone(),
            address,
            word,
            nodes: nodes.iter().map(digest).collect(),
            working_root: digest(&working_root),
            working_length,
        };
        // The first byte tells the contract the vector that the word lies in.
        let data = &vector.data[1..];
        assert_eq!(dispute::judge_data(&docket, data), vector.data, "{}", vector.name);
        let path: Vec<Digest> = vector.path.iter().map(digest).collect();
        assert_eq!(outcomes(&docket, vector.step, data, &path), vector.outcomes.to_vec(), "{}", vector.name);
    }
}
