//! One room by whichever transport: a socket, long polls, or an event stream.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use reqwest::Method;

use crate::api::{Account, Call};
use crate::books::Cursor;
use crate::wire::{Address, Credential, Frame, Socket};

/// What a long poll waits for an event, seconds.
const WAIT_S: u32 = 20;

/// An event stream lives until one side ends it; longer than any run.
const ENDLESS: Duration = Duration::from_secs(48 * 3600);

/// The way a room is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Socket,
    Poll,
    Stream,
}

/// Somebody who hears a room.
#[derive(Debug)]
pub(crate) enum Ear {
    Socket(Box<Socket>),
    Poll(Poll),
    Stream(Stream),
}

/// Long polls, one after the other.
#[derive(Debug)]
pub(crate) struct Poll {
    account: Arc<Account>,
    room: String,
    cursor: Option<String>,
    ready: VecDeque<Frame>,
}

/// Server-sent events.
#[derive(Debug)]
pub(crate) struct Stream {
    response: reqwest::Response,
    rest: Vec<u8>,
}

impl Ear {
    /// Begins at `cursor`, else at the head.
    pub(crate) async fn open(
        account: &Arc<Account>,
        address: &Address,
        cursor: Option<&Cursor>,
        transport: Transport,
    ) -> Result<Self> {
        Ok(match transport {
            Transport::Socket => {
                let socket = Socket::open(account, address, cursor, Credential::Header, None).await?;
                Self::Socket(Box::new(socket))
            }
            Transport::Poll => Self::Poll(Poll {
                account: account.clone(),
                room: address.room.clone(),
                cursor: cursor.map(Cursor::to_string),
                ready: VecDeque::new(),
            }),
            Transport::Stream => {
                let path = format!("/api/v1/rooms/{}/stream", address.room);
                let token = account.token().await?;
                let mut request = account.api().raw(Method::GET, &path).bearer_auth(token).timeout(ENDLESS);
                if let Some(cursor) = cursor {
                    request = request.header("Last-Event-ID", cursor.to_string());
                }
                let response = request.send().await?;
                ensure!(response.status().is_success(), "a stream was refused: {}", response.status());
                Self::Stream(Stream { response, rest: Vec::new() })
            }
        })
    }

    /// The next frame. A poll without a cursor gives its first place as a hello. Dropping the future of a socket loses
    /// nothing; of the others, what was being read comes again by the cursor.
    pub(crate) async fn next(&mut self) -> Result<Frame> {
        match self {
            Self::Socket(socket) => socket.next().await,
            Self::Poll(poll) => poll.next().await,
            Self::Stream(stream) => stream.next().await,
        }
    }

    /// Ends it; only a socket says good-bye.
    pub(crate) async fn close(self) {
        if let Self::Socket(socket) = self {
            socket.close().await;
        }
    }
}

impl Poll {
    async fn next(&mut self) -> Result<Frame> {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return Ok(frame);
            }
            let from = match &self.cursor {
                Some(cursor) => format!("cursor={cursor}&wait={WAIT_S}"),
                None => "limit=100".to_owned(),
            };
            let call = Call::get(format!("/rooms/{}/events?{from}", self.room));
            let answer = self.account.call(&call).await?;
            let text = answer["cursor"].as_str().context("a poll answers a cursor")?;
            let cursor = Cursor::read(text).context("a cursor")?;
            let first = self.cursor.replace(text.to_owned()).is_none();
            let events = answer["events"].as_array().context("a poll answers events")?;
            if first {
                self.ready.push_back(Frame::Hello(cursor));
            } else if answer["resync"] == true {
                self.ready.push_back(Frame::Resync(cursor));
            }
            self.ready.extend(events.iter().map(|event| Frame::read(&event.to_string())));
        }
    }
}

impl Stream {
    async fn next(&mut self) -> Result<Frame> {
        loop {
            while let Some(end) = self.rest.windows(2).position(|pair| pair == b"\n\n") {
                let block: Vec<u8> = self.rest.drain(..end + 2).collect();
                if let Some(frame) = read_block(&String::from_utf8_lossy(&block)) {
                    return Ok(frame);
                }
            }
            match self.response.chunk().await? {
                Some(chunk) => self.rest.extend_from_slice(&chunk),
                None => bail!("a stream ended without its last event"),
            }
        }
    }
}

/// One event of a stream; `None` of a comment.
fn read_block(block: &str) -> Option<Frame> {
    let data = block.lines().find_map(|line| line.strip_prefix("data: "))?;
    if block.lines().any(|line| line == "event: close") {
        return Some(Frame::Closed(0));
    }
    Some(Frame::read(data))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_read_event_by_event_and_comments_are_none() {
        assert!(read_block(":\n\n").is_none());
        let hello = "retry: 2000\nid: a.0\nevent: hello\n\
                     data: {\"type\":\"hello\",\"rooms\":[{\"room\":\"r\",\"cursor\":\"a.0\"}]}\n\n";
        assert!(matches!(read_block(hello), Some(Frame::Hello(_))));
        let close = "event: close\ndata: {\"type\":\"close\",\"reason\":\"restart\"}\n\n";
        assert!(matches!(read_block(close), Some(Frame::Closed(0))));
    }
}
