//! The bridge from the bus to this node: what other nodes publish reaches the rooms, caches and sockets here.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::bus::{BusInbox, BusMessage, ControlMessage, Received};
use crate::storage::cache::CachedReads;

use super::commit_fanout::CommitFanout;
use super::room::Rooms;

/// Obeys the messages of other nodes one after the other; never waits for anything but the next one. A message that is lost costs
/// time and nothing else: the rooms' watermark finds events within 1.5 s, the revocation poller ended login sessions within 5 s.
pub struct ClusterBridge {
    /// The messages.
    pub inbox: BusInbox,
    /// Hear the events.
    pub rooms: Rooms,
    /// Forget what has changed.
    pub reads: CachedReads,
    /// Ends login sessions and checks sockets.
    pub fanout: Arc<CommitFanout>,
}

impl ClusterBridge {
    /// Runs until it is stopped or the bus has ended.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                received = self.inbox.next() => match received {
                    Some(Received::Message(message)) => self.obey(message),
                    Some(Received::Lost) => {
                        tracing::warn!("messages of other nodes were lost; the store is asked instead");
                    }
                    None => return,
                },
            }
        }
    }

    fn obey(&self, message: BusMessage) {
        match message {
            BusMessage::Event(event) => self.rooms.publish(&[event]),
            // Nothing publishes these yet, and sockets have no frame for them.
            BusMessage::Ephemeral(_) => {}
            BusMessage::Control(ControlMessage::SessionEnded(session)) => self.fanout.end_session(session),
            BusMessage::Control(ControlMessage::MembershipsChanged(user)) => {
                self.reads.memberships_changed(user);
                self.fanout.check_rooms(user);
            }
        }
    }
}
