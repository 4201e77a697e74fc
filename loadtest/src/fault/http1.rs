//! HTTP/1.1 by hand: requests are read, and answered with what no library would write.

use std::io;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;

use super::answer::Answer;
use super::step::{Step, Then, Wire, take};

/// More is no request of an engine.
const REQUEST_BYTES_MAX: usize = 32 << 20;

/// Takes these steps on a connection, until one of them ends it.
pub(super) async fn serve<W: Wire>(wire: &mut W, steps: &[Step], pause: Duration) -> io::Result<()> {
    let mut requests = Requests::default();
    loop {
        for step in steps {
            if *step == Step::Read {
                if !requests.read(wire).await? {
                    return Ok(());
                }
                continue;
            }
            match take(wire, step, pause).await? {
                Then::Next => {}
                Then::Again => break,
                Then::End => return Ok(()),
            }
        }
        if steps.last() != Some(&Step::Again) {
            return Ok(());
        }
    }
}

/// An answer as steps, for every request of a connection.
pub(super) fn answering(answer: &Answer) -> Vec<Step> {
    vec![Step::Read, Step::Send(answer.http1()), Step::Again]
}

/// Requests, one after the other.
#[derive(Default)]
struct Requests {
    input: Vec<u8>,
}

impl Requests {
    /// Reads the next one to its end. `false` where there is none.
    async fn read<W: Wire>(&mut self, wire: &mut W) -> io::Result<bool> {
        loop {
            if let Some(bytes) = whole(&self.input) {
                self.input.drain(..bytes);
                return Ok(true);
            }
            if self.input.len() > REQUEST_BYTES_MAX || wire.read_buf(&mut self.input).await? == 0 {
                return Ok(false);
            }
        }
    }
}

/// How long the request at the beginning is, if it is there as a whole.
fn whole(input: &[u8]) -> Option<usize> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    let head = match request.parse(input) {
        Ok(httparse::Status::Complete(bytes)) => bytes,
        _ => return None,
    };
    let length = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
    let length = length.and_then(|header| std::str::from_utf8(header.value).ok()?.parse::<usize>().ok());
    let end = head.checked_add(length.unwrap_or(0))?;
    (input.len() >= end).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_whole_when_its_body_is() {
        let request = b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}POST";
        for bytes in 0..request.len() - 4 {
            assert_eq!(whole(&request[..bytes]), None, "{bytes}");
        }
        assert_eq!(whole(request), Some(request.len() - 4));
    }
}
