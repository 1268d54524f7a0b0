//! Clients that follow one room over all hubs, and note everything they are told.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Result, anyhow, bail};
use bellhop_client::{Client, Cursor, Request, Room, WebSocket, dial};
use futures_util::{SinkExt as _, StreamExt as _};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

use crate::history::{ClientLog, Seen};
use crate::nodes::Nodes;

/// Interval in which a client says something, if only `ping`.
const SAY_EVERY: Duration = Duration::from_secs(5);

/// A hub that says nothing for so long is left.
const SILENCE: Duration = Duration::from_secs(12);

/// Longest wait of a long poll, seconds.
const POLL_S: u64 = 4;

/// What all clients came to.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) connections: Cell<u64>,
    pub(crate) events: Cell<u64>,
    pub(crate) repeated: Cell<u64>,
    pub(crate) resyncs: Cell<u64>,
    /// Milliseconds from the time of an event to its arrival on a socket that was open then.
    pub(crate) late_ms: RefCell<Vec<u32>>,
}

/// A client's room and what it has seen of it.
#[derive(Debug)]
pub(crate) struct Follower {
    pub(crate) log: Rc<RefCell<ClientLog>>,
    room: Room,
    token: String,
    position: Cell<Option<Cursor>>,
    nodes: Rc<Nodes>,
    tally: Rc<Tally>,
}

/// A type of event and its data.
type Hears<'a> = &'a dyn Fn(&str, &Value);

/// What a client of its kind says, and does with what it hears.
pub(crate) struct Habits<'a> {
    /// Frames, at first and every five seconds.
    pub(crate) says: &'a dyn Fn() -> Vec<String>,
    /// A new event.
    pub(crate) hears: Hears<'a>,
}

#[derive(Deserialize)]
struct Frame {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    rooms: Vec<HelloRoom>,
    cursor: Option<Cursor>,
    event: Option<Event>,
}

#[derive(Deserialize)]
struct HelloRoom {
    cursor: Cursor,
    recovered: bool,
}

#[derive(Deserialize)]
struct Event {
    #[serde(default)]
    id: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    time: String,
    #[serde(default)]
    data: Value,
}

#[derive(Deserialize)]
struct Page {
    events: Vec<Frame>,
    cursor: Cursor,
    resync: bool,
}

impl Follower {
    /// A client that has seen nothing yet.
    pub(crate) fn new(
        (client, until_end): (String, bool),
        room: Room,
        token: String,
        (nodes, tally): (Rc<Nodes>, Rc<Tally>),
    ) -> Self {
        let log = ClientLog { client, room: room.name().to_owned(), seen: Vec::new(), until_end };
        let log = Rc::new(RefCell::new(log));
        Self { log, room, token, position: Cell::new(None), nodes, tally }
    }

    /// The name of its room.
    pub(crate) fn room(&self) -> &str {
        self.room.name()
    }

    /// The last position it knows.
    pub(crate) fn position(&self) -> Option<Cursor> {
        self.position.get()
    }

    /// Follows over sockets until `over` is true.
    pub(crate) async fn over_sockets(&self, habits: &Habits<'_>, mut over: watch::Receiver<bool>) {
        for tries in 0.. {
            let node = self.nodes.any().clone();
            tokio::select! {
                // How a socket ended makes no difference to who comes back with a cursor.
                _ = self.over_one_socket(&node, habits) => {}
                _ = over.wait_for(|over| *over) => return,
            }
            self.nodes.pause(tries % 4).await;
        }
    }

