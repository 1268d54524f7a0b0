//! Long polls of rooms.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::account::Account;
use crate::cursor::Cursor;
use crate::error::ConnectionError;
use crate::frame::Frame;
use crate::request::Request;
use crate::room::Room;

/// Seconds that a poll waits for an event.
const WAIT_S: u32 = 20;

/// Long polls of one room, one after the other. The client's time limit for an answer has to be longer than twenty
/// seconds.
#[derive(Debug)]
pub struct LongPoll<D = Value> {
    account: Arc<Account>,
    room: String,
    cursor: Option<Cursor>,
    ready: VecDeque<Frame<D>>,
}

#[derive(Deserialize)]
struct Page {
    events: Vec<Value>,
    cursor: Cursor,
    #[serde(default)]
    resync: bool,
}

impl<D: DeserializeOwned> LongPoll<D> {
    /// Polls of `room` in the account's name, going on after `cursor`, else from the head of the room.
    pub fn new(account: Arc<Account>, room: &Room, cursor: Option<Cursor>) -> Self {
        Self { account, room: room.name.clone(), cursor, ready: VecDeque::new() }
    }

    /// The next frame. A poll without a cursor gives its first position as a hello. What was being read when the future is
    /// dropped comes again by the cursor.
    ///
    /// # Errors
    /// When a poll is refused or not answered.
    pub async fn next(&mut self) -> Result<Frame<D>, ConnectionError> {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return Ok(frame);
            }
            let from = match &self.cursor {
                Some(cursor) => format!("cursor={cursor}&wait={WAIT_S}"),
                None => "limit=100".to_owned(),
            };
            let path = format!("/rooms/{}/events?{from}", self.room);
            let Page { events, cursor, resync } = self.account.ask(&Request::get(path)).await?;
            if self.cursor.replace(cursor).is_none() {
                self.ready.push_back(Frame::Hello { cursor });
            } else if resync {
                self.ready.push_back(Frame::Resync { cursor });
            }
            self.ready.extend(events.iter().map(|event| Frame::read(&event.to_string())));
        }
    }
}
