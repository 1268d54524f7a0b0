//! The mind of a session: what a client's frame, a tick or a room's answer leads to.

use std::time::{Duration, Instant};

use crate::actors::room::Published;
use crate::actors::settings::SessionSettings;
use crate::domain::access::Principal;
use crate::domain::cursor::Cursor;
use crate::domain::event::EventType;
use crate::domain::ids::{SocketId, UserId};
use crate::domain::room::RoomId;
use crate::domain::time::Timestamp;
use crate::protocol::close::CloseReason;
use crate::protocol::frames::{ClientFrame, JoinedRoom, ServerFrame};
use crate::storage::command::{DeviceAck, DeviceMark, MarkKind};

use super::follow::{BeyondSent, Follow, Heard, Ring, Start};
use super::outbox::Outbox;

/// A token's owner is told this long before it runs out, and may be this late with a new one.
const EXPIRY_NOTICE: Duration = Duration::from_secs(60);
pub(super) const EXPIRY_GRACE: Duration = Duration::from_secs(30);

/// Frames in a row that are no frames of this protocol until the socket is closed.
const MAX_BAD_FRAMES: u8 = 3;

/// Lagging twice within this long is too slow.
const LAG_WINDOW: Duration = Duration::from_secs(60);

/// Marks of one session that may be on their way to the store at once.
const MAX_MARKS: u8 = 8;

/// What answers a close frame without a code.
const NORMAL_CLOSURE: u16 = 1000;

/// The longest device id.
const MAX_DEVICE: usize = 64;

/// What the shell has to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Ask whether the client may be in the room, then join it.
    Authorize(RoomId, Option<String>),
    /// Join the room; the client may.
    Join(RoomId, Option<String>),
    /// Read what comes after the position; the answer goes to `history_read`.
    ReadHistory(RoomId, Cursor),
    /// Leave the room.
    Leave(RoomId),
    /// Store how far the device is; at once when it covers orders, whose commit times are given.
    Ack(DeviceAck, Vec<Option<Instant>>),
    /// Store what the device did with one event.
    Mark(DeviceMark),
    /// Check a new token; the answer goes to `token_checked`.
    CheckToken(String),
}

/// What became of an event or a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// It waits in the outbox: wake the session.
    Queued,
    /// The session has something else to do: wake it.
    Wake,
    /// Nothing to do.
    Nothing,
}

/// What a write came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Bytes went out.
    Moved,
    /// The socket takes nothing now.
    Blocked,
}

/// Who opened the socket, and with what.
#[derive(Debug, Clone)]
pub struct Opening {
    /// Who.
    pub principal: Principal,
    /// When the token runs out.
    pub token_expires_at: Timestamp,
    /// The device named at sign-in.
    pub device: Option<String>,
    /// The room of the path; `None` when it is absent or not for this client: the socket is closed with 4004.
    pub room: Option<RoomId>,
    /// The cursor as the client wrote it.
    pub cursor: Option<String>,
}

pub(super) struct SessionState {
    pub(super) id: SocketId,
    pub(super) principal: Principal,
    device: Option<Box<str>>,
    named: Named,
    follows: Vec<Follow>,
    token_expires: Instant,
    expiry: Expiry,
    bad_frames: u8,
    marks: u8,
    greeted: Greeted,
    last_heard: Instant,
    ping_sent: Option<Instant>,
    stalled_since: Option<Instant>,
    last_lag: Option<Instant>,
    pub(super) outbox: Outbox,
    pub(super) closing: Option<CloseReason>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Expiry {
    Far,
    Announced,
}

/// Whether the device has told its own id over this socket.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Named {
    NotYet,
    Yes,
}

/// Whether the first `hello` is in the outbox.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Greeted {
    NotYet,
    Yes,
}

