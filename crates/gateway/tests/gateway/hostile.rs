//! Clients and hosts that misbehave: each gets one clear error, and the gateway serves on.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use api::ApiError;
use axum::body::Body;
use axum::http::{Method, Request};
use bytes::Bytes;
use claim::{Amount, ChoiceIndex, Endpoint, Finish, Nonce, TokenCount};
use gateway::store::ReceiptStore;
use gateway::{Gateway, router, serve};
use host::event::Done;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::Instant;

use crate::client::Desk;
use crate::stand_ins::disk::SmallDisk;
use crate::stand_ins::hosts::{Babbler, Deserter, Panicker, Parrot, Refuser, Spoiler};
use crate::stand_ins::{Asked, receipt};

const CHAT: &str = "/v1/chat/completions";

fn chat(stream: bool) -> serde_json::Value {
    json!({"model": "parrot", "messages": [{"role": "user", "content": "x"}], "stream": stream})
}

async fn serves_on(desk: &Desk) {
    assert_eq!(desk.post(CHAT, &chat(false)).await.status, 200);
}

#[tokio::test]
async fn bodies_that_cannot_be_read_are_refused() {
    let desk = Desk::of(Parrot::saying(&["a"]));
    for path in [CHAT, "/v1/completions", "/v1/responses"] {
        desk.post_bytes(path, "").await.is_error(400, None);
        desk.post_bytes(path, "{\"model\":").await.is_error(400, None);
        desk.post_bytes(path, &b"{\"model\": \"\xff\xfe\"}"[..]).await.is_error(400, None);
        desk.post_bytes(path, "[".repeat(1_000_000)).await.is_error(400, None);
        desk.post_bytes(path, "[]").await.is_error(400, Some("invalid_type"));
        desk.post_bytes(path, "{}").await.is_error(400, Some("missing_required_parameter"));
    }
    serves_on(&desk).await;
}

#[tokio::test]
async fn a_body_of_100_megabytes_is_refused_without_being_kept() {
    let desk = Desk::of(Parrot::saying(&["a"]));
    let chunk = Bytes::from(vec![b' '; 1 << 20]);
    let stream = futures_util::stream::iter((0..100).map(move |_| Ok::<_, std::convert::Infallible>(chunk.clone())));
    desk.post_bytes(CHAT, Body::from_stream(stream)).await.is_error(413, Some("request_too_large"));
    serves_on(&desk).await;
}

/// A body that is `bytes`, tells when they have been taken, and ends when it may.
fn stalling(bytes: Bytes, taken: &mpsc::Sender<()>, end: &Arc<Semaphore>) -> Body {
    let (taken, end) = (taken.clone(), Arc::clone(end));
    let rest = async move {
        taken.send(()).await.unwrap();
        _ = end.acquire().await;
        Ok::<_, std::convert::Infallible>(Bytes::new())
    };
    let bytes = futures_util::stream::iter([Ok(bytes)]);
    Body::from_stream(futures_util::StreamExt::chain(bytes, futures_util::stream::once(rest)))
}

#[tokio::test]
async fn long_bodies_find_room_or_a_clear_answer_and_short_ones_always_find_it() {
    let desk = Arc::new(Desk::of(Parrot::saying(&["a"])));
    let (taken, mut counted) = mpsc::channel(16);
    let end = Arc::new(Semaphore::new(0));
    let longest = Bytes::from(vec![b' '; api::limits::BODY_BYTES_MAX]);
    let stalled: Vec<_> = (0..16)
        .map(|_| {
            let (desk, body) = (Arc::clone(&desk), stalling(longest.clone(), &taken, &end));
            tokio::spawn(async move { desk.post_bytes(CHAT, body).await })
        })
        .collect();
    for _ in 0..16 {
        counted.recv().await.unwrap();
    }
    let long = " ".repeat(100 << 10) + &chat(false).to_string();
    let reply = desk.post_bytes(CHAT, long.clone()).await;
    reply.is_error(429, Some("server_overloaded"));
    assert_eq!(reply.header("retry-after"), "5");
    serves_on(&desk).await;
    end.add_permits(16);
    for reply in stalled {
        reply.await.unwrap().is_error(400, None);
    }
    assert_eq!(desk.post_bytes(CHAT, long).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stalls_is_given_a_minute() {
    let desk = Desk::of(Parrot::saying(&["a"]));
    let started = Instant::now();
    let (taken, end) = (mpsc::channel(16), Arc::new(Semaphore::new(0)));
    desk.post_bytes(CHAT, stalling(Bytes::from_static(b"{"), &taken.0, &end))
        .await
        .is_error(408, Some("request_timeout"));
    assert_eq!(started.elapsed().as_secs(), 60);
}

/// Connections that say nothing, or never finish saying it, or fall silent after an answer.
#[tokio::test(start_paused = true)]
async fn a_head_that_stalls_is_given_half_a_minute() {
    let (address, stop, task) = listening(Parrot::saying(&["a"])).await;
    for said in
        ["", "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx-slow:", "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"]
    {
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.write_all(said.as_bytes()).await.unwrap();
        let started = Instant::now();
        let closed = tokio::time::timeout(Duration::from_hours(1), socket.read_to_end(&mut Vec::new())).await;
        assert!(closed.is_ok(), "the connection is closed: {said:?}");
        assert!(started.elapsed() <= Duration::from_secs(31), "{said:?}: {:?}", started.elapsed());
    }
    stop.send(()).unwrap();
    task.await.unwrap();
}

#[tokio::test]
async fn a_body_that_breaks_off_is_refused() {
    let desk = Desk::of(Parrot::saying(&["a"]));
    let pieces = [Ok(Bytes::from_static(b"{")), Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset))];
    let body = Body::from_stream(futures_util::stream::iter(pieces));
    desk.post_bytes(CHAT, body).await.is_error(400, Some("request_incomplete"));
    serves_on(&desk).await;
}

