//! Event logs of rooms, and how far devices have acknowledged them.

use async_trait::async_trait;

use crate::domain::cursor::{Epoch, Head};
use crate::domain::room::RoomId;
use crate::protocol::event::RoomEvent;
use crate::storage::command::DeviceAck;
use crate::storage::error::StoreError;

/// Reads of the event logs of rooms.
#[async_trait]
pub trait RoomReads: Send + Sync {
    /// The epoch new rooms begin in.
    async fn epoch(&self) -> Result<Epoch, StoreError>;
    /// Where a room's history ends; sequence 0 of the present epoch for a room without events.
    async fn head(&self, room: RoomId) -> Result<Head, StoreError>;
    /// Where the histories of these rooms end, each once and in any order, as of one moment.
    async fn heads(&self, rooms: &[RoomId]) -> Result<Vec<(RoomId, Head)>, StoreError>;
    /// Events of a room after `after` (a sequence number), in order without holes, at most `limit`. Empty when the
    /// first of them is no longer kept.
    async fn events_after(&self, room: RoomId, after: u64, limit: u32) -> Result<Vec<RoomEvent>, StoreError>;
    /// How far a device has acknowledged a room.
    async fn device_ack(&self, room: RoomId, device: &str) -> Result<Option<DeviceAck>, StoreError>;
}
