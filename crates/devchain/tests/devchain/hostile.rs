//! What clients should not send.

use std::io::Write as _;

use alloy_primitives::{Address, Bytes, U256};
use devchain::{Config, Devchain, Key, Serving};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::contract::{COUNTER, creation, stranger, word};
use crate::http::Client;

/// A chain in memory that answers.
struct Desk {
    runtime: Runtime,
    serving: Option<Serving>,
    client: Client,
}

impl Desk {
    fn new(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::development();
        change(&mut config);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let chain = Devchain::in_memory(config).unwrap();
        let serving = runtime.block_on(async { chain.serve(([127, 0, 0, 1], 0).into()) }).unwrap();
        let client = Client::connect(&format!("http://{}", serving.address())).unwrap();
        Self { runtime, serving: Some(serving), client }
    }

    fn fault(&mut self, method: &str, params: &Value) -> i64 {
        self.client.fault(method, params).0
    }

    fn call(&mut self, method: &str, params: &Value) -> Value {
        self.client.call(method, params)
    }

    /// Sends bytes and returns the answer, which must be JSON.
    fn raw(&mut self, body: &[u8]) -> Value {
        let (_, answer) = self.client.post(body).unwrap();
        serde_json::from_slice(&answer).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&answer)))
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        if let Some(serving) = self.serving.take() {
            self.runtime.block_on(serving.stop());
        }
    }
}

fn alice() -> Address {
    Key::development()[0].address()
}

