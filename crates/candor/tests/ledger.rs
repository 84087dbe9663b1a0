//! The ledger as a person uses it: the real program against its own chain, from the first key to the last withdrawal.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod desk;
#[path = "desk/town.rs"]
mod town;

use std::fs;
use std::process::Stdio;

use claim::{Amount, Digest, HostKey, ModelRoot, ReceiptId, keystore};
use desk::Desk;
use ledger::Client;
use ledger::channel::{ChannelBook, ChannelDomain, Usage, Voucher};
use serde_json::Value;
use town::{Run, SECRET, Town};

impl Town {
    /// Lets time pass on the chain.
    fn wait(&self, seconds: u64) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let client = Client::connect(self.chain.address()).await.unwrap();
            client.development("evm_increaseTime", (seconds,)).await.unwrap();
            client.development("evm_mine", ()).await.unwrap();
        });
    }

    /// Gives the host a voucher over so many millionths of a dollar, as `candor up` would.
    fn give_voucher(&self, amount: u128) -> ChannelBook {
        let entry = ChannelBook::new(self.desk.path("payer/channels.jsonl")).entries().unwrap()[0];
        let book = ChannelBook::new(self.desk.path("host/channels.jsonl"));
        book.add(entry.domain, entry.terms).unwrap();
        book.record(entry.domain, self.voucher(entry.domain, amount)).unwrap();
        book
    }

    fn voucher(&self, domain: ChannelDomain, amount: u128) -> ledger::channel::SignedVoucher {
        let entry = ChannelBook::new(self.desk.path("payer/channels.jsonl")).entries().unwrap()[0];
        let [model, receipt] = [b"model".as_slice(), b"receipt"].map(Digest::sha256);
        let usage = Usage { prompt_tokens: 20, output_tokens: 30 };
        let (model, receipt) = (ModelRoot::new(model), ReceiptId::new(receipt));
        let voucher = Voucher::new(entry.id(), Amount::new(amount), model, usage, receipt).unwrap();
        voucher.sign(domain, &HostKey::from_bytes(&SECRET).unwrap())
    }
}

#[track_caller]
fn check(found: &Value, expect: &[(&str, &str)]) {
    for (field, value) in expect {
        assert_eq!(found[field], **value, "{field} of {found}");
    }
}

#[test]
fn the_chain_and_its_contracts_outlive_a_restart() {
    let Town { desk, chain } = Town::new();
    let deployment = fs::read(desk.path("chain/deployment.json")).unwrap();
    Run::of(&desk, &["chain", "up", "--port", "0", "--data", "chain"]).fails(3, "another `candor chain up`");
    let port = chain.address().rsplit(':').next().unwrap().to_owned();
    Run::of(&desk, &["chain", "up", "--port", &port, "--data", "other"]).fails(3, "--port N");

    let town = Town { desk, chain };
    Run::of(&town.desk, &["wallet", "new", "--data", "payer"]).ends_with(0);
    let before = town.json("payer", &["wallet", "fund", "--dollars", "12.345678", "--ether", "1"]);
    check(&before, &[("dollars", "12.345678")]);
    let Town { desk, chain } = town;
    // Not asked to stop, but killed.
    drop(chain);

    let chain = desk.start(&["chain", "up", "--port", "0", "--data", "chain", "--json"]);
    assert_eq!(fs::read(desk.path("chain/deployment.json")).unwrap(), deployment);
    let place = ["--data", "payer", "--chain", chain.address(), "--deployment", "chain/deployment.json", "--json"];
    let after = Run::of(&desk, &[&["wallet", "show"], &place[..]].concat()).ends_with(0).json();
    assert_eq!(after, before);
    assert_eq!(chain.stop(), Some(0));

    // Another chain in the same folder has lost the contracts: they come back to the same addresses.
    fs::remove_file(desk.path("chain/chain.redb")).unwrap();
    let chain = desk.start(&["chain", "up", "--port", "0", "--data", "chain"]);
    assert_eq!(fs::read(desk.path("chain/deployment.json")).unwrap(), deployment);
    assert_eq!(chain.stop(), Some(0));

    // A real network's addresses are not written over.
    let text = String::from_utf8(deployment).unwrap().replace("\"chain-id\": 31337", "\"chain-id\": 1");
    fs::write(desk.path("chain/deployment.json"), &text).unwrap();
    Run::of(&desk, &["chain", "up", "--port", "0", "--data", "chain"]).fails(3, "is of chain 1");
    assert_eq!(fs::read_to_string(desk.path("chain/deployment.json")).unwrap(), text);
}

