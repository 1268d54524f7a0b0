//! HTTP/1.1 with one request at a time on one connection, and buffers that are used again.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::LeanError;

/// Longest wait for a whole answer: longer than any time the hub gives itself.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// The largest answer that is taken in: `/metrics` is some tens of KiB.
const MAX_ANSWER: usize = 4 << 20;

/// More header fields than the hub ever sends.
const MAX_FIELDS: usize = 48;

/// A connection that is opened with its first request and again after it was closed.
#[derive(Debug)]
pub struct Connection {
    address: SocketAddr,
    stream: Option<TcpStream>,
    received: Vec<u8>,
}

/// An answer; its body stays in the connection until the next request.
#[derive(Debug)]
pub struct Answer<'a> {
    /// The HTTP status.
    pub status: u16,
    /// Seconds, if `Retry-After` says a number of them.
    pub retry_after: Option<u64>,
    /// The whole body.
    pub body: &'a [u8],
}

/// The head of an answer.
#[derive(Clone, Copy)]
struct Head {
    status: u16,
    retry_after: Option<u64>,
    ends: bool,
    body_from: usize,
    body_bytes: usize,
}

impl Connection {
    /// A connection that is not yet open.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, stream: None, received: Vec::with_capacity(4096) }
    }

    /// The address of the hub.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends a whole request and waits for the whole answer, for [`ANSWER_TIMEOUT`] at most. The connection is closed after
    /// an error, and when the hub says that it is the last answer.
    ///
    /// # Errors
    /// When there is no connection, no answer, or one in chunks.
    pub async fn ask(&mut self, request: &[u8]) -> Result<Answer<'_>, LeanError> {
        // Taken out, so that a failed or abandoned exchange closes it: its answer must not be taken for the next one's.
        let stream = self.stream.take();
        let exchange = exchange(self.address, stream, request, &mut self.received);
        let timed = tokio::time::timeout(ANSWER_TIMEOUT, exchange).await;
        let (stream, head) = timed.map_err(|_| LeanError::TimedOut)??;
        if !head.ends {
            self.stream = Some(stream);
        }
        let body = &self.received[head.body_from..head.body_from + head.body_bytes];
        Ok(Answer { status: head.status, retry_after: head.retry_after, body })
    }
}

async fn exchange(
    address: SocketAddr,
    stream: Option<TcpStream>,
    request: &[u8],
    received: &mut Vec<u8>,
) -> Result<(TcpStream, Head), LeanError> {
    let mut stream = match stream {
        Some(open) => open,
        None => {
            let new = TcpStream::connect(address).await?;
            new.set_nodelay(true)?;
            new
        }
    };
    stream.write_all(request).await?;
    received.clear();
    loop {
        if let Some(head) = head(received)?
            && received.len() >= head.body_from + head.body_bytes
        {
            return Ok((stream, head));
        }
        if received.len() >= MAX_ANSWER {
            return Err(LeanError::Unexpected("an answer that is too long".to_owned()));
        }
        if stream.read_buf(received).await? == 0 {
            return Err(LeanError::Closed("the answer was whole"));
        }
    }
}

/// The head, once it is complete.
fn head(received: &[u8]) -> Result<Option<Head>, LeanError> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut parsed = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(body_from) = parsed.parse(received)? else { return Ok(None) };
    let status = parsed.code.ok_or_else(|| unexpected("an answer without a status"))?;
    let mut head = Head { status, retry_after: None, ends: false, body_from, body_bytes: 0 };
    for field in parsed.headers.iter() {
        let value = || std::str::from_utf8(field.value).map(str::trim).map_err(|_| unexpected(field.name));
        if field.name.eq_ignore_ascii_case("content-length") {
            head.body_bytes = value()?.parse().map_err(|_| unexpected(field.name))?;
        } else if field.name.eq_ignore_ascii_case("retry-after") {
            head.retry_after = value()?.parse().ok();
        } else if field.name.eq_ignore_ascii_case("connection") {
            head.ends = value()?.eq_ignore_ascii_case("close");
        } else if field.name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(unexpected("an answer in chunks"));
        }
    }
    Ok(Some(head))
}

fn unexpected(what: &str) -> LeanError {
    LeanError::Unexpected(what.to_owned())
}

/// Writes one request over whatever is in `request`. `fields` are whole lines; an empty `token` or `body` is left out.
pub fn write_request(
    request: &mut Vec<u8>,
    address: SocketAddr,
    (method, path): (&str, &str),
    token: &str,
    fields: &str,
    body: &str,
) {
    request.clear();
    let authorization =
        if token.is_empty() { String::new() } else { format!("Authorization: Bearer {token}\r\n") };
    let content = if body.is_empty() {
        String::new()
    } else {
        format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len())
    };
    let head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\n{authorization}{fields}{content}\r\n");
    request.extend_from_slice(head.as_bytes());
    request.extend_from_slice(body.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_when_it_is_complete_and_tells_the_length_of_its_body() {
        let answer = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\nRetry-After: 1\r\n\r\n{}";
        assert!(head(&answer[..40]).unwrap().is_none());
        let head = head(answer).unwrap().unwrap();
        assert_eq!((head.status, head.retry_after, head.ends), (503, Some(1), false));
        assert_eq!(&answer[head.body_from..head.body_from + head.body_bytes], b"{}");
    }

    #[test]
    fn the_last_answer_of_a_connection_says_so() {
        let head = head(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").unwrap().unwrap();
        assert_eq!((head.status, head.ends, head.body_bytes), (204, true, 0));
    }
}
