//! The mind of a session: what a client's frame, a tick or a room's answer leads to.

use std::sync::Arc;
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
use crate::protocol::frames::{JoinedRoom, ServerFrame};

use super::clock::{Clock, Due};
use super::effect::{Delivery, Effect, Opening, Progress};
use super::follow::{Follow, Heard, Ring, Start};
use super::marked::Marked;
use super::outbox::{Full, Outbox};

/// Lagging twice within this long is too slow.
const LAG_WINDOW: Duration = Duration::from_secs(60);

/// What answers a close frame without a code.
const NORMAL_CLOSURE: u16 = 1000;

pub(super) struct SessionState {
    pub(super) id: SocketId,
    pub(super) principal: Principal,
    pub(super) device: Option<Arc<str>>,
    pub(super) named: Named,
    pub(super) follows: Vec<Follow>,
    pub(super) bad_frames: u8,
    pub(super) marks: u8,
    pub(super) marked: Marked,
    /// When the client may send a whole burst of frames again.
    pub(super) frames_full_at: Instant,
    greeted: Greeted,
    pub(super) clock: Clock,
    last_lag: Option<Instant>,
    pub(super) outbox: Outbox,
    pub(super) closing: Option<CloseReason>,
}

/// Whether the device has told its own id over this socket.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
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
            device: opening.device,
            named: Named::NotYet,
            follows: Vec::new(),
            bad_frames: 0,
            marks: 0,
            marked: Marked::default(),
            frames_full_at: now,
            greeted: Greeted::NotYet,
            clock: Clock::new(opening.token_expires_at, wall, now),
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

    pub(super) fn follow(&mut self, room: RoomId) -> Option<&mut Follow> {
        self.follows.iter_mut().find(|f| f.room == room)
    }

    /// Nothing follows a close frame.
    pub(super) fn say(&mut self, frame: &ServerFrame<'_>) {
        if self.closing.is_none() {
            self.outbox.push_answer(frame.encode());
        }
    }

    pub(super) fn error(&mut self, code: &'static str, message: &str) {
        self.say(&ServerFrame::Error { code, message, retry_after_ms: None });
    }

    /// Ends the session for this reason: what waits is dropped, the close frame goes out. Only the first counts.
    pub(super) fn close(&mut self, reason: CloseReason) {
        if self.closing.is_none() {
            self.closing = Some(reason);
            self.outbox.clear_unwritten();
            self.outbox.push_answer(crate::protocol::websocket::close_frame(reason.code(), reason.as_str()));
        }
    }

    /// Ends the session because of what the client sent: the answers to what it sent before still go out. Only the first
    /// reason counts.
    pub(super) fn close_answered(&mut self, reason: CloseReason) {
        if self.closing.is_none() {
            self.closing = Some(reason);
            self.outbox.push_answer(crate::protocol::websocket::close_frame(reason.code(), reason.as_str()));
        }
    }

    /// The client says good-bye: its own code goes back, as RFC 6455 §5.5.1 has it, behind what waits.
    pub(super) fn client_closed(&mut self, code: Option<u16>) {
        if self.closing.is_none() {
            self.closing = Some(CloseReason::ClientGone);
            self.outbox
                .push_answer(crate::protocol::websocket::close_frame(code.unwrap_or(NORMAL_CLOSURE), ""));
        }
    }

    /// The peer is gone: there is nobody to send a close frame to.
    pub(super) fn gone(&mut self, reason: CloseReason) {
        self.closing.get_or_insert(reason);
        self.outbox = Outbox::default();
    }

    /// The node goes down: when to come back, then the close.
    pub(super) fn restart(&mut self, after: Duration) {
        if self.closing.is_none() {
            let after_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
            let reason = CloseReason::Restart;
            self.outbox.clear_unwritten();
            self.say(&ServerFrame::Reconnect { after_ms });
            self.closing = Some(reason);
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
                match self.outbox.push_event(frame, published.committed_at, limits) {
                    Ok(()) => {
                        self.follows[index].sent_event(cursor, rings(published));
                        return Delivery::Queued;
                    }
                    Err(Full::Outbox) => self.lag(now),
                    // Others are slow.
                    Err(Full::Thread) => {}
                }
                self.follows[index].fall_behind(cursor.seq);
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

    /// The client may be in the room it asked for.
    pub(super) fn admitted(&mut self, room: RoomId, cursor: Option<String>) -> Option<Effect> {
        match self.follow(room)?.settle(cursor) {
            Some(cursor) => Some(Effect::Join(room, cursor)),
            None => {
                self.forget(room);
                None
            }
        }
    }

    /// The room answered.
    pub(super) fn joined(
        &mut self,
        room: RoomId,
        head: Cursor,
        cursor: Option<String>,
        ping_s: u64,
    ) -> Option<Effect> {
        if self.closing.is_some() {
            return None;
        }
        let follow = self.follow(room)?;
        let Some(cursor) = follow.settle(cursor) else {
            self.forget(room);
            return Some(Effect::Leave(room));
        };
        // Nonsense is a cursor of no history.
        let start = follow.joined(head, cursor.map(|text| text.parse().ok()));
        let joined = JoinedRoom { room, cursor: follow.sent(), recovered: start == Start::Resumed };
        let session = self.id.to_string();
        self.greeted = Greeted::Yes;
        self.say(&ServerFrame::Hello { session: &session, rooms: &[joined], ping_s });
        if start == Start::Lost {
            self.say(&ServerFrame::Resync { room, cursor: head });
        }
        None
    }

    /// Hears the room no more; whether the client still wanted to.
    pub(super) fn forget(&mut self, room: RoomId) -> bool {
        let wanted = self.follow(room).is_some_and(|follow| follow.is_wanted());
        self.follows.retain(|f| f.room != room);
        wanted
    }

    /// The client may not be in the room, or it is not there.
    pub(super) fn refused(&mut self, room: RoomId) {
        if self.forget(room) {
            self.error("no_such_room", "There is no such room for you.");
        }
    }

    /// The client has lost the right to be in a room. Where it only asked to be, it is told so.
    pub(super) fn denied(&mut self, room: RoomId) {
        let greeted = self.greeted;
        match self.follow(room) {
            Some(follow) if follow.is_joining() && greeted == Greeted::Yes => {
                let wanted = follow.is_wanted();
                follow.deny();
                if wanted {
                    self.error("no_such_room", "There is no such room for you.");
                }
            }
            Some(_) => self.close(CloseReason::AccessDenied),
            None => {}
        }
    }

    /// The room did not answer. Whoever has nothing yet comes back later; whoever has other rooms keeps them.
    pub(super) fn could_not_join(&mut self, room: RoomId, reason: CloseReason) {
        match self.greeted {
            Greeted::NotYet => self.close(reason),
            Greeted::Yes => self.not_now(room),
        }
    }

    /// The store could not say whether the client may be in one more room. It stays in those it has and may ask again.
    pub(super) fn not_now(&mut self, room: RoomId) {
        if self.forget(room) {
            self.error("unavailable", "The store does not answer; ask again later.");
        }
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

    /// What follows `after` is gone: the client goes on from `head`. Meant for whoever still waits there.
    pub(super) fn history_gone(&mut self, room: RoomId, after: Cursor, head: Cursor) {
        if let Some(follow) = self.follow(room)
            && follow.is_catching_up()
            && follow.sent() == after
        {
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
        self.clock.heard(now);
    }

    /// A write went through, or found the socket full.
    pub(super) fn write_progress(&mut self, progress: Progress, now: Instant) {
        self.clock.wrote(Some(progress).filter(|_| !self.outbox.is_empty()), now);
    }

    /// Asks the peer at once whether it is there, unless it was heard just now or was asked already.
    pub(super) fn probe(&mut self, now: Instant) {
        if self.closing.is_none() && self.clock.probe(now) {
            self.outbox.push_answer(crate::protocol::websocket::ping_frame());
        }
    }

    /// Time has passed.
    pub(super) fn tick(&mut self, now: Instant, limits: &SessionSettings) {
        while self.closing.is_none()
            && let Some(due) = self.clock.tick(now, limits)
        {
            match due {
                Due::Ping => self.outbox.push_answer(crate::protocol::websocket::ping_frame()),
                Due::TokenExpiring(in_s) => self.say(&ServerFrame::TokenExpiring { in_s }),
                Due::Close(reason) => self.close(reason),
            }
        }
    }

    /// When the next tick is worth anything.
    pub(super) fn next_tick(&self, limits: &SessionSettings) -> Instant {
        self.clock.next_tick(limits)
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

#[cfg(test)]
mod tests;