#[test]
fn a_wallet_is_kept_encrypted_and_never_written_over() {
    let desk = Desk::new();
    let with_passphrase = |arguments: &[&str], passphrase: &str| {
        let mut command = desk.command(arguments);
        Run(command.env("CANDOR_PASSPHRASE", passphrase).stdin(Stdio::null()).output().unwrap())
    };
    let made = with_passphrase(&["wallet", "new", "--json", "--data", "a"], "secret").ends_with(0);
    assert_eq!(made.stderr(), "");
    let address = made.json()["address"].as_str().unwrap().to_owned();
    let text = fs::read_to_string(desk.path("a/wallet.json")).unwrap();
    assert_eq!(keystore::decrypt(&text, "secret").unwrap().address().to_string(), address);
    with_passphrase(&["wallet", "new", "--data", "a"], "secret").fails(3, "is there already");
    assert_eq!(fs::read_to_string(desk.path("a/wallet.json")).unwrap(), text);
    with_passphrase(&["wallet", "show", "--data", "a"], "guess")
        .fails(3, "the passphrase is wrong; set CANDOR_PASSPHRASE");

    let import = |file: &str, to: &str| with_passphrase(&["wallet", "import", file, "--data", to, "--json"], "secret");
    let path = desk.path("a/wallet.json");
    assert_eq!(import(path.to_str().unwrap(), "b").ends_with(0).json()["address"], *address);
    with_passphrase(&["wallet", "import", path.to_str().unwrap(), "--data", "c"], "guess")
        .fails(3, "the passphrase is wrong");
    fs::write(desk.path("key.txt"), format!("0x{}\n", "11".repeat(32))).unwrap();
    let imported = import("key.txt", "d").ends_with(0).json();
    assert_eq!(imported["address"], HostKey::from_bytes(&SECRET).unwrap().address().to_string());
    for (content, words) in [("hello", "neither"), (&"00".repeat(32), "neither"), ("{}", "move it away")] {
        fs::write(desk.path("bad.txt"), content).unwrap();
        let run = import("bad.txt", "e");
        assert!([3, 4].contains(&run.0.status.code().unwrap()) && run.stderr().contains(words), "{}", run.stderr());
        assert!(!desk.path("e/wallet.json").exists());
    }
}

#[test]
fn a_channel_lives_from_the_first_dollar_to_the_last() {
    let town = Town::new();
    let host = town.settled();
    let opened = town.json("payer", &["channel", "open", &host, "10"]);
    check(&opened, &[("stage", "open"), ("deposited", "10.00"), ("settled", "0.00"), ("host", &host)]);
    assert_eq!(opened["transactions"].as_array().unwrap().len(), 1, "a permit saves the approval");
    let more = town.json("payer", &["channel", "open", &host, "2.500001"]);
    check(&more, &[("channel", opened["channel"].as_str().unwrap()), ("deposited", "12.500001")]);

    // The host earns, settles once for all, and a second time for nothing.
    town.give_voucher(4_000_000);
    town.give_voucher(5_000_000);
    let listed = town.json("host", &["channel", "status"]);
    check(&listed, &[("voucher", "5.00"), ("owed", "5.00"), ("settled", "0.00")]);
    let settled = town.json("host", &["channel", "settle"]);
    check(&settled, &[("paid", "5.00")]);
    check(&settled["vouchers"][0], &[("outcome", "paid"), ("paid", "5.00")]);
    let again = town.json("host", &["channel", "settle"]);
    check(&again, &[("paid", "0.00")]);
    check(&again["vouchers"][0], &[("outcome", "nothing due")]);
    assert_eq!(again["transactions"], Value::Array(Vec::new()));
    assert!(
        town.run("host", &["channel", "settle"]).ends_with(0).stdout().ends_with("paid 0.00 dollars for 1 vouchers\n")
    );

    // The client asks, the host settles what came in meanwhile, time passes, and the rest goes back.
    let before = town.json("payer", &["wallet", "show"]);
    check(&before, &[("dollars", "987.499999")]);
    let asked = town.json("payer", &["channel", "close", &host]);
    check(&asked, &[("stage", "closing")]);
    town.give_voucher(6_000_000);
    check(&town.json("host", &["channel", "settle"]), &[("paid", "1.00")]);
    let waiting = town.run("payer", &["channel", "close", &host, "--json"]).ends_with(0);
    assert!(waiting.stderr().contains("it can be closed in"), "{}", waiting.stderr());
    town.run("payer", &["channel", "open", &host, "1"]).fails(3, "about to be closed");
    town.wait(86_400);
    let closed = town.json("payer", &["channel", "close", &host]);
    check(&closed, &[("stage", "closed"), ("settled", "6.00")]);
    check(&town.json("payer", &["wallet", "show"]), &[("dollars", "994.00")]);
    town.run("payer", &["channel", "close", &host]).fails(3, "has no open channel");
    check(&town.json("payer", &["channel", "status"]), &[("stage", "closed")]);

    // The next one is another channel. A lost file of channels is no lost channel.
    let next = town.json("payer", &["channel", "open", &host, "3"]);
    assert_ne!(next["channel"], opened["channel"]);
    fs::remove_file(town.desk.path("payer/channels.jsonl")).unwrap();
    check(&town.json("payer", &["channel", "status", &host]), &[("channel", next["channel"].as_str().unwrap())]);
    check(&town.json("payer", &["channel", "open", &host, "1"]), &[("deposited", "4.00")]);

    // A host that has had enough settles and closes at once.
    fs::remove_file(town.desk.path("host/channels.jsonl")).unwrap();
    town.give_voucher(500_000);
    let closed = town.json("host", &["channel", "close", next["channel"].as_str().unwrap(), "--host"]);
    check(&closed, &[("stage", "closed"), ("settled", "0.50")]);
    assert_eq!(closed["transactions"].as_array().unwrap().len(), 2);
    check(&town.json("payer", &["wallet", "show"]), &[("dollars", "993.50")]);
    assert_eq!(town.chain.stop(), Some(0));
}

