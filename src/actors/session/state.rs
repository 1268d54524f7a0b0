//! The pure state of a session: a client's frame, a tick, an event or a room's answer go in, and effects come out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::actors::held_ephemerals::HeldEphemerals;
use crate::actors::room::live_event::LiveEvent;
use crate::actors::subscription::{Disposition, PendingAlert, Subscription};
use crate::actors::worker::subscriber::Delivered;
use crate::domain::access::Principal;
use crate::domain::cursor::Cursor;
use crate::domain::event::EventType;
use crate::domain::ids::ConnectionId;
use crate::domain::room::RoomId;
use crate::domain::time::Timestamp;
use crate::protocol::close::CloseReason;
use crate::protocol::ephemeral::EncodedEphemeral;
use crate::protocol::frames::ServerFrame;
use crate::protocol::websocket::{close_frame, ping_frame};

use super::messages::{ConnectParams, SessionEffect, WriteProgress};
use super::outbox::{Outbox, OutboxFull};
use super::settings::SessionSettings;
use super::stored_marks::StoredMarks;
use super::timers::{Due, Timers};

/// A session that lags twice within this long is too slow.
const LAG_WINDOW: Duration = Duration::from_secs(60);

/// The code that answers a close frame without one.
const NORMAL_CLOSURE: u16 = 1000;

pub(super) struct SessionState {
    pub(super) id: ConnectionId,
    pub(super) principal: Principal,
    pub(super) device: Option<Arc<str>>,
    /// The device has told its own id over this socket.
    pub(super) device_named: bool,
    /// When the device said that it can ring; `None` when it did not, or said that it cannot.
    pub(super) rings_since: Option<Instant>,
    /// At most `sessions.max_rooms`.
    pub(super) subscriptions: Vec<Subscription>,
    /// Bad frames in a row.
    pub(super) bad_frames: u8,
    /// Marks on their way to the store.
    pub(super) marks: u8,
    pub(super) stored_marks: StoredMarks,
    /// The time at which the client may send a whole burst of frames again.
    pub(super) frames_full_at: Instant,
    /// The first `hello` is in the outbox.
    pub(super) greeted: bool,
    pub(super) timers: Timers,
    last_lag: Option<Instant>,
    pub(super) outbox: Outbox,
    pub(super) ephemerals: HeldEphemerals,
    pub(super) closing: Option<CloseReason>,
}

impl SessionState {
    /// A session that has just been opened, and its first effect.
    pub(super) fn open(
        id: ConnectionId,
        params: ConnectParams,
        wall: Timestamp,
        now: Instant,
    ) -> (Self, Option<SessionEffect>) {
        let mut state = Self {
            id,
            principal: params.principal,
            device: params.device,
            device_named: false,
            rings_since: None,
            subscriptions: Vec::new(),
            bad_frames: 0,
            marks: 0,
            stored_marks: StoredMarks::default(),
            frames_full_at: now,
            greeted: false,
            timers: Timers::new(params.token_expires_at, wall, now),
            last_lag: None,
            outbox: Outbox::default(),
            ephemerals: HeldEphemerals::default(),
            closing: None,
        };
        let effect = match params.room {
            Some(room) => {
                state.subscriptions.push(Subscription::joining(room));
                Some(SessionEffect::Join(room, params.cursor))
            }
            None => {
                state.close(CloseReason::NoSuchRoom);
                None
            }
        };
        (state, effect)
    }

    /// Queues a frame, unless the session is closing: nothing follows a close frame.
    pub(super) fn send_frame(&mut self, frame: &ServerFrame<'_>) {
        if self.closing.is_none() {
            self.outbox.push_answer(frame.encode());
        }
    }

    pub(super) fn error(&mut self, code: &'static str, message: &str) {
        self.send_frame(&ServerFrame::Error { code, message, retry_after_ms: None });
    }

    fn send_close(&mut self, reason: CloseReason) {
        self.closing = Some(reason);
        self.ephemerals = HeldEphemerals::default();
        self.outbox.push_answer(close_frame(reason.code(), reason.as_str()));
    }

    /// Ends the session: unwritten frames are dropped, the close frame goes out. Only the first reason counts.
    pub(super) fn close(&mut self, reason: CloseReason) {
        if self.closing.is_none() {
            self.outbox.clear_unwritten();
            self.send_close(reason);
        }
    }

    /// Ends the session because of what the client sent: the answers to its earlier frames still go out. Only the first
    /// reason counts.
    pub(super) fn close_answered(&mut self, reason: CloseReason) {
        if self.closing.is_none() {
            self.send_close(reason);
        }
    }

    /// The client closes: its own code goes back, as RFC 6455 §5.5.1 has it, behind the outbox.
    pub(super) fn client_closed(&mut self, code: Option<u16>) {
        if self.closing.is_none() {
            self.closing = Some(CloseReason::ClientGone);
            self.ephemerals = HeldEphemerals::default();
            self.outbox.push_answer(close_frame(code.unwrap_or(NORMAL_CLOSURE), ""));
        }
    }

    /// The peer is gone: no close frame can reach it.
    pub(super) fn gone(&mut self, reason: CloseReason) {
        self.closing.get_or_insert(reason);
        self.ephemerals = HeldEphemerals::default();
        self.outbox = Outbox::default();
    }

