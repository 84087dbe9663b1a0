//! The same client on Foundry's chain.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use alloy::primitives::U256;
use claim::{Address, Amount, Digest, ModelRoot, ReceiptId};
use devchain::{Config, Devchain};
use ledger::channel::{self, ChannelDomain, ChannelTerms, Salt, Settlement, Stage, Usage, Voucher};
use ledger::{Account, Change, Client, Cursor, Deployment, Rules, dollar};

use crate::reorganisation::{Town, goes_back_to_a_snapshot, is_reorganised};
use crate::stand::key;

/// Foundry's chain in a process of its own, which ends when this is dropped.
struct Anvil {
    child: Child,
    url: String,
}

impl Drop for Anvil {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Anvil {
    /// The chain, where `cargo xtask setup` has put it.
    #[expect(clippy::print_stderr, reason = "whoever runs the tests must see that this one did nothing")]
    fn start() -> Option<Self> {
        let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
        let program = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../target/peers/node/node_modules")
            .join(format!("@foundry-rs/anvil-linux-{architecture}/bin/anvil"));
        if !program.exists() {
            eprintln!("skipped: no npm package of anvil; cargo xtask setup installs it");
            return None;
        }
        let mut child = Command::new(program).args(["--port", "0"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let address = lines.find_map(|line| line.strip_prefix("Listening on ").map(str::to_owned));
        // A chain that goes on printing must not wait for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        Some(Self { child, url: format!("http://{}", address.expect("anvil says where it answers")) })
    }
}

/// Everything that a channel goes through, from the deployment of the contracts on. Returns what a cursor saw of it.
async fn life_of_a_channel(url: &str) -> Vec<(u64, Vec<alloy::primitives::B256>)> {
    let client = Client::connect(url).await.unwrap();
    let [payer, host] = ["payer", "host"].map(|name| Account::new(client.clone(), key(name)));
    for account in [&payer, &host] {
        dollar::make_wei(&client, account.address(), 10_u128.pow(19)).await.unwrap();
    }
    let deployment = Deployment::deploy(&host, &Rules::usual(), true, &mut |_, _| ()).await.unwrap();
    deployment.check(&client).await.unwrap();
    let token = deployment.dollar.unwrap();
    dollar::mint(&payer, token, Amount::new(1_000)).await.unwrap();

    let domain = ChannelDomain::of(&deployment);
    let [client_address, host_address] = [&payer, &host].map(|account| Address::new(account.address().into()));
    let token = Address::new(token.into());
    let terms = ChannelTerms { client: client_address, host: host_address, token, salt: Salt::new(0) };
    channel::fund(&payer, domain, &terms, Amount::new(1_000)).await.unwrap();
    let model = ModelRoot::new(Digest::sha256(b"model"));
    let usage = Usage { prompt_tokens: 7, output_tokens: 11 };
    let receipt = ReceiptId::new(Digest::sha256(b"receipt"));
    let voucher = Voucher::new(terms.id(domain), Amount::new(300), model, usage, receipt).unwrap();
    let voucher = voucher.sign(domain, &key("payer"));
    let settled = channel::settle(&host, domain, (host_address, token, model), &[(terms, voucher)]).await.unwrap();
    assert_eq!((settled.paid.get(), settled.settlements), (300, vec![Settlement::Paid]));

    let (_, closable_at) = channel::request_close(&payer, domain, &terms).await.unwrap();
    assert_eq!(channel::standing(&client, domain, terms.id(domain)).await.unwrap().stage, Stage::Closing(closable_at));
    assert!(channel::close(&payer, domain, &terms).await.unwrap_err().to_string().contains("NotClosable"));
    client.development("evm_setNextBlockTimestamp", (closable_at,)).await.unwrap();
    client.development("evm_mine", ()).await.unwrap();
    assert_eq!(channel::close(&payer, domain, &terms).await.unwrap().1.get(), 700);
    let token = deployment.dollar.unwrap();
    assert_eq!(dollar::balance(&client, token, host.address()).await.unwrap().get(), 300);
    assert_eq!(client.balance(payer.address()).await.unwrap().checked_sub(U256::from(10_u128.pow(19))), None);

    let changes = Cursor::new(client, vec![deployment.channels], 0).poll().await.unwrap();
    changes
        .into_iter()
        .map(|change| match change {
            Change::Added { block, logs } => {
                (block, logs.into_iter().filter_map(|log| log.topic0().copied()).collect())
            }
            Change::Removed { from } => panic!("nothing went back, and block {from} is gone"),
        })
        .collect()
}

#[tokio::test]
async fn a_channel_lives_on_anvil_as_on_the_embedded_chain() {
    let serving = Devchain::in_memory(Config::development()).unwrap().serve(([127, 0, 0, 1], 0).into()).unwrap();
    let ours = life_of_a_channel(&format!("http://{}", serving.address())).await;
    assert!(ours.len() >= 4, "{ours:?}");
    let Some(anvil) = Anvil::start() else { return };
    assert_eq!(life_of_a_channel(&anvil.url).await, ours);
}

#[tokio::test]
async fn events_are_taken_back_on_anvil_too() {
    let Some(anvil) = Anvil::start() else { return };
    let mut town = Town::at(&anvil.url).await;
    goes_back_to_a_snapshot(&mut town).await;
    is_reorganised(&mut town).await;
}
