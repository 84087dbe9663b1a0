//! `docs/receipt-format.md` against the code: a page that is wrong fails.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use claim::{
    ChoiceIndex, Digest, Endpoint, Evidence, Finish, HostKey, KvType, Nonce, Origin, Receipt, RequestHash, SeedKind,
    SeedProof, SignedReceipt, TokenCount, domain,
};

const PAGE: &str = include_str!("../../../docs/receipt-format.md");

/// The cells of the table rows in a numbered section.
fn rows(section: u32) -> Vec<Vec<String>> {
    let start = PAGE.find(&format!("\n## {section}. ")).unwrap();
    let body = &PAGE[start + 1..];
    let body = &body[..body.find("\n## ").unwrap_or(body.len())];
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    body.lines().filter(|line| line.starts_with('|')).map(cells).collect()
}

/// The text of the fenced block with this name.
fn block(name: &str) -> String {
    let start = PAGE.find(&format!("```{name}\n")).unwrap() + name.len() + 4;
    let end = start + PAGE[start..].find("\n```").unwrap();
    PAGE[start..end].split_whitespace().collect()
}

/// The worked example.
fn example() -> SignedReceipt {
    SignedReceipt::from_bytes(&hex::decode(block("signed-receipt")).unwrap()).unwrap()
}

#[test]
fn the_worked_example_holds() {
    let signed = example();
    assert_eq!(signed.verify(), Ok(()));
    assert_eq!(signed.id().to_string(), block("receipt-id"));
    assert!(PAGE.contains(&format!("host `{}`", signed.receipt.host)));
    let secret = PAGE.split("Secret key `").nth(1).unwrap().split('`').next().unwrap();
    let key = HostKey::from_bytes(secret.parse::<Digest>().unwrap().as_bytes()).unwrap();
    assert_eq!(key.sign(&signed.receipt), signed);
}

#[test]
fn the_receipt_table_is_the_layout() {
    let rows = rows(2);
    let fields = &rows[2..];
    assert_eq!(fields.len(), 24);
    let mut offset = 0;
    let signed = example();
    let bytes = signed.to_bytes();
    for row in fields {
        let (at, size): (usize, usize) = (row[0].parse().unwrap(), row[1].parse().unwrap());
        assert_eq!(at, offset, "{row:?}");
        assert_eq!(&bytes[at..at + size], &field(&signed, &row[2])[..], "{row:?}");
        offset += size;
    }
    assert_eq!(offset, SignedReceipt::SIZE_BYTES);
    assert!(PAGE.contains(&format!(
        "\n{} bytes. With its signature {}.",
        Receipt::SIZE_BYTES,
        SignedReceipt::SIZE_BYTES
    )));

    let members: Vec<String> = fields[..23].iter().map(|row| row[4].trim_matches('`').to_owned()).collect();
    let type_text: String =
        PAGE.lines().skip_while(|line| !line.starts_with("    Receipt(")).take(5).map(str::trim).collect();
    assert_eq!(type_text, format!("Receipt({})", members.join(",")));
}

/// What the table calls a field, as bytes.
fn field(signed: &SignedReceipt, name: &str) -> Vec<u8> {
    let receipt = &signed.receipt;
    match name {
        "version" => receipt.version.to_le_bytes().to_vec(),
        "model root" => receipt.model_root.as_bytes().to_vec(),
        "arithmetic" => receipt.engine.arithmetic.to_le_bytes().to_vec(),
        "key-value type" => vec![receipt.engine.kv.code()],
        "request hash" => receipt.request_hash.as_bytes().to_vec(),
        "choice" => receipt.choice.get().to_le_bytes().to_vec(),
        "prompt root" => receipt.prompt_root.as_bytes().to_vec(),
        "sampling" => receipt.sampling.as_bytes().to_vec(),
        "seed" => receipt.seed.as_bytes().to_vec(),
        "seed kind" => vec![receipt.seed_kind.code()],
        "output root" => receipt.output_root.as_bytes().to_vec(),
        "finish" => vec![receipt.finish.code()],
        "state root" => receipt.state_root.as_bytes().to_vec(),
        "previous" => receipt.previous.as_bytes().to_vec(),
        "prefix length" => receipt.prefix_length.get().to_le_bytes().to_vec(),
        "prompt price" => receipt.price.prompt_per_million.to_le_bytes().to_vec(),
        "output price" => receipt.price.output_per_million.to_le_bytes().to_vec(),
        "total" => receipt.total.get().to_le_bytes().to_vec(),
        "channel" => receipt.channel.as_bytes().to_vec(),
        "host" => receipt.host.as_bytes().to_vec(),
        "client" => receipt.client.as_bytes().to_vec(),
        "started" => receipt.started.get().to_le_bytes().to_vec(),
        "finished" => receipt.finished.get().to_le_bytes().to_vec(),
        "signature" => signed.signature.to_bytes().to_vec(),
        other => unreachable!("the table has a field {other} that no receipt has"),
    }
}

