//! What the device of a session says about ringing.

use std::sync::Arc;
use std::time::Instant;

use crate::actors::reachability::DeviceOf;
use crate::actors::subscription::Subscription;
use crate::domain::access::Role;
use crate::domain::ids::BusinessId;
use crate::domain::room::RoomId;
use crate::domain::time::Timestamp;
use crate::protocol::frames::{ServerFrame, is_device_id};

use super::messages::SessionEffect;
use super::state::SessionState;
use super::stored_marks::StoredMarks;

/// A device that can ring for businesses.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RingWord {
    pub(super) device: DeviceOf,
    pub(super) businesses: Box<[BusinessId]>,
    /// When it said so.
    pub(super) at: Instant,
}

impl SessionState {
    /// The device tells its own id, of which only the first one counts, and whether it can ring now.
    pub(super) fn name_device(
        &mut self,
        id: String,
        can_ring: bool,
        wall: Timestamp,
        now: Instant,
    ) -> Option<SessionEffect> {
        let same = self.device.as_deref() == Some(id.as_str());
        if !is_device_id(&id) {
            self.error("bad_device", "A device id is 1 to 64 visible ASCII characters.");
            return None;
        }
        if self.device_named && !same {
            self.error("bad_device", "A socket belongs to one device; open another for another.");
            return None;
        }
        if !same {
            // Marks are of a device.
            self.stored_marks = StoredMarks::default();
        }
        self.device = Some(id.into());
        self.device_named = true;
        self.send_frame(&ServerFrame::Alive { now: wall });
        let could_ring = self.rings_since.is_some();
        self.rings_since = can_ring.then_some(now);
        (can_ring || could_ring).then_some(SessionEffect::TellRing)
    }

    /// The device as long as it can ring, and the businesses whose rooms it is in. Operators are in rooms of businesses that they
    /// do not answer for.
    pub(super) fn ring_word(&self) -> Option<RingWord> {
        let at = self.rings_since.filter(|_| self.principal.role == Role::Merchant)?;
        let in_room = |subscription: &Subscription| match subscription.room {
            RoomId::Business(business) if subscription.is_wanted() && !subscription.is_joining() => {
                Some(business)
            }
            RoomId::Business(_)
            | RoomId::Order(_)
            | RoomId::Driver(_)
            | RoomId::Zone(_)
            | RoomId::Ops
            | RoomId::Control => None,
        };
        let businesses = self.subscriptions.iter().filter_map(in_room).collect();
        let device = self.device.clone().unwrap_or_else(|| Arc::from(self.device()));
        Some(RingWord { device: (self.principal.user, device), businesses, at })
    }
}