#[tokio::test]
async fn unknown_models_routes_and_methods_have_openais_shape() {
    let desk = Desk::of(Parrot::saying(&["a"]));
    let mut body = chat(false);
    body["model"] = json!("gpt-9");
    let reply = desk.post(CHAT, &body).await;
    reply.is_error(404, Some("model_not_found"));
    assert_eq!(reply.json()["error"]["message"], "The model `gpt-9` does not exist or you do not have access to it.");
    desk.get("/v2/nothing").await.is_error(404, Some("unknown_url"));
    desk.get(CHAT).await.is_error(405, Some("method_not_supported"));
    let delete = Request::builder().method(Method::DELETE).uri("/v1/models").body(Body::empty()).unwrap();
    desk.send(delete).await.is_error(405, Some("method_not_supported"));
    desk.get("/v1/receipts/%ff").await.is_error(400, Some("invalid_receipt_id"));
    desk.get("/v1/models/%ff").await.is_error(404, Some("model_not_found"));
}

#[tokio::test]
async fn a_full_queue_says_when_to_come_back() {
    let desk = Desk::of(Refuser(ApiError::Overloaded { jobs_max: 8, retry_after_s: 3 }));
    let reply = desk.post(CHAT, &chat(true)).await;
    reply.is_error(429, Some("server_overloaded"));
    assert_eq!(reply.header("retry-after"), "3");
    let reply = Desk::of(Refuser(ApiError::Stopping)).post(CHAT, &chat(false)).await;
    reply.is_error(503, Some("server_stopping"));
}