#[test]
fn vouchers_that_the_client_did_not_sign_for_here_are_not_sent() {
    let town = Town::new();
    let host = town.settled();
    let opened = town.json("payer", &["channel", "open", &host, "10"]);
    let book = town.give_voucher(1_000_000);
    let honest = fs::read_to_string(book.path()).unwrap();
    let settle = || town.run("host", &["channel", "settle", "--json"]);

    let domain = book.entries().unwrap()[0].domain;
    let elsewhere = town.voucher(ChannelDomain { chain_id: 1, ..domain }, 1_000_000);
    let kept = book.entries().unwrap()[0].voucher.unwrap();
    let signature = |voucher: &ledger::channel::SignedVoucher| format!("{:?}", voucher.signature);
    for (from, to) in [
        (signature(&kept), signature(&elsewhere)),
        ("\"amount\":\"1000000\"".to_owned(), "\"amount\":\"2000000\"".to_owned()),
        ("\"output_tokens\":30".to_owned(), "\"output_tokens\":31".to_owned()),
    ] {
        let changed = honest.replace(&from, &to);
        assert_ne!(changed, honest, "{from}");
        fs::write(book.path(), changed).unwrap();
        let refused = settle().ends_with(3);
        assert!(refused.stderr().contains("they were not sent"), "{}", refused.stderr());
        let outcome = refused.json()["vouchers"][0]["outcome"].as_str().unwrap().to_owned();
        assert!(outcome.contains("is not signed by"), "{outcome}");
        let close = town.run("host", &["channel", "close", opened["channel"].as_str().unwrap(), "--host"]);
        close.fails(3, "is left open");
    }
    for broken in ["{", "[]\n", "{\"version\":2}\n{}\n", "{\"version\":9}\n"] {
        fs::write(book.path(), broken).unwrap();
        settle().fails(3, "channels.jsonl cannot be read");
    }
    // A voucher of another chain waits for that chain.
    fs::write(book.path(), honest.replace("\"chain_id\":31337", "\"chain_id\":1")).unwrap();
    assert_eq!(settle().ends_with(0).json()["vouchers"], Value::Array(Vec::new()));
    fs::write(book.path(), honest).unwrap();
    check(&settle().ends_with(0).json(), &[("paid", "1.00")]);
    assert_eq!(town.chain.stop(), Some(0));
}

