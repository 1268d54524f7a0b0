//! The frames of a client: how the state of its session answers them.

use std::time::{Duration, Instant};

use crate::actors::subscription::BeyondSent;
use crate::domain::access::Principal;
use crate::domain::cursor::Cursor;
use crate::domain::location::Location;
use crate::domain::room::RoomId;
use crate::domain::time::Timestamp;
use crate::protocol::bad_frame;
use crate::protocol::close::CloseReason;
use crate::protocol::frames::{ClientFrame, ServerFrame};
use crate::protocol::websocket::ProtocolError;
use crate::storage::commands::{DeviceAck, DeviceMark, MarkKind, ScopedAck};

use super::messages::SessionEffect;
use super::settings::SessionSettings;
use super::state::SessionState;
use super::stored_marks::Mark;

/// Bad frames in a row until the socket is closed.
const MAX_BAD_FRAMES: u8 = 3;

/// Most marks of one session on their way to the store.
pub(super) const MAX_MARKS: u8 = 8;

impl SessionState {
    /// Counts a frame against the client's bound; one too many ends the session. An acknowledgement of something new is not
    /// counted.
    pub(super) fn count_frame(&mut self, now: Instant, limits: &SessionSettings) {
        if limits.frames().consume(&mut self.frames_full_at, now).is_err() {
            self.close_answered(CloseReason::TooMany);
        }
    }

    /// A text message.
    pub(super) fn on_message(
        &mut self,
        text: &str,
        wall: Timestamp,
        now: Instant,
        limits: &SessionSettings,
    ) -> Option<SessionEffect> {
        if self.closing.is_some() {
            return None;
        }
        let frame = serde_json::from_str::<ClientFrame>(text);
        let acknowledges = matches!(frame, Ok(ClientFrame::Ack { .. }));
        if !acknowledges {
            self.count_frame(now, limits);
            if self.closing.is_some() {
                return None;
            }
        }
        let frame = frame.map_err(|error| self.on_bad_frame(text, &error)).ok()?;
        self.bad_frames = 0;
        let effect = self.on_frame(frame, wall, now, limits);
        // An acknowledgement that says something new is bounded by the events that were sent: a device that comes back after
        // a long absence may acknowledge each of many thousand.
        if acknowledges && effect.is_none() {
            self.count_frame(now, limits);
        }
        effect
    }

    fn on_bad_frame(&mut self, text: &str, error: &serde_json::Error) {
        self.bad_frames += 1;
        if self.bad_frames >= MAX_BAD_FRAMES {
            self.close_answered(CloseReason::BadFrames);
        } else {
            self.error("bad_frame", &bad_frame::explain(text, error));
        }
    }

    /// Bytes that break a rule of WebSockets end the session; a binary message, the usual mistake of clients' authors, is
    /// explained before.
    pub(super) fn on_protocol_error(&mut self, error: &ProtocolError) {
        if *error == ProtocolError::Binary {
            self.error("bad_frame", "This message is binary: send JSON in text frames.");
        }
        self.close_answered(error.close_reason());
    }

    fn on_frame(
        &mut self,
        frame: ClientFrame,
        wall: Timestamp,
        now: Instant,
        limits: &SessionSettings,
    ) -> Option<SessionEffect> {
        match frame {
            ClientFrame::Ack { room, cursor } => self.ack(room, cursor, wall),
            ClientFrame::Shown { room, cursor } => self.mark(room, cursor, MarkKind::Shown, wall),
            ClientFrame::Acted { room, cursor } => self.mark(room, cursor, MarkKind::Acted, wall),
            ClientFrame::Subscribe { room, cursor } => self.subscribe(room, cursor, limits),
            ClientFrame::Unsubscribe { room } => self.unsubscribe(room),
            ClientFrame::Refresh { token } => Some(SessionEffect::CheckToken(token)),
            ClientFrame::Device { id, can_ring } => self.name_device(id, can_ring, wall, now),
            ClientFrame::Status { online } => {
                self.driver().map(|driver| SessionEffect::SetOnline(driver, online))
            }
            ClientFrame::Location { lat, lng, at } => self.moved(Location { lat, lng }, at),
            ClientFrame::Ping {} => {
                self.send_frame(&ServerFrame::Alive { now: wall });
                None
            }
        }
    }

