//! Event logs of rooms, and how far devices have acknowledged them.

use async_trait::async_trait;

use crate::domain::cursor::{Epoch, Head};
use crate::domain::room::RoomId;
use crate::protocol::event::RoomEvent;
use crate::storage::commands::DeviceAck;
use crate::storage::error::StoreError;

/// Reads of the event logs of rooms, and of acknowledgements.
#[async_trait]
pub trait RoomReads: Send + Sync {
    /// The epoch new rooms begin in.
    async fn epoch(&self) -> Result<Epoch, StoreError>;
    /// Head of a room: the cursor of its last event; sequence 0 of the present epoch for a room without events.
    async fn head(&self, room: RoomId) -> Result<Head, StoreError>;
    /// Heads of these rooms, each once and in any order, as of one moment.
    async fn heads(&self, rooms: &[RoomId]) -> Result<Vec<(RoomId, Head)>, StoreError>;
    /// Events of a room after `after` (a sequence number), in order without holes, at most `limit`. Empty when the
    /// first of them is no longer kept.
    async fn events_after(&self, room: RoomId, after: u64, limit: u32) -> Result<Vec<RoomEvent>, StoreError>;
    /// Last acknowledgement of a device in a room.
    async fn device_ack(&self, room: RoomId, device: &str) -> Result<Option<DeviceAck>, StoreError>;
}
