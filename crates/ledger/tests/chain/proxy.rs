//! A proxy in front of a chain that makes faults.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, JoinSet};

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The chain never sees it, and the connection is cut.
    LosesTheRequest,
    /// The chain does it, and the connection is cut.
    LosesTheAnswer,
    /// The chain does it, and the answer does not come as long as anybody waits.
    AnswersTooLate,
    /// The chain does it, and the gateway says with an HTTP status that something is wrong.
    SaysBadGateway,
    /// The same, and beside the status it puts words into the chain's mouth.
    SaysBadGatewayAndNonceTooLow,
    /// The chain does it, and the answer is an error of JSON-RPC, as that of a gateway that tries twice.
    SaysNonceTooLow,
    SaysAlreadyKnown,
    SaysInternalError,
    /// The chain does it, and the answer is no JSON.
    AnswersAPage,
    /// The chain does it, and the answer goes on for as long as anybody reads.
    AnswersWithoutEnd,
    /// The chain does it, and the answer is null: what a node says that is behind.
    KnowsNothingYet,
    /// The chain does it, and the answer is another result.
    Answers(&'static str),
    /// The request waits until it is let go.
    IsHeld,
}

/// A fault, and how often it happens to one and the same request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    pub(crate) method: &'static str,
    pub(crate) fault: Fault,
    pub(crate) times: usize,
}

impl Rule {
    pub(crate) fn once(method: &'static str, fault: Fault) -> Self {
        Self { method, fault, times: 1 }
    }

    pub(crate) fn always(method: &'static str, fault: Fault) -> Self {
        Self { method, fault, times: usize::MAX }
    }
}

type Choose = dyn FnMut(&str, usize) -> Option<Fault> + Send;

/// What has come by, oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// Methods and parameters as they came.
    pub(crate) requests: Vec<(String, Value)>,
    /// How many of each method the chain has done.
    done: HashMap<String, usize>,
    /// How many were held.
    held: usize,
    /// How many have come and are not answered.
    open: usize,
}

struct Desk {
    chain: SocketAddr,
    choose: Mutex<Box<Choose>>,
    seen: watch::Sender<Seen>,
    gate: Notify,
}

/// The proxy. It ends when it is dropped.
pub(crate) struct Proxy {
    pub(crate) url: String,
    desk: Arc<Desk>,
    task: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    /// One that follows rules; the first that fits a request and is not used up is taken.
    pub(crate) async fn with(chain: SocketAddr, rules: &[Rule]) -> Self {
        let rules = rules.to_vec();
        Self::choosing(chain, move |method, before| {
            let mut before = before;
            for rule in rules.iter().filter(|rule| rule.method == method) {
                if before < rule.times {
                    return Some(rule.fault);
                }
                before -= rule.times;
            }
            None
        })
        .await
    }

    /// One that is told what to do with a request by its method and how often the very same has come before.
    pub(crate) async fn choosing(
        chain: SocketAddr,
        choose: impl FnMut(&str, usize) -> Option<Fault> + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = watch::Sender::new(Seen::default());
        let desk = Arc::new(Desk { chain, choose: Mutex::new(Box::new(choose)), seen, gate: Notify::new() });
        let task = tokio::spawn(accept(listener, desk.clone()));
        Self { url, desk, task }
    }

    /// Waits until the chain has done so many requests of a method.
    pub(crate) async fn done(&self, method: &str, count: usize) {
        let mut seen = self.desk.seen.subscribe();
        seen.wait_for(|seen| seen.done.get(method).is_some_and(|done| *done >= count)).await.unwrap();
    }

    /// Waits until all that has come is answered.
    pub(crate) async fn idle(&self) {
        let mut seen = self.desk.seen.subscribe();
        seen.wait_for(|seen| seen.open == 0).await.unwrap();
    }

    /// Waits until a request is held.
    pub(crate) async fn held(&self) {
        let mut seen = self.desk.seen.subscribe();
        seen.wait_for(|seen| seen.held > 0).await.unwrap();
    }

    /// Lets the request go that is held.
    pub(crate) fn release(&self) {
        self.desk.gate.notify_one();
    }

