//! The rooms of a session: joining, leaving, losing and catching up.

use crate::actors::room::live_event::LiveEvent;
use crate::actors::subscription::{JoinResult, PendingAlert, PendingJoin, Requested, Subscription};
use crate::domain::cursor::Cursor;
use crate::domain::room::RoomId;
use crate::domain::time::Timestamp;
use crate::protocol::close::CloseReason;
use crate::protocol::frames::{JoinedRoom, ServerFrame};

use super::messages::SessionEffect;
use super::settings::SessionSettings;
use super::state::{SessionState, alert_of};

impl SessionState {
    pub(super) fn rooms(&self) -> impl Iterator<Item = RoomId> + '_ {
        self.subscriptions.iter().map(|subscription| subscription.room)
    }

    pub(super) fn subscription(&mut self, room: RoomId) -> Option<&mut Subscription> {
        self.subscriptions.iter_mut().find(|subscription| subscription.room == room)
    }

    /// The client asks for a room.
    pub(super) fn subscribe(
        &mut self,
        room: RoomId,
        cursor: Option<String>,
        limits: &SessionSettings,
    ) -> Option<SessionEffect> {
        if let Some(subscription) = self.subscription(room) {
            if subscription.is_wanted() {
                self.error("already_subscribed", "Already subscribed to this room.");
            } else if !subscription.rejoin(cursor) {
                self.error("unavailable", "Access to the room was removed just now; ask again later.");
            }
            return None;
        }
        if self.subscriptions.len() >= limits.max_rooms {
            self.error("too_many_rooms", "This socket has as many rooms as one may have.");
            return None;
        }
        self.subscriptions.push(Subscription::joining(room));
        Some(SessionEffect::Authorize(room, cursor))
    }

    /// The client leaves a room. Before the room's answer only the wish is noted, so that the room is left in order.
    pub(super) fn unsubscribe(&mut self, room: RoomId) -> Option<SessionEffect> {
        let Some(subscription) = self.subscription(room).filter(|s| s.is_wanted()) else {
            self.error("not_subscribed", "Not subscribed to this room.");
            return None;
        };
        subscription.cancel_join();
        let joining = subscription.is_joining();
        self.send_frame(&ServerFrame::Left { room });
        if joining {
            return None;
        }
        self.forget(room);
        Some(SessionEffect::Leave(room))
    }

    /// The client may be in the room it asked for.
    pub(super) fn admitted(&mut self, room: RoomId, cursor: Option<String>) -> Option<SessionEffect> {
        match self.subscription(room)?.resolve_pending(cursor) {
            PendingJoin::Continue(cursor) => Some(SessionEffect::Join(room, cursor)),
            PendingJoin::Cancelled => {
                self.forget(room);
                None
            }
        }
    }

    /// The room answered with its head.
    pub(super) fn joined(
        &mut self,
        room: RoomId,
        head: Cursor,
        cursor: Option<String>,
        now: Timestamp,
        limits: &SessionSettings,
    ) -> Option<SessionEffect> {
        if self.closing.is_some() {
            return None;
        }
        let subscription = self.subscription(room)?;
        let PendingJoin::Continue(cursor) = subscription.resolve_pending(cursor) else {
            self.forget(room);
            return Some(SessionEffect::Leave(room));
        };
        let result = subscription.joined(head, Requested::parse(cursor.as_deref()));
        let recovered = result == JoinResult::Recovered;
        let joined = JoinedRoom { room, cursor: subscription.sent(), recovered };
        let connection = self.id.to_string();
        self.greeted = true;
        let ping_s = limits.ping_s;
        self.send_frame(&ServerFrame::Hello { connection: &connection, rooms: &[joined], ping_s, now });
        if result == JoinResult::Unrecoverable {
            self.send_frame(&ServerFrame::Resync { room, cursor: head });
        }
        self.rings_since.map(|_| SessionEffect::TellRing)
    }

    /// Removes a subscription; whether the client still wanted it.
    pub(super) fn forget(&mut self, room: RoomId) -> bool {
        let wanted = self.subscription(room).is_some_and(|subscription| subscription.is_wanted());
        self.subscriptions.retain(|subscription| subscription.room != room);
        self.ephemerals.forget(room);
        wanted
    }

    /// The client may not be in the room it asked for, or there is no such room.
    pub(super) fn deny_join(&mut self, room: RoomId) {
        if self.forget(room) {
            self.error("no_such_room", "There is no such room for you.");
        }
    }

    /// The client has lost the right to a room: the session ends, except where the room has not answered yet.
    pub(super) fn deny(&mut self, room: RoomId) {
        let greeted = self.greeted;
        match self.subscription(room) {
            Some(subscription) if subscription.is_joining() && greeted => {
                let wanted = subscription.is_wanted();
                subscription.deny();
                if wanted {
                    self.error("no_such_room", "There is no such room for you.");
                }
            }
            Some(_) => self.close(CloseReason::AccessDenied),
            None => {}
        }
    }

    /// The room did not answer. A client without any room yet is closed and comes back; one with other rooms keeps them.
    pub(super) fn could_not_join(&mut self, room: RoomId, reason: CloseReason) {
        if self.greeted {
            self.room_unavailable(room);
        } else {
            self.close(reason);
        }
    }

    /// The store could not say whether the client may be in one more room. It keeps its rooms and may ask again.
    pub(super) fn room_unavailable(&mut self, room: RoomId) {
        if self.forget(room) {
            self.error("unavailable", "The store does not answer; ask again later.");
        }
    }

    /// The first room that has to be caught up, if the outbox has room for history.
    pub(super) fn next_history(&self) -> Option<SessionEffect> {
        if self.closing.is_some() || !self.outbox.is_empty() {
            return None;
        }
        let behind = self.subscriptions.iter().find(|subscription| subscription.is_catching_up());
        behind.map(|subscription| SessionEffect::ReadHistory(subscription.room, subscription.sent()))
    }

    /// A page of history, in order; returns how many of its events are queued.
    pub(super) fn history_read(
        &mut self,
        room: RoomId,
        events: &[LiveEvent],
        limits: &SessionSettings,
    ) -> usize {
        let mut queued = 0;
        if self.closing.is_some() {
            return queued;
        }
        let Some(subscription) = self.subscriptions.iter_mut().find(|s| s.room == room) else {
            return queued;
        };
        for event in events {
            let (cursor, sent) = (event.event.cursor, subscription.sent());
            if cursor.seq != sent.seq + 1 || cursor.epoch != sent.epoch {
                break;
            }
            let frame = event.event.frame().clone();
            // An event larger than the whole bound is sent alone, or it would never be.
            let alone = self.outbox.is_empty();
            // Without a commit time: history is late by nature and not counted as a live delivery.
            if self.outbox.push_event(frame.clone(), None, limits).is_err() {
                if !alone {
                    break;
                }
                self.outbox.push_answer(frame);
            }
            // The device was away: for how long says nothing about the hub.
            let alert = alert_of(event).map(|_| PendingAlert { committed_at: None });
            subscription.on_sent(cursor, alert);
            queued += 1;
        }
        subscription.finish_page();
        queued
    }

    /// The history after `after` is gone: a client that still waits there goes on from `head`.
    pub(super) fn history_gone(&mut self, room: RoomId, after: Cursor, head: Cursor) {
        if let Some(subscription) = self.subscription(room)
            && subscription.is_catching_up()
            && subscription.sent() == after
        {
            subscription.reset_to(head);
            self.send_frame(&ServerFrame::Resync { room, cursor: head });
        }
    }
}
