//! The little of HTTP/1.1 that asking a chain needs.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;

use serde_json::{Value, json};

/// One connection to a chain.
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    pub(crate) fn connect(url: &str) -> std::io::Result<Self> {
        let stream = TcpStream::connect(url.trim_start_matches("http://"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Sends a body and returns the status line and the body of the answer.
    pub(crate) fn post(&mut self, body: &[u8]) -> std::io::Result<(String, Vec<u8>)> {
        self.post_with("host: localhost\r\n", body)
    }

    /// The same with these headers beside those of any body.
    pub(crate) fn post_with(&mut self, headers: &str, body: &[u8]) -> std::io::Result<(String, Vec<u8>)> {
        let head = format!(
            "POST / HTTP/1.1\r\n{headers}content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let stream = self.stream.get_mut();
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)?;
        let mut status = String::new();
        self.stream.read_line(&mut status)?;
        let mut length = 0;
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            if line == "\r\n" {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer)?;
        Ok((status.trim_end().to_owned(), answer))
    }

    /// Calls a method: the whole answer, or none when the chain is gone.
    pub(crate) fn try_call(&mut self, method: &str, params: &Value) -> Option<Value> {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let (_, answer) = self.post(request.to_string().as_bytes()).ok()?;
        Some(serde_json::from_slice(&answer).unwrap())
    }

    /// Calls a method that answers.
    pub(crate) fn call(&mut self, method: &str, params: &Value) -> Value {
        let answer = self.try_call(method, params).unwrap();
        answer.get("result").cloned().unwrap_or_else(|| panic!("{method} {params}: {answer}"))
    }

    /// Calls a method that fails: the code and the message.
    pub(crate) fn fault(&mut self, method: &str, params: &Value) -> (i64, String) {
        let answer = self.try_call(method, params).unwrap();
        let error = answer.get("error").unwrap_or_else(|| panic!("{method} {params}: {answer}"));
        (error["code"].as_i64().unwrap(), error["message"].as_str().unwrap().to_owned())
    }
}