    /// Refuses an effect for which the user has no frame left, and tells the client when to send it again.
    pub(super) fn refuse_effect(&mut self, effect: &SessionEffect, wait: Duration) {
        match effect {
            SessionEffect::Authorize(room, _) => {
                self.forget(*room);
            }
            SessionEffect::Mark(mark) => {
                self.marks = self.marks.saturating_sub(1);
                self.stored_marks.remove(mark.room, mark.cursor, mark.kind);
            }
            _ => {}
        }
        let retry_after_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        self.send_frame(&ServerFrame::Error {
            code: "too_many_requests",
            message: "Your devices send more than they may; send this again later.",
            retry_after_ms: Some(retry_after_ms),
        });
    }

    /// The device's own id, else the id of its login session.
    pub(super) fn device(&self) -> String {
        self.device.as_deref().map_or_else(|| self.principal.session.to_string(), str::to_owned)
    }

    fn ack(&mut self, room: RoomId, cursor: Cursor, wall: Timestamp) -> Option<SessionEffect> {
        let acked = self.subscription(room).ok_or(BeyondSent).and_then(|s| s.ack(cursor));
        match acked {
            Err(BeyondSent) => {
                self.error("ack_refused", "Only what was sent here can be acknowledged.");
                None
            }
            Ok(acked) if !acked.advances => None,
            Ok(acked) => {
                let ack =
                    DeviceAck { room, device: self.device(), user: self.principal.user, cursor, at: wall };
                let role = self.principal.role;
                Some(SessionEffect::Ack(ScopedAck { ack, reach: acked.reach, role }, acked.alerts))
            }
        }
    }

    fn mark(
        &mut self,
        room: RoomId,
        cursor: Cursor,
        kind: MarkKind,
        wall: Timestamp,
    ) -> Option<SessionEffect> {
        let known = self.subscription(room).ok_or(BeyondSent).and_then(|s| s.check_sent(cursor));
        if known.is_err() {
            self.error("mark_refused", "Only an event that was sent here can be marked.");
            return None;
        }
        // Stored, or on its way: to store it again would change nothing.
        if self.stored_marks.has(room, cursor, kind) {
            return None;
        }
        if self.marks >= MAX_MARKS {
            self.error("too_many_marks", "Wait until earlier marks are stored.");
            return None;
        }
        self.marks += 1;
        self.stored_marks.add(room, cursor, kind);
        let device = self.device();
        Some(SessionEffect::Mark(DeviceMark {
            room,
            device,
            user: self.principal.user,
            role: self.principal.role,
            cursor,
            kind,
            at: wall,
        }))
    }

    /// The outcome of storing a mark.
    pub(super) fn mark_stored(&mut self, (room, cursor, kind): Mark, stored: Result<(), ()>) {
        self.marks = self.marks.saturating_sub(1);
        if stored.is_err() {
            self.stored_marks.remove(room, cursor, kind);
            self.error("mark_not_stored", "The mark could not be stored; send it again.");
        }
    }

    /// The owner and the expiry of a new token, `None` when it does not hold.
    pub(super) fn token_checked(
        &mut self,
        checked: Option<(Principal, Timestamp)>,
        wall: Timestamp,
        now: Instant,
    ) {
        match checked {
            Some((principal, expires_at)) if principal.user == self.principal.user => {
                self.principal = principal;
                self.timers.renew(expires_at, wall, now);
                self.send_frame(&ServerFrame::Refreshed {});
            }
            _ => {
                self.error("token_refused", "This token does not hold; the socket goes on with the old one.")
            }
        }
    }
}