#[test]
fn stake_comes_and_goes_and_an_offer_stands_on_the_chain() {
    let town = Town::new();
    town.run("host", &["host", "stake", "1"]).fails(3, "candor wallet fund");
    town.run("host", &["host", "show"]).fails(3, "candor host stake AMOUNT");
    town.run("host", &["host", "offer", "smollm2=1/1"]).fails(3, "candor host stake AMOUNT");
    town.run("host", &["wallet", "fund", "--host", "--dollars", "150"]).ends_with(0);
    let first = town.json("host", &["host", "stake", "100"]);
    check(&first, &[("stake", "100.00"), ("own", "100.00"), ("locked", "0.00"), ("lockable", "100.00")]);
    assert_eq!(first["transactions"].as_array().unwrap().len(), 4, "vault, entry, approval, deposit: {first}");
    town.run("host", &["host", "stake", "50.01"]).fails(3, "has 50.00 dollars, and 50.01 are needed");
    check(
        &town.json("host", &["host", "stake", "50"]),
        &[("stake", "150.00"), ("vault", first["vault"].as_str().unwrap())],
    );

    let offer = ["host", "offer", "smollm2=0.05/0.20", "--endpoint", "https://host.example"];
    let offered = town.json("host", &offer);
    let hash = offered["offer"]["hash"].as_str().unwrap();
    check(
        &town.json("payer", &["host", "show", first["host"].as_str().unwrap()]),
        &[("offer", hash), ("endpoint", "https://host.example")],
    );
    let kept: Value = serde_json::from_slice(&fs::read(town.desk.path("host/offer.json")).unwrap()).unwrap();
    assert_eq!(kept, offered["offer"]);
    check(&kept["models"][0], &[("prompt_per_million", "0.05"), ("output_per_million", "0.20")]);
    town.run("host", &["host", "offer", "smollm2=1/1", "smollm2-135m-instruct=2/2"]).fails(4, "offered twice");
    town.run("host", &["host", "offer", "nobody=1/1"]).fails(3, "known are");

    town.run("host", &["host", "unstake", "150.000001"]).fails(3, "has 150.00 dollars at stake");
    let leaving = town.json("host", &["host", "unstake", "60"]);
    check(&leaving, &[("stake", "150.00"), ("own", "90.00"), ("lockable", "150.00")]);
    check(&leaving["withdrawals"][0], &[("amount", "60.00")]);
    let early = town.json("host", &["host", "unstake"]);
    assert_eq!(early["transactions"], Value::Array(Vec::new()));
    town.wait(7 * 86_400);
    let claimed = town.json("host", &["host", "unstake", "all"]);
    check(&claimed, &[("stake", "90.00"), ("own", "0.00")]);
    check(&town.json("host", &["wallet", "show", "--host"]), &[("dollars", "60.00")]);
    town.wait(7 * 86_400);
    let shown = town.run("host", &["host", "show"]).ends_with(0);
    assert!(shown.stdout().contains("leaving   90.00 dollars, to be claimed now\n"), "{}", shown.stdout());
    town.run("host", &["host", "unstake"]).ends_with(0);
    check(&town.json("host", &["wallet", "show", "--host"]), &[("dollars", "150.00")]);
    assert_eq!(town.chain.stop(), Some(0));
}

#[test]
fn mistakes_about_money_are_told_with_what_to_do_next() {
    let town = Town::new();
    let host = town.settled();
    let nobody = "0x52908400098527886E0F7030069857D2E4169EE7";
    let huge = "79228162514264337593543.950335";
    for (arguments, code, words) in [
        (&["channel", "open", &host, "0"][..], 4, "the smallest amount is 0.000001 dollars"),
        (&["channel", "open", &host, "0.0000001"], 4, "at most 6 decimals"),
        (&["channel", "open", &host, "-1"], 4, "unexpected argument"),
        (&["channel", "open", &host, "1e3"], 4, "written in digits"),
        (&["channel", "open", &host, "79228162514264337593543.950336"], 4, "the largest amount is"),
        (&["channel", "open", &host, huge], 3, "has 1000.00 dollars, and 79228162514264337593543.950335 are needed"),
        (&["channel", "open", &host, "1000.000001"], 3, "candor wallet fund"),
        (&["channel", "open", nobody, "1"], 3, "not a registered host"),
        (&["channel", "open", &host[..41], "1"], 4, "40 hexadecimal digits"),
        (&["channel", "open", &host, "1", "--token", nobody], 3, "is not a token"),
        (&["channel", "status", nobody], 3, "has no open channel"),
        (&["channel", "close", &format!("0x{}", "ab".repeat(32))], 3, "is not in"),
        (&["channel", "close", "0xab"], 4, "40 hexadecimal digits"),
        (&["channel", "open", &host, "1", "--key", "none.json"], 3, "there is no key file none.json"),
        (&["wallet", "fund", "--dollars", "0"], 4, "the smallest amount"),
        (&["wallet", "show", "--host", "--key", "x"], 4, "cannot be used with"),
        (&["host", "offer", "smollm2"], 4, "MODEL=PROMPT/OUTPUT"),
    ] {
        town.run("payer", arguments).fails(code, words);
    }
    town.run("nobody", &["wallet", "show"]).fails(3, "candor wallet new");

    // No chain, no addresses, another chain's addresses, and no addresses at all in the file.
    let on = |rest: &[&str]| Run::of(&town.desk, &[&["wallet", "show", "--data", "payer"], rest].concat());
    let known = ["--deployment", "chain/deployment.json"];
    on(&[&["--chain", "http://127.0.0.1:1"], &known[..]].concat()).fails(3, "candor chain up");
    on(&[&["--chain", "nonsense"], &known[..]].concat()).fails(4, "is not the address of a chain");
    on(&["--chain", town.chain.address()]).fails(3, "--deployment FILE");
    let text = fs::read_to_string(town.desk.path("chain/deployment.json")).unwrap();
    let place = ["--chain", town.chain.address(), "--deployment", "other.json"];
    for (from, to, words) in [
        (
            "\"chain-id\": 31337",
            "\"chain-id\": 1",
            "answers for chain 31337, and the contracts in other.json are on chain 1",
        ),
        ("\"court\": \"0x", "\"court\": \"0x00", "not a file of the contracts' addresses"),
        ("\"court\"", "\"judges\"", "not a file of the contracts' addresses"),
    ] {
        fs::write(town.desk.path("other.json"), text.replace(from, to)).unwrap();
        on(&place).fails(3, words);
    }
    let mut elsewhere: Value = serde_json::from_str(&text).unwrap();
    elsewhere["court"] = nobody.into();
    fs::write(town.desk.path("other.json"), elsewhere.to_string()).unwrap();
    on(&place).fails(3, "not on this chain");
    assert_eq!(town.chain.stop(), Some(0));
}

