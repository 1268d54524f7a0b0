//! What a transaction tells every node.
#![expect(clippy::disallowed_methods, reason = "this file draws new ids")]

use std::collections::BTreeSet;

use crate::domain::control::{ControlChange, ControlEvent};
use crate::domain::event::{EventType, PendingEvent};
use crate::domain::ids::EventId;
use crate::domain::room::RoomId;

use super::Transaction;

impl Transaction<'_> {
    /// Everything that other nodes keep in memory, or have sockets by, and that this transaction has changed: each change once. An
    /// order that is placed or moves on its way is none of it, so that orders do not wait for each other at the row of one room.
    pub(super) fn control_events(&mut self, events: &[PendingEvent]) -> Vec<ControlEvent> {
        let mut changes: BTreeSet<ControlChange> = self.control.drain(..).collect();
        changes.extend(self.left.iter().map(|&(order, driver)| ControlChange::DriverLeft { order, driver }));
        changes.extend(events.iter().filter_map(|event| match event.room {
            RoomId::Business(business) if event.payload.event_type() == EventType::BusinessUpdated => {
                Some(ControlChange::BusinessChanged(business))
            }
            _ => None,
        }));
        let at = self.now;
        changes.into_iter().map(|change| ControlEvent { id: EventId::generate(), at, change }).collect()
    }
}