#[tokio::test]
async fn a_panic_is_one_requests_problem() {
    let desk = Desk::of(Panicker);
    desk.post(CHAT, &chat(false)).await.is_error(500, Some("internal_error"));
    desk.get("/v1/models").await.is_error(500, Some("internal_error"));
    let large = json!({"model": "x", "messages": [{"role": "user", "content": "x".repeat(1 << 20)}]});
    desk.post(CHAT, &large).await.is_error(500, Some("internal_error"));
    assert_eq!(desk.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn a_host_that_deserts_leaves_an_error_and_no_end() {
    let silent = || Desk::of(Deserter { last_words: None });
    silent().post(CHAT, &chat(false)).await.is_error(500, Some("internal_error"));
    let events = silent().post(CHAT, &chat(true)).await.events();
    assert_eq!(events.last().unwrap()["error"]["code"], "internal_error", "and no [DONE]");
    let error = ApiError::GrammarRejected { param: "response_format", problem: "too complex".to_owned() };
    let loud = || Desk::of(Deserter { last_words: Some(error.clone()) });
    loud().post(CHAT, &chat(false)).await.is_error(400, Some("invalid_json_schema"));
    let events =
        loud().post("/v1/completions", &json!({"model": "parrot", "prompt": "x", "stream": true})).await.events();
    assert_eq!(events.last().unwrap()["error"]["code"], "invalid_json_schema");
    let events = loud().post("/v1/responses", &json!({"model": "parrot", "input": "x", "stream": true})).await.events();
    let last = events.last().unwrap();
    assert_eq!((&last["type"], &last["response"]["status"]), (&json!("response.failed"), &json!("failed")));
}

#[tokio::test]
async fn what_does_not_open_its_receipt_is_withheld_and_not_kept() {
    type Fault = (fn(&mut Done), &'static str);
    let faults: [Fault; 5] = [
        (|done| _ = done.evidence.output.pop(), "the output that the host handed over is not what it signed"),
        (|done| done.evidence.states.clear(), "the states that the host handed over is not what it signed"),
        (|done| done.evidence.nonce = Nonce::ZERO, "the request that the host handed over is not what it signed"),
        (|done| done.receipt.receipt.total = Amount::new(1), "the host has not signed its receipt"),
        (|done| *done = another_answer(done.choice), "the host's receipt is for another request"),
    ];
    for (spoil, problem) in faults {
        let desk = Desk::of(Spoiler { parrot: Parrot::saying(&["a", "b"]), spoil });
        let reply = desk.post(CHAT, &chat(false)).await;
        reply.is_error(502, Some("host_unsound"));
        assert_eq!(reply.json()["error"]["message"], format!("The answer is withheld: {problem}."));
        let events = desk.post(CHAT, &chat(true)).await.events();
        assert_eq!(events.last().unwrap()["error"]["code"], "host_unsound");
        assert_eq!(desk.get("/v1/receipts").await.json()["data"], json!([]));
    }
}

/// An answer to somebody else, sound in itself.
fn another_answer(choice: ChoiceIndex) -> Done {
    let asked = Asked { endpoint: Endpoint::Chat, request: b"{}", nonce: Nonce::ZERO, client: None };
    let stored = receipt(asked, choice.get(), &[0, 1], Finish::Stop, "ab");
    let (finish, tail, cached) = (Finish::Stop, String::new(), TokenCount::new(0));
    Done { choice, finish, tail, cached, receipt: stored.receipt, evidence: stored.evidence }
}

#[tokio::test]
async fn without_room_for_its_receipt_an_answer_is_withheld() {
    let disk = SmallDisk::new(u64::MAX);
    let opener = disk.clone();
    let store = ReceiptStore::with_opener(u64::MAX, Box::new(move || opener.open())).unwrap();
    let desk = Desk::with_store(Parrot::saying(&["a"]), store);
    let first = desk.post(CHAT, &chat(false)).await;
    disk.set_room(0);
    desk.post(CHAT, &chat(false)).await.is_error(507, Some("storage_full"));
    let events = desk.post(CHAT, &chat(true)).await.events();
    assert_eq!(events.last().unwrap()["error"]["code"], "storage_full");
    assert!(!events.iter().any(|event| event == "[DONE]" || event["candor"].get("receipts").is_some()));
    disk.set_room(u64::MAX);
    serves_on(&desk).await;
    let kept = desk.get(&format!("/v1/receipts/{}", first.header("x-candor-receipt"))).await;
    assert_eq!(kept.status, 200);
}

/// A gateway on a socket, and what stops it.
async fn listening(
    host: impl gateway::Serve,
) -> (std::net::SocketAddr, oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
    let folder = tempfile::tempdir().unwrap();
    let store = ReceiptStore::open(&folder.path().join("receipts.redb"), u64::MAX).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let router = router(Gateway { host: Arc::new(host), store: Arc::new(store) });
    let task = tokio::spawn(async move {
        let _folder = folder;
        serve(listener, router, async { _ = stopped.await }).await;
    });
    (address, stop, task)
}

fn request(path: &str, body: &serde_json::Value) -> String {
    let body = body.to_string();
    format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_vanish_cancel_their_answers() {
    let host = Babbler::default();
    let (hung_up, begun, gone) = (Arc::clone(&host.hung_up), Arc::clone(&host.begun), Arc::clone(&host.gone));
    let (address, stop, task) = listening(host).await;
    for stream in [true, false] {
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.write_all(request(CHAT, &chat(stream)).as_bytes()).await.unwrap();
        begun.notified().await;
        if stream {
            let mut head = [0; 512];
            assert!(socket.read(&mut head).await.unwrap() > 0, "the stream has begun");
        }
        drop(socket);
        gone.notified().await;
    }
    assert_eq!(hung_up.load(Ordering::SeqCst), 2);
    stop.send(()).unwrap();
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_is_given_a_minute() {
    let host = Babbler::default();
    let (begun, gone) = (Arc::clone(&host.begun), Arc::clone(&host.gone));
    let (address, stop, task) = listening(host).await;
    let mut deaf = TcpStream::connect(address).await.unwrap();
    deaf.write_all(request(CHAT, &chat(true)).as_bytes()).await.unwrap();
    begun.notified().await;
    let started = Instant::now();
    gone.notified().await;
    assert!(started.elapsed() <= Duration::from_secs(61), "{:?}", started.elapsed());
    stop.send(()).unwrap();
    task.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_a_socket_a_large_body_gets_its_error_and_a_stream_its_end() {
    let (address, stop, task) = listening(Parrot::saying(&["a", "b"])).await;
    let mut socket = TcpStream::connect(address).await.unwrap();
    let size = 100 << 20;
    let head = format!("POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-length: {size}\r\nconnection: close\r\n\r\n");
    socket.write_all(head.as_bytes()).await.unwrap();
    let chunk = vec![b'x'; 1 << 20];
    for _ in 0..100 {
        socket.write_all(&chunk).await.unwrap();
    }
    let mut reply = String::new();
    socket.read_to_string(&mut reply).await.unwrap();
    assert!(reply.starts_with("HTTP/1.1 413") && reply.contains("request_too_large"), "{reply}");

    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(request(CHAT, &chat(true)).as_bytes()).await.unwrap();
    let mut reply = String::new();
    socket.read_to_string(&mut reply).await.unwrap();
    assert!(reply.starts_with("HTTP/1.1 200") && reply.contains("data: [DONE]"), "{reply}");
    stop.send(()).unwrap();
    task.await.unwrap();
}
