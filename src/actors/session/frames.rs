//! What a client's frames lead to: the second half of the session's mind.

use std::time::{Duration, Instant};

use crate::actors::settings::SessionSettings;
use crate::domain::access::Principal;
use crate::domain::cursor::Cursor;
use crate::domain::room::RoomId;
use crate::domain::time::Timestamp;
use crate::protocol::bad_frame;
use crate::protocol::close::CloseReason;
use crate::protocol::frames::{ClientFrame, ServerFrame, is_device_id};
use crate::protocol::websocket::ProtocolError;
use crate::storage::commands::{DeviceAck, DeviceMark, MarkKind, ReceivedAck};

use super::effect::Effect;
use super::follow::{BeyondSent, Follow};
use super::marked::{Mark, Marked};
use super::state::{Named, SessionState};

/// Frames in a row that are no frames of this protocol until the socket is closed.
const MAX_BAD_FRAMES: u8 = 3;

/// Marks of one session that may be on their way to the store at once.
pub(super) const MAX_MARKS: u8 = 8;

impl SessionState {
    /// The client has sent one more frame, other than to acknowledge something new: one too many ends the session.
    pub(super) fn count_frame(&mut self, now: Instant, limits: &SessionSettings) {
        if limits.frames().consume(&mut self.frames_full_at, now).is_err() {
            self.close_answered(CloseReason::TooMany);
        }
    }

    /// A text message.
    pub(super) fn message(
        &mut self,
        text: &str,
        wall: Timestamp,
        now: Instant,
        limits: &SessionSettings,
    ) -> Option<Effect> {
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
        match frame {
            Ok(frame) => {
                self.bad_frames = 0;
                let effect = self.frame(frame, wall, limits);
                // One that says something new is counted by what was sent: a device that comes back after a long absence
                // may acknowledge each of many thousand events.
                if acknowledges && effect.is_none() {
                    self.count_frame(now, limits);
                }
                effect
            }
            Err(error) => {
                self.bad_frames += 1;
                if self.bad_frames >= MAX_BAD_FRAMES {
                    self.close_answered(CloseReason::BadFrames);
                } else {
                    self.error("bad_frame", &bad_frame::explain(text, &error));
                }
                None
            }
        }
    }

    /// Bytes that break a rule of WebSockets end the session; the one that clients' authors meet is explained before.
    pub(super) fn broken(&mut self, error: &ProtocolError) {
        if *error == ProtocolError::Binary {
            self.error("bad_frame", "This message is binary: send JSON in text frames.");
        }
        self.close_answered(error.close_reason());
    }

    fn frame(&mut self, frame: ClientFrame, wall: Timestamp, limits: &SessionSettings) -> Option<Effect> {
        match frame {
            ClientFrame::Ack { room, cursor } => self.ack(room, cursor, wall),
            ClientFrame::Shown { room, cursor } => self.mark(room, cursor, MarkKind::Shown, wall),
            ClientFrame::Acted { room, cursor } => self.mark(room, cursor, MarkKind::Acted, wall),
            ClientFrame::Subscribe { room, cursor } => {
                if let Some(follow) = self.follow(room) {
                    if follow.is_wanted() {
                        self.error("already_subscribed", "This socket hears the room already.");
                    } else if !follow.want_again(cursor) {
                        self.error("unavailable", "The room was closed to you just now; ask again later.");
                    }
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
                let joining = match self.follow(room) {
                    Some(follow) if follow.is_wanted() => {
                        follow.give_up();
                        follow.is_joining()
                    }
                    Some(_) | None => {
                        self.error("not_subscribed", "This socket does not hear the room.");
                        return None;
                    }
                };
                self.say(&ServerFrame::Left { room });
                if joining {
                    return None;
                }
                self.forget(room);
                Some(Effect::Leave(room))
            }
            ClientFrame::Refresh { token } => Some(Effect::CheckToken(token)),
            ClientFrame::Device { id, can_ring: _ } => {
                if !is_device_id(&id) {
                    self.error("bad_device", "A device id is 1 to 64 visible ASCII characters.");
                } else if self.named == Named::Yes && self.device.as_deref() != Some(id.as_str()) {
                    self.error("bad_device", "A socket belongs to one device; open another for another.");
                } else {
                    if self.device.as_deref() != Some(id.as_str()) {
                        // Marks are of a device.
                        self.marked = Marked::default();
                    }
                    self.device = Some(id.into());
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

    /// The user has no frame left for this effect: it does not happen, and the client is told when to send it again.
    pub(super) fn refuse(&mut self, effect: &Effect, wait: Duration) {
        match effect {
            Effect::Authorize(room, _) => {
                self.forget(*room);
            }
            Effect::Mark(mark) => {
                self.marks = self.marks.saturating_sub(1);
                self.marked.remove(mark.room, mark.cursor, mark.kind);
            }
            _ => {}
        }
        let retry_after_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        self.say(&ServerFrame::Error {
            code: "too_many_requests",
            message: "Your devices send more than they may; send this again later.",
            retry_after_ms: Some(retry_after_ms),
        });
    }

    /// The device's own id, else the sign-in's.
    pub(super) fn device(&self) -> String {
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
                Some(Effect::Ack(ReceivedAck { ack, reach: acked.reach }, acked.rings))
            }
        }
    }

    fn mark(&mut self, room: RoomId, cursor: Cursor, kind: MarkKind, wall: Timestamp) -> Option<Effect> {
        let known = self.follow(room).ok_or(BeyondSent).and_then(|f| f.check_sent(cursor));
        if known.is_err() {
            self.error("mark_refused", "Only an event that was sent here can be marked.");
            return None;
        }
        // Stored, or on its way: to store it again would change nothing.
        if self.marked.has(room, cursor, kind) {
            return None;
        }
        if self.marks >= MAX_MARKS {
            self.error("too_many_marks", "Wait until earlier marks are stored.");
            return None;
        }
        self.marks += 1;
        self.marked.add(room, cursor, kind);
        let device = self.device();
        Some(Effect::Mark(DeviceMark { room, device, user: self.principal.user, cursor, kind, at: wall }))
    }

    /// A mark is stored, or could not be.
    pub(super) fn mark_stored(&mut self, (room, cursor, kind): Mark, stored: Result<(), ()>) {
        self.marks = self.marks.saturating_sub(1);
        if stored.is_err() {
            self.marked.remove(room, cursor, kind);
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
                self.clock.renew(expires_at, wall, now);
                self.say(&ServerFrame::Refreshed {});
            }
            _ => {
                self.error("token_refused", "This token does not hold; the socket goes on with the old one.")
            }
        }
    }
}