#[test]
fn a_channel_pays_for_answers_while_they_come() {
    let town = Town::new();
    let host = town.settled();
    let chain = ["--data", "host", "--chain", town.chain.address(), "--deployment", "chain/deployment.json"];
    let up = ["up", "--model", "tiny.gguf", "--threads", "1", "--port", "0", "--price", "500/2000", "--credit", "0.50"];
    let node = town.desk.start(&[&up[..], &chain].concat());
    let ask = |extra: &[&str]| {
        let to = ["ask", "--data", "payer", "--gateway", node.address(), "Why is the sky blue?"];
        let length = if extra.contains(&"--max-tokens") { &[][..] } else { &["--max-tokens", "100"] };
        Run::of(&town.desk, &[&to[..], length, extra].concat())
    };
    ask(&[]).fails(3, &format!("cost 500.00/2000.00 dollars; open a channel with `candor channel open {host} AMOUNT`"));
    ask(&["--pay", "1"]).fails(3, &format!("`candor channel open {host} AMOUNT` opens one"));
    town.json("payer", &["channel", "open", &host, "0.30"]);

    // 100 tokens may cost 0.20 and the prompt some more, which the channel covers once and not twice.
    let first = ask(&["--pay", "1", "--json", "--receipt", "paid.json"]).ends_with(0).json();
    let paid = first["paid"].as_str().unwrap();
    let receipt: Value = serde_json::from_slice(&fs::read(town.desk.path("paid.json")).unwrap()).unwrap();
    let total: u128 = receipt["receipt"]["total"].as_str().unwrap().parse().unwrap();
    assert!(total > 0);
    assert_eq!(paid.parse::<f64>().unwrap() * 1e6, total as f64);
    let book = ChannelBook::new(town.desk.path("host/channels.jsonl")).entries().unwrap();
    assert_eq!(book[0].voucher.unwrap().voucher.amount(), Amount::new(total));
    assert_eq!(receipt["receipt"]["channel"].as_str().unwrap(), book[0].id().to_string());
    let verified = Run::of(&town.desk, &["verify", "paid.json", "--model", "tiny.gguf", "--data", "payer"]);
    assert!(verified.ends_with(0).stdout().contains("eld"));

    ask(&["--pay", "0.000001"]).ends_with(3);
    ask(&["--pay", "1", "--max-tokens", "900"]).fails(3, "and the channel has");
    town.json("payer", &["channel", "open", &host, "5"]);
    ask(&["--pay", "1"]).ends_with(0);
    let owed = town.json("payer", &["channel", "status", &host])["voucher"].as_str().unwrap().to_owned();
    assert_eq!(node.stop(), Some(0));
    check(&town.json("host", &["channel", "settle"]), &[("paid", &owed)]);
    assert_eq!(town.chain.stop(), Some(0));
}
