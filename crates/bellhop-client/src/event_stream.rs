//! Server-sent events of rooms.

use std::collections::VecDeque;
use std::time::Duration;

use reqwest::{Method, Response};
use serde::de::DeserializeOwned;

use crate::account::Account;
use crate::cursor::Cursor;
use crate::error::ConnectionError;
use crate::frame::Frame;
use crate::room::Room;

/// An event stream lives until one side ends it; this is longer than any run.
const LIFETIME: Duration = Duration::from_secs(48 * 3600);

/// One event of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamEvent {
    /// The cursor that a client resumes from after this event; empty without one.
    pub id: String,
    /// Its type.
    pub event: String,
    /// Its data, a frame as a WebSocket would get it.
    pub data: String,
    /// Milliseconds a client waits before it connects again, if the event says so.
    pub retry: Option<u64>,
}

/// Reads the text of an event stream. Holds what has come of an event that is not complete.
#[derive(Debug, Default)]
pub struct EventParser {
    pending: Vec<u8>,
    ready: VecDeque<StreamEvent>,
}

impl EventParser {
    /// Takes the next bytes of the stream, cut anywhere.
    pub fn push(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
        while let Some(end) = self.pending.windows(2).position(|pair| pair == b"\n\n") {
            let block: Vec<u8> = self.pending.drain(..end + 2).collect();
            self.ready.extend(read_block(&String::from_utf8_lossy(&block)));
        }
    }

    /// The next event that is complete.
    pub fn next_event(&mut self) -> Option<StreamEvent> {
        self.ready.pop_front()
    }
}

/// One event; `None` for a comment.
fn read_block(block: &str) -> Option<StreamEvent> {
    let mut event = StreamEvent::default();
    let mut fields = 0;
    for line in block.lines().filter(|line| !line.starts_with(':')) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "id" => value.clone_into(&mut event.id),
            "event" => value.clone_into(&mut event.event),
            "data" => value.clone_into(&mut event.data),
            "retry" => event.retry = value.parse().ok(),
            _ => continue,
        }
        fields += 1;
    }
    (fields > 0).then_some(event)
}

/// An open event stream of one room.
#[derive(Debug)]
pub struct EventStream {
    response: Response,
    parser: EventParser,
}

impl EventStream {
    /// Opens a stream of `room` in the account's name, going on after `cursor`, else from the head of the room.
    ///
    /// # Errors
    /// When the hub cannot be reached, or refuses.
    pub async fn open(
        account: &Account,
        room: &Room,
        cursor: Option<Cursor>,
    ) -> Result<Self, ConnectionError> {
        let path = format!("/api/v1/rooms/{}/stream", room.name);
        let request = account.client().raw(Method::GET, &path).bearer_auth(account.token().await?);
        let mut request = request.timeout(LIFETIME);
        if let Some(cursor) = cursor {
            request = request.header("Last-Event-ID", cursor.to_string());
        }
        let response = request.send().await?;
        if !response.status().is_success() {
            return Err(ConnectionError::StreamRefused(response.status().as_u16()));
        }
        Ok(Self { response, parser: EventParser::default() })
    }

    /// The next frame. What was being read when the future is dropped comes again by the cursor.
    ///
    /// # Errors
    /// [`ConnectionError::Closed`] with code 0 after the stream's last event, another error when it broke.
    pub async fn next<D: DeserializeOwned>(&mut self) -> Result<Frame<D>, ConnectionError> {
        loop {
            if let Some(event) = self.parser.next_event() {
                if event.event == "close" {
                    return Err(ConnectionError::Closed { code: 0, reason: event.data });
                }
                return Ok(Frame::read(&event.data));
            }
            match self.response.chunk().await? {
                Some(chunk) => self.parser.push(&chunk),
                None => {
                    let cause = "an event stream ended without its last event";
                    return Err(ConnectionError::Unexpected(cause.to_owned()));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_read_event_by_event_however_it_is_cut_and_comments_are_none() {
        let text = "retry: 2000\nid: a.0\nevent: hello\ndata: {\"type\":\"hello\"}\n\n:\n\nevent: close\ndata: {\"reason\":\"é\"}\n\n";
        let event = |id: &str, event: &str, data: &str, retry| StreamEvent {
            id: id.to_owned(),
            event: event.to_owned(),
            data: data.to_owned(),
            retry,
        };
        let expected = [
            event("a.0", "hello", "{\"type\":\"hello\"}", Some(2000)),
            event("", "close", "{\"reason\":\"é\"}", None),
        ];
        for size in 1..text.len() {
            let mut parser = EventParser::default();
            text.as_bytes().chunks(size).for_each(|chunk| parser.push(chunk));
            let events: Vec<_> = std::iter::from_fn(|| parser.next_event()).collect();
            assert_eq!(events, expected, "in pieces of {size} bytes");
        }
    }
}