#[test]
fn bytes_that_are_no_request() {
    let mut desk = Desk::new(|_| {});
    for body in [
        "",
        "{",
        "\u{0}\u{1}",
        "[]",
        "[1,2]",
        "{}",
        "null",
        "[[[[[[[[]]]]]]]]",
        r#"{"jsonrpc":"2.0","id":1}"#,
        r#"{"jsonrpc":"1.0","id":1,"method":"eth_chainId"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":7}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"eth_nothing"}"#,
    ] {
        let answer = desk.raw(body.as_bytes());
        let fault = answer.get(0).unwrap_or(&answer);
        let code = fault["error"]["code"].as_i64();
        assert!([Some(-32_700), Some(-32_600), Some(-32_601)].contains(&code), "{body}: {answer}");
    }
    // Who gives no id wants no answer.
    let (status, answer) = desk.client.post(br#"{"jsonrpc":"2.0","method":"eth_chainId"}"#).unwrap();
    assert_eq!((status.as_str(), answer), ("HTTP/1.1 200 OK", Vec::new()));
    assert_eq!(desk.call("eth_chainId", &json!([])), "0x7a69");
    // Deep brackets must not be followed to the bottom of the stack.
    let deep = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
    let answer = desk.raw(&deep);
    assert!(answer["error"]["code"].is_i64() || answer[0]["error"]["code"].is_i64(), "{answer}");
    assert_eq!(desk.call("eth_chainId", &json!([])), "0x7a69");
}

#[test]
fn arguments_that_make_no_sense() {
    let mut desk = Desk::new(|_| {});
    let hash = format!("0x{}", "11".repeat(32));
    for (method, params) in [
        ("eth_getBalance", json!([])),
        ("eth_getBalance", json!({ "address": alice() })),
        ("eth_getBalance", json!(["0x1234"])),
        ("eth_getBalance", json!([alice(), "newest"])),
        ("eth_getBalance", json!([alice(), "0x10000000000000000"])),
        ("eth_getBalance", json!([alice(), -1])),
        ("eth_getBalance", json!([alice(), { "blockHash": hash }])),
        ("eth_getBlockByNumber", json!(["latest", "yes"])),
        ("eth_getTransactionReceipt", json!([5])),
        ("eth_getStorageAt", json!([alice(), "0xzz"])),
        ("eth_call", json!([])),
        ("eth_call", json!([{ "to": "somewhere" }])),
        ("eth_call", json!([{ "data": "0x1" }])),
        ("eth_call", json!([{ "data": "0x12", "input": "0x34" }])),
        ("eth_call", json!([{ "gasPrice": "0x1", "maxFeePerGas": "0x1" }])),
        ("eth_call", json!([{ "blobVersionedHashes": [hash] }])),
        ("eth_call", json!([{}, "latest", { (alice().to_string()): { "state": {}, "stateDiff": {} } }])),
        ("eth_sendRawTransaction", json!(["0x"])),
        ("eth_sendRawTransaction", json!(["0xc0"])),
        ("eth_sendRawTransaction", json!(["0x02c0"])),
        ("eth_sendRawTransaction", json!([format!("0x{}", "ff".repeat(100))])),
        ("eth_sendTransaction", json!([{ "from": stranger(1), "to": alice() }])),
        ("eth_sign", json!([stranger(1), "0x00"])),
        ("eth_feeHistory", json!(["0x1", "latest", [50, 10]])),
        ("eth_feeHistory", json!(["0x1", "latest", [101]])),
        ("eth_feeHistory", json!(["0x1", "latest", [-1]])),
        ("eth_feeHistory", json!(["0x1", "0x50"])),
        ("eth_getLogs", json!([{ "fromBlock": "0x2", "toBlock": "0x1" }])),
        ("eth_getLogs", json!([{ "fromBlock": "0x0", "blockHash": hash }])),
        ("eth_getLogs", json!([{ "topics": [1] }])),
        ("eth_newFilter", json!(["all"])),
        ("eth_getFilterChanges", json!([])),
        ("debug_traceCall", json!([{}, "latest", { "tracer": "prestateTracer" }])),
        ("debug_traceCall", json!([{}, "latest", { "limit": -1 }])),
        ("eth_createAccessList", json!([])),
        ("evm_revert", json!(["0x10000000000000000"])),
        ("evm_setNextBlockTimestamp", json!([1])),
        ("evm_setAutomine", json!(["on"])),
        ("anvil_rollback", json!([1])),
        ("anvil_setStorageAt", json!([alice(), "0x0", "0x1"])),
        ("anvil_loadState", json!([])),
        ("anvil_loadState", json!(["0x1f8b"])),
        ("anvil_loadState", json!([Bytes::from_static(b"{\"accounts\":{\"0x1\":{}}}")])),
        ("anvil_setBalance", json!([alice(), format!("0x1{}", "0".repeat(64))])),
    ] {
        assert_eq!(desk.fault(method, &params), -32_602, "{method} {params}");
    }
    assert_eq!(desk.call("eth_blockNumber", &json!([])), "0x0");
}

#[test]
fn more_than_one_request_may_ask_for() {
    let mut desk = Desk::new(|config| {
        config.limits.log_blocks = 10;
        config.limits.logs = 3;
        config.limits.mined_at_once = 50;
    });
    let deployed = desk.call("eth_sendTransaction", &json!([{ "from": alice(), "data": creation(COUNTER) }]));
    let contract = desk.call("eth_getTransactionReceipt", &json!([deployed]))["contractAddress"].clone();
    for _ in 0..4 {
        desk.call("eth_sendTransaction", &json!([{ "from": alice(), "to": contract, "data": word(1) }]));
    }
    assert_eq!(desk.fault("eth_getLogs", &json!([{ "fromBlock": "0x0" }])), -32_005);
    assert_eq!(desk.call("eth_getLogs", &json!([{ "fromBlock": "0x3" }])).as_array().unwrap().len(), 3);
    desk.call("anvil_mine", &json!(["0x14"]));
    assert_eq!(desk.fault("eth_getLogs", &json!([{ "fromBlock": "0x0" }])), -32_005);
    assert_eq!(desk.fault("anvil_mine", &json!([51])), -32_005);
    assert_eq!(desk.fault("anvil_mine", &json!(["0xffffffffffffffff"])), -32_005);
    let slots: Vec<_> = (0..1_025).map(U256::from).collect();
    assert_eq!(desk.fault("eth_getProof", &json!([alice(), slots, "latest"])), -32_005);
    let words = |count: u64| (0..count).map(|slot| (format!("{slot:#066x}"), json!(word(1)))).collect();
    let overrides = json!({ (alice().to_string()): { "stateDiff": Value::Object(words(1_024)) } });
    assert_eq!(desk.fault("eth_call", &json!([{ "to": alice() }, "latest", overrides])), -32_005);
    assert_eq!(desk.fault("evm_setBlockGasLimit", &json!(["0xffffffffffffffff"])), -32_005);
    let long = Bytes::from(vec![2; devchain::TRANSACTION_BYTES_MAX + 1]);
    assert_eq!(desk.fault("eth_sendRawTransaction", &json!([long])), -32_005);
    assert_eq!(desk.fault("eth_feeHistory", &json!([1, "latest", vec![50; 101]])), -32_005);
    assert_eq!(desk.call("eth_blockNumber", &json!([])), "0x19");
}

#[test]
fn requests_and_answers_that_are_too_long() {
    let mut desk = Desk::new(|config| {
        config.limits.request_bytes = 10_000;
        config.limits.response_bytes = 10_000;
        config.limits.batch = 5;
    });
    let long =
        json!({ "jsonrpc": "2.0", "id": 1, "method": "web3_sha3", "params": [format!("0x{}", "00".repeat(6_000))] });
    let (status, _) = desk.client.post(long.to_string().as_bytes()).unwrap();
    assert!(status.contains("413"), "{status}");
    let address = desk.serving.as_ref().unwrap().address();
    desk.client = Client::connect(&format!("http://{address}")).unwrap();
    let one = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": [] });
    assert_eq!(desk.raw(json!(vec![one.clone(); 5]).to_string().as_bytes()).as_array().unwrap().len(), 5);
    assert!(desk.raw(json!(vec![one; 6]).to_string().as_bytes())["error"]["code"].is_i64());
    // Returns 32 KiB of nothing.
    desk.call("anvil_setCode", &json!([stranger(5), "0x6180005ff3"]));
    let answer = desk.client.try_call("eth_call", &json!([{ "to": stranger(5) }])).unwrap();
    assert_eq!(answer["error"]["code"], -32_008, "{answer}");
}

#[test]
fn types_that_unfold_to_more_than_there_is() {
    let mut desk = Desk::new(|_| {});
    let mut sign = |types: Value| {
        let data = json!({ "types": types, "primaryType": "T0", "domain": {}, "message": {} });
        desk.client.fault("eth_signTypedData_v4", &json!([alice(), data]))
    };
    let named = |of: &dyn Fn(usize) -> String, count: usize| -> Value {
        let types = (0..count).map(|index| {
            let member = |name: &str| json!({ "name": name, "type": of(index) });
            (format!("T{index}"), json!([member("a"), member("b")]))
        });
        Value::Object(types.collect())
    };
    for (types, words) in [
        (named(&|index| format!("T{}[]", index + 1), 60), "inner ones counted"),
        (named(&|index| format!("(T{0},T{0})", index + 1), 60), "inner ones counted"),
        (named(&|_| "T0".to_owned(), 1), "inside of itself"),
        (named(&|index| format!("T{}", (index + 1) % 5), 5), "inside of itself"),
        (named(&|_| "uint8".to_owned(), 100), "100 types"),
        (named(&|_| format!("uint8{}", "[]".repeat(500_000)), 1), "1000005 characters"),
        (named(&|_| "(".repeat(60), 1), ""),
    ] {
        let (code, message) = sign(types);
        assert!([-32_602, -32_005].contains(&code), "{code} {message}");
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn a_dump_that_is_small_and_unpacks_to_much() {
    let mut desk = Desk::new(|config| config.limits.response_bytes = 1 << 16);
    let pack = |length: usize| {
        let mut packed = GzEncoder::new(Vec::new(), Compression::best());
        packed.write_all(&vec![b' '; length]).unwrap();
        packed.write_all(br#"{"accounts":{}}"#).unwrap();
        Bytes::from(packed.finish().unwrap())
    };
    assert_eq!(desk.call("anvil_loadState", &json!([pack(1_000)])), true);
    let (code, message) = desk.client.fault("anvil_loadState", &json!([pack(64 << 20)]));
    assert_eq!((code, message.contains("longer than 65536 bytes")), (-32_602, true), "{message}");
}

#[test]
fn a_loop_ends_with_its_gas() {
    let mut desk = Desk::new(|_| {});
    let forever = json!([{ "from": alice(), "data": "0x5b5f56", "gas": "0xffffffffffffff" }]);
    assert_eq!(desk.fault("eth_call", &forever), -32_603);
    assert_eq!(desk.fault("eth_estimateGas", &forever), -32_003);
    let trace = desk.call("debug_traceCall", &json!([{ "data": "0x5b5f56" }, "latest", { "tracer": "callTracer" }]));
    assert_eq!(trace["error"], "out of gas");
    // Code that calls itself as deep as it can.
    let account = stranger(5);
    desk.call("anvil_setCode", &json!([account, "0x5f5f5f5f5f305af1"]));
    let trace = desk
        .call("debug_traceCall", &json!([{ "to": account, "gas": "0x8000" }, "latest", { "tracer": "callTracer" }]));
    assert!(trace["calls"][0]["calls"][0]["calls"].is_array());
}

#[test]
fn a_trace_is_bounded() {
    let mut desk = Desk::new(|config| config.limits.trace_frames = 100);
    let account = stranger(5);
    // Calls an empty account until its gas is gone.
    desk.call("anvil_setCode", &json!([account, "0x5b5f5f5f5f5f60995af1505f56"]));
    let request = json!([{ "to": account, "gas": "0x100000" }, "latest", { "tracer": "callTracer" }]);
    assert_eq!(desk.fault("debug_traceCall", &request), -32_003);
    // Steps with a memory that grows until an answer cannot hold them.
    desk.call("anvil_setCode", &json!([account, "0x5b5959525f56"]));
    let all = json!([{ "to": account }, "latest", { "enableMemory": true }]);
    assert_eq!(desk.fault("debug_traceCall", &all), -32_003);
    let few = json!([{ "to": account }, "latest", { "enableMemory": true, "limit": 10 }]);
    assert_eq!(desk.call("debug_traceCall", &few)["structLogs"].as_array().unwrap().len(), 10);
}

#[test]
fn zero_and_the_greatest_numbers() {
    let mut desk = Desk::new(|_| {});
    let greatest = format!("0x{}", "f".repeat(64));
    for request in [
        json!({ "value": greatest }),
        json!({ "maxFeePerGas": "0xffffffffffffffffffffffffffffffff", "gas": "0x5208" }),
        json!({ "gasPrice": "0xffffffffffffffffffffffffffffffff", "gas": "0xffffffffffffffff" }),
        json!({ "nonce": "0xffffffffffffffff", "gasPrice": "0xffffffffffffffffffffffffffffffff", "gas": "0x5208" }),
        json!({ "gas": "0x0" }),
    ] {
        let mut whole = json!({ "from": alice(), "to": stranger(1) });
        whole.as_object_mut().unwrap().extend(request.as_object().unwrap().clone());
        let code = desk.fault("eth_sendTransaction", &json!([whole]));
        assert!([-32_000, -32_003].contains(&code), "{request}: {code}");
    }
    desk.call("anvil_setBalance", &json!([stranger(2), greatest]));
    assert_eq!(desk.call("eth_getBalance", &json!([stranger(2)])), greatest);
    desk.call("anvil_addBalance", &json!([stranger(2), "0x1"]));
    assert_eq!(desk.call("eth_getBalance", &json!([stranger(2)])), greatest);
    desk.call("anvil_setNonce", &json!([alice(), "0xffffffffffffffff"]));
    assert_eq!(
        desk.fault("eth_sendTransaction", &json!([{ "from": alice(), "to": stranger(1), "gas": "0x5208" }])),
        -32_003
    );
    desk.call("evm_increaseTime", &json!(["0xffffffffffffffff"]));
    desk.call("evm_mine", &json!([]));
    desk.call("evm_increaseTime", &json!(["0xffffffffffffffff"]));
    desk.call("evm_mine", &json!([]));
    desk.call("anvil_setNextBlockBaseFeePerGas", &json!(["0xffffffffffffffff"]));
    desk.call("evm_mine", &json!([]));
    desk.call("evm_mine", &json!([]));
    desk.call("evm_setBlockGasLimit", &json!(["0x0"]));
    desk.call("evm_mine", &json!([]));
    desk.call("evm_mine", &json!([]));
    desk.call("eth_feeHistory", &json!(["0x400", "latest", [0, 100]]));
}

#[test]
fn pages_of_other_machines() {
    let mut desk = Desk::new(|_| {});
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_accounts", "params": [] }).to_string();
    let socket = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                  sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for (headers, status) in [
        ("host: localhost:8545\r\n", "200"),
        ("host: 127.0.0.1\r\norigin: http://localhost:3000\r\n", "200"),
        ("host: evil.example\r\n", "403"),
        ("host: localhost\r\norigin: https://evil.example\r\n", "403"),
        ("host: localhost\r\norigin: null\r\n", "403"),
        (&format!("host: localhost\r\norigin: https://evil.example\r\n{socket}"), "403"),
    ] {
        let (line, _) = desk.client.post_with(headers, body.as_bytes()).unwrap();
        assert!(line.contains(status), "{headers}: {line}");
    }
}

#[test]
fn a_filter_that_nobody_asks_makes_room() {
    let mut desk = Desk::new(|config| config.limits.filters = 2);
    let filters: Vec<_> = (0..3).map(|_| desk.call("eth_newBlockFilter", &json!([]))).collect();
    assert_eq!(desk.fault("eth_getFilterChanges", &json!([filters[0]])), -32_000);
    assert_eq!(desk.call("eth_getFilterChanges", &json!([filters[2]])), json!([]));
}