impl SessionState {
    /// A session that has just been opened, and what to do first.
    pub(super) fn open(
        id: SocketId,
        opening: Opening,
        wall: Timestamp,
        now: Instant,
    ) -> (Self, Option<Effect>) {
        let mut state = Self {
            id,
            principal: opening.principal,
            device: opening.device.map(String::into_boxed_str),
            named: Named::NotYet,
            follows: Vec::new(),
            token_expires: instant_of(opening.token_expires_at, wall, now),
            expiry: Expiry::Far,
            bad_frames: 0,
            marks: 0,
            greeted: Greeted::NotYet,
            last_heard: now,
            ping_sent: None,
            stalled_since: None,
            last_lag: None,
            outbox: Outbox::default(),
            closing: None,
        };
        let effect = match opening.room {
            Some(room) => {
                state.follows.push(Follow::joining(room));
                Some(Effect::Join(room, opening.cursor))
            }
            None => {
                state.close(CloseReason::NoSuchRoom);
                None
            }
        };
        (state, effect)
    }

    pub(super) fn rooms(&self) -> impl Iterator<Item = RoomId> + '_ {
        self.follows.iter().map(|f| f.room)
    }

    fn follow(&mut self, room: RoomId) -> Option<&mut Follow> {
        self.follows.iter_mut().find(|f| f.room == room)
    }

    fn say(&mut self, frame: &ServerFrame<'_>) {
        self.outbox.push_answer(frame.encode());
    }

    fn error(&mut self, code: &'static str, message: &str) {
        self.say(&ServerFrame::Error { code, message });
    }

    /// Ends the session for this reason: what waits is dropped, the close frame goes out. Only the first counts.
    pub(super) fn close(&mut self, reason: CloseReason) {
        if self.closing.is_none() {
            self.closing = Some(reason);
            self.outbox.clear_unwritten();
            self.outbox.push_answer(crate::protocol::websocket::close_frame(reason.code(), reason.as_str()));
        }
    }

    /// The client says good-bye: its own code goes back, as RFC 6455 §5.5.1 has it.
    pub(super) fn client_closed(&mut self, code: Option<u16>) {
        if self.closing.is_none() {
            self.closing = Some(CloseReason::ClientGone);
            self.outbox.clear_unwritten();
            self.outbox
                .push_answer(crate::protocol::websocket::close_frame(code.unwrap_or(NORMAL_CLOSURE), ""));
        }
    }

    /// The node goes down: when to come back, then the close.
    pub(super) fn restart(&mut self, after: Duration) {
        if self.closing.is_none() {
            let after_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
            self.closing = Some(CloseReason::Restart);
            self.outbox.clear_unwritten();
            self.say(&ServerFrame::Reconnect { after_ms });
            let reason = CloseReason::Restart;
            self.outbox.push_answer(crate::protocol::websocket::close_frame(reason.code(), reason.as_str()));
        }
    }

    /// An event of a room, on the hot path: no allocation beyond the outbox's own.
    pub(super) fn deliver(
        &mut self,
        published: &Published,
        room: RoomId,
        limits: &SessionSettings,
        now: Instant,
    ) -> Delivery {
        if self.closing.is_some() {
            return Delivery::Nothing;
        }
        let Some(index) = self.follows.iter().position(|f| f.room == room) else { return Delivery::Nothing };
        let cursor = published.event.cursor;
        match self.follows[index].hear(cursor) {
            Heard::Wait => Delivery::Nothing,
            Heard::CatchUp => Delivery::Wake,
            Heard::Send => {
                let frame = published.event.frame().clone();
                if self.outbox.push_event(frame, published.committed_at, limits).is_ok() {
                    self.follows[index].sent_event(cursor, rings(published));
                    return Delivery::Queued;
                }
                self.follows[index].fall_behind(cursor.seq);
                self.lag(now);
                Delivery::Wake
            }
        }
    }

    fn lag(&mut self, now: Instant) {
        if self.last_lag.is_some_and(|last| now.duration_since(last) < LAG_WINDOW) {
            self.close(CloseReason::TooSlow);
        }
        self.last_lag = Some(now);
    }

    /// The room's position without its events.
    pub(super) fn position(&mut self, room: RoomId, head: Cursor) -> Delivery {
        match self.follow(room).map(|f| f.hear_position(head)) {
            Some(Heard::CatchUp) => Delivery::Wake,
            _ => Delivery::Nothing,
        }
    }

    /// The room answered.
    pub(super) fn joined(&mut self, room: RoomId, head: Cursor, wanted: Option<&str>, ping_s: u64) {
        if self.closing.is_some() {
            return;
        }
        let Some(follow) = self.follow(room) else { return };
        // Nonsense is a cursor of no history.
        let start = follow.joined(head, wanted.map(|text| text.parse().ok()));
        let joined = JoinedRoom { room, cursor: follow.sent(), recovered: start == Start::Resumed };
        let session = self.id.to_string();
        self.greeted = Greeted::Yes;
        self.say(&ServerFrame::Hello { session: &session, rooms: &[joined], ping_s });
        if start == Start::Lost {
            self.say(&ServerFrame::Resync { room, cursor: head });
        }
    }

    /// The client may not be in the room, or it is not there.
    pub(super) fn refused(&mut self, room: RoomId) {
        self.follows.retain(|f| f.room != room);
        self.error("no_such_room", "There is no such room for you.");
    }

    /// The first room that has to be caught up, if the outbox has room for history.
    pub(super) fn next_history(&self) -> Option<Effect> {
        if self.closing.is_some() || !self.outbox.is_empty() {
            return None;
        }
        self.follows.iter().find(|f| f.is_catching_up()).map(|f| Effect::ReadHistory(f.room, f.sent()))
    }

    /// A page of history, in order; `sent` is how much of it fitted.
    pub(super) fn history_read(
        &mut self,
        room: RoomId,
        events: &[Published],
        limits: &SessionSettings,
    ) -> usize {
        let mut sent = 0;
        if self.closing.is_some() {
            return sent;
        }
        let Some(index) = self.follows.iter().position(|f| f.room == room) else { return sent };
        for published in events {
            let follow = &self.follows[index];
            let cursor = published.event.cursor;
            if cursor.seq != follow.sent().seq + 1 || cursor.epoch != follow.sent().epoch {
                break;
            }
            let frame = published.event.frame().clone();
            // An event larger than the whole bound is sent alone, or it would never be.
            let alone = self.outbox.is_empty();
            // Late by nature: not counted as a live delivery.
            if self.outbox.push_event(frame.clone(), None, limits).is_err() {
                if !alone {
                    break;
                }
                self.outbox.push_answer(frame);
            }
            // The device was away: how long says nothing about the hub.
            let ring = rings(published).map(|_| Ring { committed_at: None });
            self.follows[index].sent_event(cursor, ring);
            sent += 1;
        }
        self.follows[index].page_sent();
        sent
    }

    /// The history is gone: the client goes on from here.
    pub(super) fn history_gone(&mut self, room: RoomId, head: Cursor) {
        if let Some(follow) = self.follow(room) {
            follow.skip_to(head);
            self.say(&ServerFrame::Resync { room, cursor: head });
        }
    }

    /// Whether the client is read from: not before `hello`, which is the first frame, nor while it does not take its
    /// answers, nor once the session ends.
    pub(super) fn listens(&self, limits: &SessionSettings) -> bool {
        self.greeted == Greeted::Yes && self.closing.is_none() && !self.outbox.is_half_full(limits)
    }

    /// Something came from the peer.
    pub(super) fn heard(&mut self, now: Instant) {
        self.last_heard = now;
        self.ping_sent = None;
    }

    /// A write went through, or found the socket full.
    pub(super) fn write_progress(&mut self, progress: Progress, now: Instant) {
        match progress {
            Progress::Moved if self.outbox.is_empty() => self.stalled_since = None,
            Progress::Moved => self.stalled_since = Some(now),
            Progress::Blocked => {
                self.stalled_since.get_or_insert(now);
            }
        }
    }

    /// Time has passed.
    pub(super) fn tick(&mut self, now: Instant, limits: &SessionSettings) {
        if self.closing.is_some() {
            return;
        }
        if let Some(since) = self.stalled_since {
            // While nothing can be written no ping gets out: the pong clock rests.
            if now.duration_since(since) >= Duration::from_secs(limits.write_stall_s) {
                self.close(CloseReason::TooSlow);
            }
        } else if let Some(sent) = self.ping_sent {
            if now.duration_since(sent) >= Duration::from_secs(limits.pong_s) {
                self.close(CloseReason::HeartbeatMissed);
            }
        } else if now.duration_since(self.last_heard) >= Duration::from_secs(limits.ping_s) {
            self.outbox.push_answer(crate::protocol::websocket::ping_frame());
            self.ping_sent = Some(now);
        }
        if now >= self.token_expires + EXPIRY_GRACE {
            self.close(CloseReason::TokenExpired);
        } else if self.expiry == Expiry::Far && now + EXPIRY_NOTICE >= self.token_expires {
            self.expiry = Expiry::Announced;
            let in_s = self.token_expires.saturating_duration_since(now).as_secs();
            self.say(&ServerFrame::TokenExpiring { in_s });
        }
    }

    /// When the next tick is worth anything.
    pub(super) fn next_tick(&self, limits: &SessionSettings) -> Instant {
        let heartbeat = if let Some(since) = self.stalled_since {
            since + Duration::from_secs(limits.write_stall_s)
        } else if let Some(sent) = self.ping_sent {
            sent + Duration::from_secs(limits.pong_s)
        } else {
            self.last_heard + Duration::from_secs(limits.ping_s)
        };
        let token = match self.expiry {
            Expiry::Far => self.token_expires.checked_sub(EXPIRY_NOTICE).unwrap_or(self.token_expires),
            Expiry::Announced => self.token_expires + EXPIRY_GRACE,
        };
        heartbeat.min(token)
    }

    /// A text message.
    pub(super) fn message(
        &mut self,
        text: &str,
        wall: Timestamp,
        limits: &SessionSettings,
    ) -> Option<Effect> {
        if self.closing.is_some() {
            return None;
        }
        match serde_json::from_str::<ClientFrame>(text) {
            Ok(frame) => {
                self.bad_frames = 0;
                self.frame(frame, wall, limits)
            }
            Err(_) => {
                self.bad_frames += 1;
                if self.bad_frames >= MAX_BAD_FRAMES {
                    self.close(CloseReason::BadFrames);
                } else {
                    self.error("bad_frame", "This is no frame of the protocol; see docs/protocol.md.");
                }
                None
            }
        }
    }

    fn frame(&mut self, frame: ClientFrame, wall: Timestamp, limits: &SessionSettings) -> Option<Effect> {
        match frame {
            ClientFrame::Ack { room, cursor } => self.ack(room, cursor, wall),
            ClientFrame::Shown { room, cursor } => self.mark(room, cursor, MarkKind::Shown, wall),
            ClientFrame::Acted { room, cursor } => self.mark(room, cursor, MarkKind::Acted, wall),
            ClientFrame::Subscribe { room, cursor } => {
                if self.follow(room).is_some() {
                    self.error("already_subscribed", "This socket hears the room already.");
                    None
                } else if self.follows.len() >= limits.max_rooms {
                    self.error("too_many_rooms", "This socket hears as many rooms as one may.");
                    None
                } else {
                    self.follows.push(Follow::joining(room));
                    Some(Effect::Authorize(room, cursor))
                }
            }
            ClientFrame::Unsubscribe { room } => {
                let before = self.follows.len();
                self.follows.retain(|f| f.room != room);
                if self.follows.len() == before {
                    self.error("not_subscribed", "This socket does not hear the room.");
                    return None;
                }
                self.say(&ServerFrame::Left { room });
                Some(Effect::Leave(room))
            }
            ClientFrame::Refresh { token } => Some(Effect::CheckToken(token)),
            ClientFrame::Device { id, can_ring: _ } => {
                if id.is_empty() || id.len() > MAX_DEVICE || !id.bytes().all(|b| b.is_ascii_graphic()) {
                    self.error("bad_device", "A device id is 1 to 64 visible ASCII characters.");
                } else if self.named == Named::Yes && self.device.as_deref() != Some(id.as_str()) {
                    self.error("bad_device", "A socket belongs to one device; open another for another.");
                } else {
                    self.device = Some(id.into_boxed_str());
                    self.named = Named::Yes;
                    self.say(&ServerFrame::Alive {});
                }
                None
            }
            ClientFrame::Ping {} => {
                self.say(&ServerFrame::Alive {});
                None
            }
        }
    }

    /// The device's own id, else the sign-in's.
    fn device(&self) -> String {
        self.device.as_deref().map_or_else(|| self.principal.session.to_string(), str::to_owned)
    }

    fn ack(&mut self, room: RoomId, cursor: Cursor, wall: Timestamp) -> Option<Effect> {
        let acked = self.follow(room).ok_or(BeyondSent).and_then(|f| f.ack(cursor));
        match acked {
            Err(BeyondSent) => {
                self.error("ack_refused", "Only what was sent here can be acknowledged.");
                None
            }
            Ok(acked) if !acked.news => None,
            Ok(acked) => {
                let ack =
                    DeviceAck { room, device: self.device(), user: self.principal.user, cursor, at: wall };
                Some(Effect::Ack(ack, acked.rings))
            }
        }
    }

    fn mark(&mut self, room: RoomId, cursor: Cursor, kind: MarkKind, wall: Timestamp) -> Option<Effect> {
        let known = self.follow(room).ok_or(BeyondSent).and_then(|f| f.check_sent(cursor));
        if known.is_err() {
            self.error("mark_refused", "Only an event that was sent here can be marked.");
            return None;
        }
        if self.marks >= MAX_MARKS {
            self.error("too_many_marks", "Wait until earlier marks are stored.");
            return None;
        }
        self.marks += 1;
        let device = self.device();
        Some(Effect::Mark(DeviceMark { room, device, user: self.principal.user, cursor, kind, at: wall }))
    }

    /// A mark is stored, or could not be.
    pub(super) fn mark_stored(&mut self, stored: Result<(), ()>) {
        self.marks = self.marks.saturating_sub(1);
        if stored.is_err() {
            self.error("mark_not_stored", "The mark could not be stored; send it again.");
        }
    }

    /// The new token was checked: who it belongs to and until when it holds.
    pub(super) fn token_checked(
        &mut self,
        checked: Option<(Principal, Timestamp)>,
        wall: Timestamp,
        now: Instant,
    ) {
        match checked {
            Some((principal, expires_at)) if principal.user == self.principal.user => {
                self.principal = principal;
                self.token_expires = instant_of(expires_at, wall, now);
                self.expiry = Expiry::Far;
                self.say(&ServerFrame::Refreshed {});
            }
            _ => {
                self.error("token_refused", "This token does not hold; the socket goes on with the old one.")
            }
        }
    }

    /// Whether this is a session of `user`.
    pub(super) fn is_of(&self, user: UserId) -> bool {
        self.principal.user == user
    }
}

/// Orders ring; their acknowledgements are measured.
fn rings(published: &Published) -> Option<Ring> {
    let ring = Ring { committed_at: published.committed_at };
    (published.event.kind == EventType::OrderCreated).then_some(ring)
}

pub(super) fn instant_of(at: Timestamp, wall: Timestamp, now: Instant) -> Instant {
    if at >= wall { now + at.since(wall) } else { now.checked_sub(wall.since(at)).unwrap_or(now) }
}

#[cfg(test)]
mod tests;
