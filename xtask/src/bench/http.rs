//! The little of HTTP/1.1 that measuring needs: one kept-open connection, JSON both ways.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// Longest body that is read, in bytes; far above any answer with evidence.
const BODY_BYTES_MAX: usize = 64 << 20;

/// One connection.
pub(super) struct Client {
    stream: BufReader<TcpStream>,
    address: String,
}

/// An answer with status 200.
pub(super) struct Answer {
    /// Names in lower case.
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Value,
}

impl Client {
    pub(super) fn connect(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream), address: address.to_owned() })
    }

    pub(super) fn get(&mut self, path: &str) -> Result<Answer> {
        let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\n\r\n", self.address);
        self.exchange(path, request.as_bytes())
    }

    pub(super) fn post(&mut self, path: &str, body: &Value) -> Result<Answer> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let head = format!("POST {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n", self.address);
        let request = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
        self.exchange(path, request.as_bytes())
    }

    fn exchange(&mut self, path: &str, request: &[u8]) -> Result<Answer> {
        self.stream.get_mut().write_all(request)?;
        let status = self.line()?;
        let mut headers = BTreeMap::new();
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(':') else { break };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let chunked = headers.get("transfer-encoding").is_some_and(|coding| coding == "chunked");
        let bytes = if chunked { self.chunks()? } else { self.counted(headers.get("content-length"))? };
        if !status.starts_with("HTTP/1.1 200") {
            bail!("{path} answers {status}: {}", String::from_utf8_lossy(&bytes));
        }
        let body = serde_json::from_slice(&bytes).with_context(|| format!("{path} answers with other than JSON"))?;
        Ok(Answer { headers, body })
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            bail!("the node closed the connection");
        }
        Ok(line.trim_end().to_owned())
    }

    fn counted(&mut self, length: Option<&String>) -> Result<Vec<u8>> {
        self.exactly(length.context("an answer says no length")?.parse()?)
    }

    fn exactly(&mut self, length: usize) -> Result<Vec<u8>> {
        if length > BODY_BYTES_MAX {
            bail!("an answer of {length} bytes, the limit is {BODY_BYTES_MAX}");
        }
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn chunks(&mut self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        loop {
            let length = usize::from_str_radix(&self.line()?, 16)?;
            bytes.append(&mut self.exactly(length)?);
            self.line()?;
            if length == 0 {
                return Ok(bytes);
            }
            if bytes.len() > BODY_BYTES_MAX {
                bail!("an answer over {BODY_BYTES_MAX} bytes");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use serde_json::json;

    use super::Client;

    /// Serves fixed answers, one a request, and returns the address.
    fn server(answers: &'static [&'static str]) -> anyhow::Result<String> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        std::thread::spawn(move || -> std::io::Result<()> {
            let (mut stream, _) = listener.accept()?;
            for answer in answers {
                assert!(stream.read(&mut [0; 4096])? > 0);
                stream.write_all(answer.as_bytes())?;
            }
            Ok(())
        });
        Ok(address)
    }

    #[test]
    fn counted_and_chunked_bodies_on_one_connection() -> anyhow::Result<()> {
        let address = server(&[
            "HTTP/1.1 200 OK\r\nX-Name: value\r\ncontent-length: 7\r\n\r\n{\"a\":1}",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\n[1,\r\n2\r\n2]\r\n0\r\n\r\n",
            "HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n{}",
        ])?;
        let mut client = Client::connect(&address)?;
        let first = client.get("/one")?;
        assert_eq!((first.body, first.headers["x-name"].as_str()), (json!({"a": 1}), "value"));
        assert_eq!(client.post("/two", &json!({}))?.body, json!([1, 2]));
        let refused = client.get("/three").err().map(|error| error.to_string());
        assert_eq!(refused.as_deref(), Some("/three answers HTTP/1.1 404 Not Found: {}"));
        Ok(())
    }
}
