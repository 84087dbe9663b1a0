//! Every function and event that this crate speaks of is one of the contracts, to the letter of its signature.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::collections::BTreeSet;

use alloy::json_abi::JsonAbi;
use alloy::sol_types::SolInterface;
use ledger::abi::{ArithmeticJudge, Channels, Court, HostVault, HostVaults, Hosts, Token};

fn interface(name: &str) -> JsonAbi {
    #[derive(serde::Deserialize)]
    struct File {
        abi: JsonAbi,
    }
    let path = format!("{}/../../contracts/artefacts/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str::<File>(&std::fs::read_to_string(path).unwrap()).unwrap().abi
}

fn check_calls<Calls: SolInterface>(name: &str) {
    let known: BTreeSet<[u8; 4]> = interface(name).functions().map(|function| function.selector().0).collect();
    let foreign: Vec<_> = Calls::selectors().filter(|selector| !known.contains(selector)).collect();
    assert!(foreign.is_empty(), "{name}: {foreign:02x?}");
}

fn check_events(name: &str, topics: &[[u8; 32]]) {
    let known: BTreeSet<[u8; 32]> = interface(name).events().map(|event| event.selector().0).collect();
    let foreign: Vec<_> = topics.iter().filter(|topic| !known.contains(*topic)).collect();
    assert!(foreign.is_empty(), "{name}: {foreign:02x?}");
}

#[test]
fn functions_are_the_contracts() {
    check_calls::<ArithmeticJudge::ArithmeticJudgeCalls>("ArithmeticJudge");
    check_calls::<Channels::ChannelsCalls>("Channels");
    check_calls::<Court::CourtCalls>("Court");
    check_calls::<HostVault::HostVaultCalls>("HostVault");
    check_calls::<HostVaults::HostVaultsCalls>("HostVaults");
    check_calls::<Hosts::HostsCalls>("Hosts");
    check_calls::<Token::TokenCalls>("DevDollar");
}

#[test]
fn events_are_the_contracts() {
    check_events("Channels", Channels::ChannelsEvents::SELECTORS);
    check_events("Court", Court::CourtEvents::SELECTORS);
    check_events("HostVault", HostVault::HostVaultEvents::SELECTORS);
}
