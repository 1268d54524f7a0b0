//! An HTTP/1.1 client that costs little, since it shares the machine with the server: one connection, one request at
//! a time, buffers that are used again.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A request without an answer by then has failed: longer than any time the hub gives itself.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The largest answer that is taken in: `/metrics` is some tens of KiB.
const MAX_ANSWER: usize = 4 << 20;

/// More header fields than the hub ever sends.
const MAX_FIELDS: usize = 48;

/// A connection that is opened with its first request and again after it was closed.
#[derive(Debug)]
pub(crate) struct Connection {
    address: SocketAddr,
    stream: Option<TcpStream>,
    received: Vec<u8>,
}

/// What the server said; the body stays in the connection until its next request.
#[derive(Debug)]
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    /// Seconds, if `Retry-After` says a number of them.
    pub(crate) retry_after: Option<u64>,
    pub(crate) body: &'a [u8],
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
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, stream: None, received: Vec::with_capacity(4096) }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends a whole request and waits for the whole answer, for [`PATIENCE`] at most. The connection is closed after
    /// an error, and when the server says that it is the last answer.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> Result<Answer<'_>> {
        // Taken out, so that a failed or abandoned exchange closes it: its answer must not be taken for the next one's.
        let stream = self.stream.take();
        let exchange = exchange(self.address, stream, request, &mut self.received);
        let (stream, head) =
            tokio::time::timeout(PATIENCE, exchange).await.context("no answer in time")??;
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
) -> Result<(TcpStream, Head)> {
    let mut stream = match stream {
        Some(open) => open,
        None => {
            let new = TcpStream::connect(address).await.context("no connection")?;
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
        ensure!(received.len() < MAX_ANSWER, "the answer is too long");
        ensure!(stream.read_buf(received).await? > 0, "closed before its answer was whole");
    }
}

/// The head, once it is complete.
fn head(received: &[u8]) -> Result<Option<Head>> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut parsed = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(body_from) = parsed.parse(received)? else { return Ok(None) };
    let status = parsed.code.context("an answer without a status")?;
    let mut head = Head { status, retry_after: None, ends: false, body_from, body_bytes: 0 };
    for field in parsed.headers.iter() {
        let value = || std::str::from_utf8(field.value).map(str::trim);
        if field.name.eq_ignore_ascii_case("content-length") {
            head.body_bytes = value()?.parse()?;
        } else if field.name.eq_ignore_ascii_case("retry-after") {
            head.retry_after = value()?.parse().ok();
        } else if field.name.eq_ignore_ascii_case("connection") {
            head.ends = value()?.eq_ignore_ascii_case("close");
        } else if field.name.eq_ignore_ascii_case("transfer-encoding") {
            bail!("an answer in chunks, though nothing asked for here is sent so");
        }
    }
    Ok(Some(head))
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