    /// The node goes down: sends the time after which to come back, then the close frame.
    pub(super) fn restart(&mut self, after: Duration) {
        if self.closing.is_none() {
            let after_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
            self.outbox.clear_unwritten();
            self.send_frame(&ServerFrame::Reconnect { after_ms });
            self.send_close(CloseReason::Restart);
        }
    }

    /// An event of a room, on the hot path: no allocation beyond the outbox's own.
    pub(super) fn deliver(
        &mut self,
        event: &LiveEvent,
        room: RoomId,
        limits: &SessionSettings,
        now: Instant,
    ) -> Delivered {
        if self.closing.is_some() {
            return Delivered::Ignored;
        }
        let Some(subscription) = self.subscriptions.iter_mut().find(|s| s.room == room) else {
            return Delivered::Ignored;
        };
        let cursor = event.event.cursor;
        match subscription.on_event(cursor) {
            Disposition::Ignore => Delivered::Ignored,
            Disposition::CatchUp => Delivered::NeedsWake,
            Disposition::Deliver => {
                let frame = event.event.frame().clone();
                match self.outbox.push_event(frame, event.committed_at, limits) {
                    Ok(()) => {
                        subscription.on_sent(cursor, alert_of(event));
                        Delivered::Queued
                    }
                    Err(full) => {
                        subscription.start_catch_up(cursor.seq);
                        // A full thread is the fault of others.
                        if full == OutboxFull::Outbox {
                            self.lag(now);
                        }
                        Delivered::NeedsWake
                    }
                }
            }
        }
    }

    /// An ephemeral event of a room: sent at once to a client that takes what it is sent, else held until it has.
    pub(super) fn deliver_ephemeral(&mut self, room: RoomId, event: &EncodedEphemeral) -> Delivered {
        let joined = self.subscription(room).is_some_and(|s| s.is_wanted() && !s.is_joining());
        if self.closing.is_some() || !joined {
            return Delivered::Ignored;
        }
        if self.outbox.is_empty() && self.ephemerals.is_empty() && !self.is_catching_up() {
            self.outbox.push_answer(event.frame().clone());
            return Delivered::Queued;
        }
        self.ephemerals.hold(room, event);
        Delivered::Ignored
    }

    /// Queues the ephemeral events that were held, once nothing else waits; whether there were any.
    pub(super) fn release_ephemerals(&mut self) -> bool {
        if self.ephemerals.is_empty() || !self.outbox.is_empty() || self.is_catching_up() {
            return false;
        }
        for event in self.ephemerals.take() {
            self.outbox.push_answer(event.frame().clone());
        }
        true
    }

    fn is_catching_up(&self) -> bool {
        self.subscriptions.iter().any(Subscription::is_catching_up)
    }

    fn lag(&mut self, now: Instant) {
        if self.last_lag.is_some_and(|last| now.duration_since(last) < LAG_WINDOW) {
            self.close(CloseReason::TooSlow);
        }
        self.last_lag = Some(now);
    }

    /// The position of a room's last event, without its events.
    pub(super) fn on_head(&mut self, room: RoomId, head: Cursor) -> Delivered {
        match self.subscription(room).map(|subscription| subscription.on_head(head)) {
            Some(Disposition::CatchUp) => Delivered::NeedsWake,
            _ => Delivered::Ignored,
        }
    }

    /// Whether the client is read from: not before `hello`, which is the first frame, nor while it does not take its
    /// answers, nor once the session ends.
    pub(super) fn is_readable(&self, limits: &SessionSettings) -> bool {
        self.greeted && self.closing.is_none() && !self.outbox.is_half_full(limits)
    }

    /// Bytes came from the peer.
    pub(super) fn on_received(&mut self, now: Instant) {
        self.timers.on_received(now);
    }

    /// A write went through, or found the socket full.
    pub(super) fn on_write(&mut self, progress: WriteProgress, now: Instant) {
        self.timers.on_write(Some(progress).filter(|_| !self.outbox.is_empty()), now);
    }

    /// Sends a ping now, unless the peer sent something just now or a ping is on its way.
    pub(super) fn probe(&mut self, now: Instant) {
        if self.closing.is_none() && self.timers.probe(now) {
            self.outbox.push_answer(ping_frame());
        }
    }

    /// Performs what is due.
    pub(super) fn tick(&mut self, now: Instant, limits: &SessionSettings) {
        while self.closing.is_none()
            && let Some(due) = self.timers.tick(now, limits)
        {
            match due {
                Due::Ping => self.outbox.push_answer(ping_frame()),
                Due::TokenExpiring(in_s) => self.send_frame(&ServerFrame::TokenExpiring { in_s }),
                Due::Close(reason) => self.close(reason),
            }
        }
    }

    /// The earliest time at which a tick can have an effect.
    pub(super) fn next_tick(&self, limits: &SessionSettings) -> Instant {
        self.timers.next_tick(limits)
    }
}

/// The alert of an event: new orders ring, and their acknowledgements are measured.
pub(super) fn alert_of(event: &LiveEvent) -> Option<PendingAlert> {
    let alert = PendingAlert { committed_at: event.committed_at };
    (event.event.kind == EventType::OrderCreated).then_some(alert)
}

#[cfg(test)]
mod tests;
