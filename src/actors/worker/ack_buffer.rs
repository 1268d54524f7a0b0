//! Acknowledgements on one worker thread that wait for the next flush.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::domain::room::RoomId;
use crate::storage::commands::{AckScope, ScopedAck};

/// Most acknowledgements that wait: 10,000 sockets in a few rooms each.
const MAX_ACKS: usize = 65_536;

/// At most one acknowledgement for each device and room.
#[derive(Default)]
pub(super) struct AckBuffer(HashMap<(RoomId, String, AckScope), ScopedAck>);

impl AckBuffer {
    /// Keeps an acknowledgement; a newer one of the same device and room replaces it. With [`MAX_ACKS`] waiting one of another
    /// device is dropped: the store is away for long, and the device's next one says the same and more.
    pub(super) fn keep(&mut self, received: ScopedAck) {
        let full = self.0.len() >= MAX_ACKS;
        match self.0.entry((received.ack.room, received.ack.device.clone(), received.reach)) {
            Entry::Vacant(_) if full => {}
            Entry::Vacant(slot) => {
                slot.insert(received);
            }
            Entry::Occupied(mut slot) => {
                let (known, cursor) = (slot.get().ack.cursor, received.ack.cursor);
                if known.epoch != cursor.epoch || known.seq < cursor.seq {
                    slot.insert(received);
                }
            }
        }
    }

    /// Takes at most `max` of them.
    pub(super) fn take(&mut self, max: usize) -> Vec<ScopedAck> {
        if self.0.len() <= max {
            return std::mem::take(&mut self.0).into_values().collect();
        }
        let keys: Vec<_> = self.0.keys().take(max).cloned().collect();
        keys.iter().filter_map(|key| self.0.remove(key)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::access::Role;
    use crate::domain::cursor::{Cursor, Epoch};
    use crate::domain::ids::{BusinessId, UserId};
    use crate::domain::time::Timestamp;
    use crate::storage::commands::DeviceAck;

    fn ack(device: &str, cursor: Cursor) -> ScopedAck {
        let nil = uuid::Uuid::nil();
        let ack = DeviceAck {
            room: RoomId::Business(BusinessId::from_uuid(nil)),
            device: device.to_owned(),
            user: UserId::from_uuid(nil),
            cursor,
            at: Timestamp::default(),
        };
        ScopedAck { ack, reach: AckScope::After(0), role: Role::Merchant }
    }

    #[test]
    fn the_newest_acknowledgement_of_a_device_and_room_is_kept() {
        let at = |epoch, seq| Cursor::new(Epoch::new(epoch), seq);
        let mut buffer = AckBuffer::default();
        for (device, cursor) in
            [("till", at(1, 2)), ("till", at(1, 1)), ("phone", at(1, 9)), ("phone", at(2, 3))]
        {
            buffer.keep(ack(device, cursor));
        }
        let mut taken = buffer.take(1);
        assert_eq!(taken.len(), 1, "no more than asked for");
        taken.extend(buffer.take(9));
        taken.sort_by_key(|received| received.ack.cursor.seq);
        assert_eq!(taken, [ack("till", at(1, 2)), ack("phone", at(2, 3))]);
        assert!(buffer.take(9).is_empty());
    }
}