#[test]
fn the_closed_sets_are_listed() {
    let codes = |set: &str| {
        let rows = rows(9);
        let listed = rows.iter().find(|row| row[0] == set).unwrap()[1].clone();
        listed.split(", ").map(|member| member.split(" (").next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(codes("endpoint"), named(Endpoint::ALL.iter().map(|member| (member.code(), member.name()))));
    assert_eq!(codes("key-value type"), named(KvType::ALL.iter().map(|member| (member.code(), member.name()))));
    assert_eq!(codes("seed kind"), named(SeedKind::ALL.iter().map(|member| (member.code(), member.name()))));
    assert_eq!(codes("finish"), named(Finish::ALL.iter().map(|member| (member.code(), member.name()))));
    assert_eq!(codes("origin"), named(Origin::ALL.iter().map(|member| (member.code(), member.name()))));
}

fn named(members: impl Iterator<Item = (u8, &'static str)>) -> Vec<String> {
    members.map(|(code, name)| format!("{code} {name}")).collect()
}

#[test]
fn the_domains_of_receipts_are_named() {
    for domain in domain::ALL.iter().filter(|domain| !domain.as_str().starts_with("candor/1/model")) {
        let text = domain.as_str();
        assert!(PAGE.contains(&format!("\"{text}\"")) || PAGE.contains(&format!("`{text}`")), "{text}");
    }
}

#[test]
fn the_limits_of_evidence_are_named() {
    let rows = rows(10);
    let limit = |field: &str| rows.iter().find(|row| row[0] == field).unwrap()[2].clone();
    assert_eq!(limit("request"), format!("{} MiB", Evidence::REQUEST_BYTES_MAX >> 20));
    assert_eq!(limit("prompt"), format!("2^{} tokens", Evidence::TOKENS_MAX.ilog2()));
    assert_eq!(limit("output"), format!("2^{} tokens", Evidence::TOKENS_MAX.ilog2()));
    assert_eq!(limit("states"), format!("2^{}", Evidence::STATES_MAX.ilog2()));
    assert_eq!(limit("text"), format!("{} MiB", Evidence::TEXT_BYTES_MAX >> 20));
}

/// SHA-256 over the bytes that the page's `H` spells out, by hand.
fn by_hand(domain: &str, parts: &[&[u8]]) -> Digest {
    Digest::sha256(&[&[domain.len() as u8], domain.as_bytes(), &parts.concat()].concat())
}

#[test]
fn the_hashes_are_what_the_page_spells_out() {
    let nonce = Nonce::new(Digest::sha256(b"nonce"));
    let client = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed".parse().unwrap();
    let length = 2_u64.to_le_bytes();
    let request = claim::request_hash(Endpoint::Responses, b"{}", nonce, Some(client));
    let parts: [&[u8]; 6] = [&[2], nonce.as_bytes(), &[1], client.as_bytes(), &length, b"{}"];
    assert_eq!(request.get(), by_hand("candor/1/request", &parts));

    let prompt = [5, 6].map(|token| claim::PromptToken::new(claim::TokenId::new(token), Origin::User));
    let leaf = |index: u8, token: u8| Digest::sha256(&[0, index, 0, 0, 0, token, 0, 0, 0, 3]);
    let root = Digest::sha256(&[&[1], &leaf(0, 5).as_bytes()[..], leaf(1, 6).as_bytes()].concat());
    assert_eq!(claim::prompt_root(&prompt).get(), by_hand("candor/1/prompt", &[&length, root.as_bytes()]));

    let sampling = claim::Sampling {
        temperature: 0.5,
        top_k: 40,
        logit_bias: vec![(claim::TokenId::new(9), -1.0)],
        grammar: claim::Grammar::Lark("x".into()),
        stop: vec!["ab".into()],
        ..claim::Sampling::greedy(TokenCount::new(256))
    };
    let (half, one, minus_one) =
        (0.5_f32.to_bits().to_le_bytes(), 1_f32.to_bits().to_le_bytes(), (-1_f32).to_bits().to_le_bytes());
    let zero = [0; 4];
    let numbers = [half, 40_u32.to_le_bytes(), one, zero, one, zero, zero].concat();
    let biases = [&1_u64.to_le_bytes()[..], &9_u32.to_le_bytes(), &minus_one].concat();
    let grammar = [&[3][..], &1_u64.to_le_bytes(), b"x"].concat();
    let stops = [&1_u64.to_le_bytes()[..], &2_u64.to_le_bytes(), b"ab"].concat();
    let parts = [&numbers, &biases[..], &grammar, &stops, &256_u32.to_le_bytes()];
    assert_eq!(sampling.hash().get(), by_hand("candor/1/sampling", &parts));

    let chain: claim::OutputChain = [claim::TokenId::new(7)].into_iter().collect();
    let start = by_hand("candor/1/output", &[]);
    assert_eq!(chain.root().get(), by_hand("candor/1/output", &[start.as_bytes(), &[7, 0, 0, 0], &[0; 4]]));
    let state = claim::state_hash(&[1.0, -0.0]);
    let values = Digest::sha256(&[0, 0, 0x80, 0x3f, 0, 0, 0, 0x80]);
    assert_eq!(state.get(), by_hand("candor/1/state", &[&length, values.as_bytes()]));
    let (piece, rest) = (Digest::sha256(&[0; 1024]), Digest::sha256(&[0; 4]));
    let parts = [&257_u64.to_le_bytes()[..], piece.as_bytes(), rest.as_bytes()];
    assert_eq!(claim::state_hash(&[0.0; 257]).get(), by_hand("candor/1/state", &parts));
    let chain: claim::StateChain = [state].into_iter().collect();
    let start = by_hand("candor/1/states", &[]);
    assert_eq!(chain.root().get(), by_hand("candor/1/states", &[start.as_bytes(), state.as_bytes(), &[0; 4]]));
}

#[test]
fn the_seeds_are_what_the_page_spells_out() {
    let key = HostKey::generate(&[1; 64]);
    let (request, nonce) = (RequestHash::new(Digest::sha256(b"request")), Nonce::new(Digest::sha256(b"nonce")));
    let choice = ChoiceIndex::new(3);
    let seed = |proof: SeedProof| proof.seed(&key.public(), request, nonce, choice).unwrap().get();
    assert_eq!(seed(SeedProof::Unused), Digest::ZERO);
    let given = by_hand("candor/1/seed/given", &[&258_u64.to_le_bytes(), &[3, 0, 0, 0]]);
    assert_eq!(seed(SeedProof::Given(258)), given);
    let alpha = by_hand("candor/1/seed/alpha", &[request.as_bytes(), nonce.as_bytes()]);
    let output = key.prove(alpha.as_bytes()).1.get();
    let parts: [&[u8]; 4] = [request.as_bytes(), nonce.as_bytes(), output.as_bytes(), &[3, 0, 0, 0]];
    assert_eq!(seed(SeedProof::draw(&key, request, nonce)), by_hand("candor/1/seed/drawn", &parts));
}