    async fn over_one_socket(&self, node: &Client, habits: &Habits<'_>) -> Result<()> {
        let bearer = format!("Bearer {}", self.token);
        let resumed = self.position.get();
        let query = resumed.map(|cursor| format!("?cursor={cursor}")).unwrap_or_default();
        let path = format!("{}{query}", self.room.path());
        let mut socket = dial(node.address(), &path, &[("authorization", &bearer)], None).await?;
        self.tally.connections.set(self.tally.connections.get() + 1);
        let opened = now_ms();
        let mut say = tokio::time::interval(SAY_EVERY);
        let mut heard = Instant::now();
        loop {
            tokio::select! {
                _ = say.tick() => {
                    if heard.elapsed() > SILENCE {
                        bail!("silent");
                    }
                    send(&mut socket, r#"{"type":"ping"}"#.to_owned()).await?;
                    for text in (habits.says)() {
                        send(&mut socket, text).await?;
                    }
                }
                message = socket.next() => {
                    heard = Instant::now();
                    match message.ok_or_else(|| anyhow!("ended"))?? {
                        Message::Text(text) => {
                            let frame: Frame = serde_json::from_str(&text)?;
                            if let Some(ack) = self.take(frame, resumed, (opened, habits.hears))? {
                                send(&mut socket, ack).await?;
                            }
                        }
                        Message::Close(_) => bail!("closed"),
                        _ => {}
                    }
                }
            }
        }
    }

    /// Takes a frame in: the acknowledgement of an event.
    fn take(
        &self,
        frame: Frame,
        resumed: Option<Cursor>,
        (opened, hears): (u64, Hears<'_>),
    ) -> Result<Option<String>> {
        match (frame.kind.as_str(), frame.cursor, frame.event) {
            ("hello", ..) => {
                let hello = frame.rooms.first().ok_or_else(|| anyhow!("a hello without a room"))?;
                // Otherwise `resync` follows.
                if resumed.is_none() || hello.recovered {
                    self.follows(hello.cursor);
                }
            }
            ("resync", Some(cursor), _) => self.resync(cursor),
            ("event", Some(at), Some(event)) => {
                if let Some(late) = lateness(&event.time, opened) {
                    self.tally.late_ms.borrow_mut().push(late);
                }
                if self.event(at, event.id) {
                    hears(&event.kind, &event.data);
                }
                let room = self.room.name();
                return Ok(Some(format!(r#"{{"type":"ack","room":"{room}","cursor":"{at}"}}"#)));
            }
            _ => {}
        }
        Ok(None)
    }

    fn note(&self, seen: Seen) {
        self.log.borrow_mut().seen.push(seen);
    }

    fn follows(&self, told: Cursor) {
        self.note(Seen::Follows(told));
        if self.position.get().is_none() {
            self.position.set(Some(told));
        }
    }

    fn resync(&self, cursor: Cursor) {
        self.tally.resyncs.set(self.tally.resyncs.get() + 1);
        self.note(Seen::Resync(cursor));
        self.position.set(Some(cursor));
    }

    /// Whether it is new.
    fn event(&self, at: Cursor, id: String) -> bool {
        self.note(Seen::Event { at, id });
        self.tally.events.set(self.tally.events.get() + 1);
        if self.position.get().is_some_and(|last| last.epoch == at.epoch && at.seq <= last.seq) {
            self.tally.repeated.set(self.tally.repeated.get() + 1);
            return false;
        }
        self.position.set(Some(at));
        true
    }

    /// Follows by long polls until `over` is true.
    pub(crate) async fn over_polls(&self, mut over: watch::Receiver<bool>) {
        for tries in 0.. {
            let polled = tokio::select! {
                polled = self.poll() => polled,
                _ = over.wait_for(|over| *over) => return,
            };
            if polled.is_err() {
                self.nodes.pause(tries % 4).await;
            }
        }
    }

    async fn poll(&self) -> Result<()> {
        let query = match self.position.get() {
            Some(cursor) => format!("cursor={cursor}&wait={POLL_S}"),
            None => "limit=100".to_owned(),
        };
        let request = Request::get(format!("/rooms/{}/events?{query}", self.room.name()));
        let answer = self.nodes.any().clone().call(&request, Some(&self.token)).await?;
        let Page { events, cursor, resync } = serde_json::from_value(answer)?;
        self.tally.connections.set(self.tally.connections.get() + 1);
        if resync {
            self.resync(cursor);
            return Ok(());
        }
        let nothing_new = events.is_empty();
        for frame in events {
            if let (Some(at), Some(event)) = (frame.cursor, frame.event) {
                self.event(at, event.id);
            }
        }
        // The cursor that the next poll begins with; where it is known already, an entry in the log would say nothing.
        if self.position.get() != Some(cursor) || nothing_new && self.log.borrow().seen.is_empty() {
            self.follows(cursor);
        }
        Ok(())
    }
}

async fn send(socket: &mut WebSocket, text: String) -> Result<()> {
    let sent = tokio::time::timeout(SAY_EVERY, socket.send(Message::text(text))).await;
    Ok(sent.map_err(|_| anyhow!("nothing is taken"))??)
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// Milliseconds from the event's time to now; none for one from before the socket was open.
fn lateness(time: &str, opened: u64) -> Option<u32> {
    let at = unix_ms(time)?;
    (at > opened).then(|| u32::try_from(now_ms().saturating_sub(at)).unwrap_or(u32::MAX))
}

/// `2026-11-21T11:08:22.795584Z` as milliseconds since 1970.
fn unix_ms(time: &str) -> Option<u64> {
    let number = |from: usize, to: usize| time.get(from..to)?.parse::<u64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let millis = time.get(19..).and_then(|rest| rest.strip_prefix('.')?.strip_suffix('Z'));
    let millis: u64 = format!("{:0<3.3}", millis.unwrap_or("0")).parse().ok()?;
    // Days since 1970, with years that begin in March ("days from civil", Howard Hinnant).
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 719_469;
    let seconds = days * 86_400 + number(11, 13)? * 3_600 + number(14, 16)? * 60 + number(17, 19)?;
    Some(seconds * 1_000 + millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_the_hub_is_read_to_the_millisecond() {
        assert_eq!(unix_ms("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(unix_ms("2026-11-21T11:08:22.795584Z"), Some(1_795_259_302_795));
        assert_eq!(unix_ms("2024-02-29T23:59:59.5Z"), Some(1_709_251_199_500));
        assert_eq!(unix_ms("soon"), None);
    }
}