    /// The parameters of all requests of a method, in order.
    pub(crate) fn requests(&self, method: &str) -> Vec<Value> {
        let seen = self.desk.seen.borrow();
        seen.requests.iter().filter(|(found, _)| found == method).map(|(_, parameters)| parameters.clone()).collect()
    }
}

async fn accept(listener: TcpListener, desk: Arc<Desk>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted.unwrap();
                let desk = desk.clone();
                // Whoever is gone before the answer has not waited for it.
                connections.spawn(async move { drop(serve(stream, &desk).await) });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Answers one request, and closes the connection.
async fn serve(stream: TcpStream, desk: &Desk) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let body = read(&mut stream).await?;
    let request: Value = serde_json::from_slice(&body)?;
    let method = request["method"].as_str().unwrap().to_owned();
    let parameters = request["params"].clone();
    let mut before = 0;
    desk.seen.send_modify(|seen| {
        let one = (method.clone(), parameters);
        before = seen.requests.iter().filter(|other| **other == one).count();
        seen.requests.push(one);
        seen.open += 1;
    });
    let answered = answer(&mut stream, desk, &request, &method, before, &body).await;
    desk.seen.send_modify(|seen| seen.open -= 1);
    answered
}

/// Does what a request asks for, or makes a fault.
async fn answer(
    stream: &mut BufReader<TcpStream>,
    desk: &Desk,
    request: &Value,
    method: &str,
    before: usize,
    body: &[u8],
) -> std::io::Result<()> {
    let fault = (desk.choose.lock().unwrap())(method, before);
    match fault {
        Some(Fault::LosesTheRequest) => return Ok(()),
        Some(Fault::IsHeld) => {
            desk.seen.send_modify(|seen| seen.held += 1);
            desk.gate.notified().await;
        }
        _ => {}
    }
    let answer = post(desk.chain, body).await?;
    desk.seen.send_modify(|seen| *seen.done.entry(method.to_owned()).or_default() += 1);
    let error = |code: i64, message: &str| {
        json!({ "jsonrpc": "2.0", "id": request["id"], "error": { "code": code, "message": message } }).to_string()
    };
    let result = |value: Value| json!({ "jsonrpc": "2.0", "id": request["id"], "result": value }).to_string();
    let nonce_too_low = || error(-32_000, "nonce too low");
    let (status, answer) = match fault {
        None | Some(Fault::IsHeld) => ("200 OK", answer),
        Some(Fault::LosesTheRequest | Fault::LosesTheAnswer) => return Ok(()),
        Some(Fault::AnswersTooLate) => {
            // Until the other side hangs up.
            stream.read_u8().await?;
            return Ok(());
        }
        Some(Fault::AnswersWithoutEnd) => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n").await?;
            loop {
                stream.write_all(&[b' '; 1 << 12]).await?;
            }
        }
        Some(Fault::SaysBadGateway) => ("502 Bad Gateway", "upstream timed out".to_owned()),
        Some(Fault::SaysBadGatewayAndNonceTooLow) => ("502 Bad Gateway", nonce_too_low()),
        Some(Fault::SaysNonceTooLow) => ("200 OK", nonce_too_low()),
        Some(Fault::SaysAlreadyKnown) => ("200 OK", error(-32_000, "already known")),
        Some(Fault::SaysInternalError) => ("200 OK", error(-32_603, "internal error")),
        Some(Fault::AnswersAPage) => ("200 OK", "<html><body>Please sign in</body></html>".to_owned()),
        Some(Fault::KnowsNothingYet) => ("200 OK", result(Value::Null)),
        Some(Fault::Answers(text)) => ("200 OK", result(serde_json::from_str(text)?)),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        answer.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

/// Reads the head of a message and its body.
async fn read(stream: &mut BufReader<TcpStream>) -> std::io::Result<Vec<u8>> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok(body)
}

/// Asks a chain that answers as it should.
pub(crate) async fn post(chain: SocketAddr, body: &[u8]) -> std::io::Result<String> {
    let mut stream = BufReader::new(TcpStream::connect(chain).await?);
    let head = format!(
        "POST / HTTP/1.1\r\nhost: {chain}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body).await?;
    stream.flush().await?;
    Ok(String::from_utf8(read(&mut stream).await?).unwrap())
}
