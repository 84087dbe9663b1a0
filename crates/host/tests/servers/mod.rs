//! File servers on the loopback interface, each named by its fault.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// What a server does wrong.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// Nothing; serves ranges too.
    Honest,
    /// Sends at most so many bytes of each answer.
    Truncating { after: usize },
    /// Sends the whole file whatever range was asked for.
    IgnoringRanges,
    /// Sends elsewhere once.
    Redirecting,
    /// Sends elsewhere for ever.
    Circling,
    /// Names another SHA-256 before the file.
    Promising { hash: String },
    /// Sends more and more without announcing a length.
    Endless,
    /// Answers 403.
    Refusing,
    /// Takes the connection and says nothing.
    Silent,
}

/// A running server; it stops when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    /// Every connection so far, so that a client that no longer reads cannot hold the server up at its end.
    connections: Arc<Mutex<Vec<TcpStream>>>,
    is_stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start(fault: Fault, file: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let is_stopping = Arc::new(AtomicBool::new(false));
        let connections = Arc::new(Mutex::new(Vec::new()));
        let (log, stop, held) = (Arc::clone(&requests), Arc::clone(&is_stopping), Arc::clone(&connections));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let stream = stream.unwrap();
                held.lock().unwrap().push(stream.try_clone().unwrap());
                if !matches!(fault, Fault::Silent) {
                    // A client that has heard enough hangs up, which is none of the server's faults.
                    drop(answer(&stream, &fault, &file, &log));
                    drop(stream.shutdown(Shutdown::Both));
                }
            }
        });
        Self { address, requests, connections, is_stopping, thread: Some(thread) }
    }

    pub(crate) fn address(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Method, path and range of each request so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_stopping.store(true, Ordering::SeqCst);
        for connection in self.connections.lock().unwrap().iter() {
            drop(connection.shutdown(Shutdown::Both));
        }
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn answer(stream: &TcpStream, fault: &Fault, file: &[u8], log: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    let target = first.trim_end_matches(" HTTP/1.1").to_owned();
    let mut start = None;
    for line in lines {
        let line = line?.to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(range) = line.strip_prefix("range: bytes=") {
            start = range.trim_end_matches('-').parse::<usize>().ok();
        }
    }
    let range = start.map_or_else(String::new, |start| format!(" bytes={start}-"));
    log.lock().unwrap().push(format!("{target}{range}"));
    let is_elsewhere = target.ends_with("/elsewhere");
    let mut to = stream;
    match fault {
        Fault::Refusing => to.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"),
        Fault::Circling => redirect(stream),
        Fault::Redirecting if !is_elsewhere => redirect(stream),
        Fault::Promising { hash } => {
            write!(to, "HTTP/1.1 200 OK\r\nx-linked-etag: \"{hash}\"\r\n")?;
            write!(to, "content-length: {}\r\nconnection: close\r\n\r\n", file.len())?;
            to.write_all(file)
        }
        Fault::Endless => {
            to.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")?;
            (0..1_000).try_for_each(|_| to.write_all(&[0; 4096]))
        }
        Fault::Truncating { after } => serve(stream, file, start, *after),
        Fault::IgnoringRanges => serve(stream, file, None, usize::MAX),
        Fault::Honest | Fault::Redirecting | Fault::Silent => serve(stream, file, start, usize::MAX),
    }
}

fn redirect(mut to: &TcpStream) -> std::io::Result<()> {
    to.write_all(b"HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
}

fn serve(mut to: &TcpStream, file: &[u8], start: Option<usize>, bytes_max: usize) -> std::io::Result<()> {
    let begin = start.unwrap_or(0).min(file.len());
    let body = &file[begin..];
    match start {
        Some(_) => write!(
            to,
            "HTTP/1.1 206 Partial Content\r\ncontent-range: bytes {begin}-{}/{}\r\n",
            file.len() - 1,
            file.len()
        )?,
        None => to.write_all(b"HTTP/1.1 200 OK\r\n")?,
    }
    write!(to, "content-length: {}\r\nconnection: close\r\n\r\n", body.len())?;
    to.write_all(&body[..body.len().min(bytes_max)])
}
