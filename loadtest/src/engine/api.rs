//! The HTTP API, asked one question at a time over one kept-alive connection.
//!
//! Blocking and plain: setting up a hundred thousand endpoints is a matter of several of these, each on a thread
//! of its own.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

/// A silent API is given up after this time.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// An answer that is larger than this is none that is asked for here.
const ANSWER_BYTES_MAX: usize = 16 << 20;
const HEADERS_MAX: usize = 32;

/// A connection to the API.
pub(crate) struct Api {
    stream: TcpStream,
    address: SocketAddr,
    token: Option<String>,
    input: Vec<u8>,
}

struct Answer {
    status: u16,
    body: String,
}

impl Api {
    pub(crate) fn connect(address: SocketAddr, token: Option<String>) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).with_context(|| format!("the API at {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE_MAX))?;
        Ok(Self { stream, address, token, input: Vec::new() })
    }

    /// `POST path` with a JSON body; the JSON answer of a success.
    pub(crate) fn post(&mut self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let answer = self.ask("POST", path, &body.to_string())?;
        ensure!(answer.is_success(), "POST {path} was answered {}: {}", answer.status, answer.body);
        serde_json::from_str(&answer.body).with_context(|| format!("POST {path}"))
    }

    /// `POST path`, where it is as good if it is there already.
    pub(crate) fn post_unless_there(&mut self, path: &str, body: &Value) -> anyhow::Result<()> {
        let answer = self.ask("POST", path, &body.to_string())?;
        let there = answer.is_success() || answer.status == 409;
        ensure!(there, "POST {path} was answered {}: {}", answer.status, answer.body);
        Ok(())
    }

    /// `PATCH path` with a JSON body.
    pub(crate) fn patch(&mut self, path: &str, body: &Value) -> anyhow::Result<()> {
        let answer = self.ask("PATCH", path, &body.to_string())?;
        ensure!(answer.is_success(), "PATCH {path} was answered {}: {}", answer.status, answer.body);
        Ok(())
    }

    /// `DELETE path`.
    pub(crate) fn delete(&mut self, path: &str) -> anyhow::Result<()> {
        let answer = self.ask("DELETE", path, "")?;
        ensure!(answer.is_success(), "DELETE {path} was answered {}: {}", answer.status, answer.body);
        Ok(())
    }

    /// `GET path`, as it is.
    pub(crate) fn text(&mut self, path: &str) -> anyhow::Result<String> {
        let answer = self.ask("GET", path, "")?;
        ensure!(answer.is_success(), "GET {path} was answered {}: {}", answer.status, answer.body);
        Ok(answer.body)
    }

    /// The code with which `GET /api/v1/health/ready` says that it is not; `None` when it is.
    pub(crate) fn unready(&mut self) -> anyhow::Result<Option<String>> {
        let answer = self.ask("GET", "/api/v1/health/ready", "")?;
        if answer.is_success() {
            return Ok(None);
        }
        let body: Value = serde_json::from_str(&answer.body).context("GET /api/v1/health/ready")?;
        Ok(Some(body["code"].as_str().unwrap_or_default().to_owned()))
    }

    fn ask(&mut self, method: &str, path: &str, body: &str) -> anyhow::Result<Answer> {
        let token = self.token.as_ref().map(|token| format!("authorization: Bearer {token}\r\n"));
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\n{}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.address,
            token.unwrap_or_default(),
            body.len()
        );
        let asked = self.stream.write_all(request.as_bytes());
        asked
            .map_err(anyhow::Error::from)
            .and_then(|()| self.answer())
            .with_context(|| format!("{method} {path}"))
    }

    fn answer(&mut self) -> anyhow::Result<Answer> {
        loop {
            if let Some((answer, taken)) = parse(&self.input)? {
                self.input.drain(..taken);
                return Ok(answer);
            }
            ensure!(self.input.len() < ANSWER_BYTES_MAX, "an answer of more than {ANSWER_BYTES_MAX} bytes");
            let mut chunk = [0; 8_192];
            match self.stream.read(&mut chunk)? {
                0 => bail!("the API closed the connection"),
                read => self.input.extend_from_slice(&chunk[..read]),
            }
        }
    }
}

impl Answer {
    fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// A whole answer, and how many bytes it took; `None` while something is missing.
fn parse(input: &[u8]) -> anyhow::Result<Option<(Answer, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head_len) = head.parse(input)? else { return Ok(None) };
    let length = head.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
    let length = match length {
        Some(header) => std::str::from_utf8(header.value)?.parse()?,
        None => 0_usize,
    };
    let end = head_len.saturating_add(length);
    let Some(body) = input.get(head_len..end) else { return Ok(None) };
    let status = head.code.context("an answer without a status")?;
    Ok(Some((Answer { status, body: String::from_utf8_lossy(body).into_owned() }, end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_when_its_body_is() {
        let input = b"HTTP/1.1 409 Conflict\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1";
        for len in 0..input.len() - 8 {
            assert!(parse(&input[..len]).unwrap().is_none(), "{len}");
        }
        let (answer, taken) = parse(input).unwrap().unwrap();
        assert_eq!((answer.status, answer.body.as_str(), taken), (409, "{}", input.len() - 8));
    }
}
