//! The bus of nodes that share a process: one node in production without a broker, several in tests.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};

use crate::domain::room::RoomId;

use super::inbox::{BusInbox, InboxSender, inbox};
use super::message::BusMessage;
use super::port::{Bus, BusHealth};

/// A bus in memory. Clones are the same bus; a node alone on it publishes to nobody.
#[derive(Clone, Debug, Default)]
pub struct InProcessBus(Arc<RwLock<Nodes>>);

#[derive(Debug, Default)]
struct Nodes {
    next: u64,
    connected: BTreeMap<u64, Node>,
}

#[derive(Debug)]
struct Node {
    inbox: InboxSender,
    /// As many as the node has rooms in use.
    rooms: HashSet<RoomId>,
}

/// One node on an [`InProcessBus`].
struct Connection {
    bus: InProcessBus,
    node: u64,
}

impl InProcessBus {
    /// Connects one more node.
    pub fn connect(&self) -> (Arc<dyn Bus>, BusInbox) {
        let (sender, receiver) = inbox();
        let mut nodes = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let node = nodes.next;
        nodes.next += 1;
        nodes.connected.insert(node, Node { inbox: sender, rooms: HashSet::new() });
        (Arc::new(Connection { bus: self.clone(), node }), receiver)
    }
}

impl Connection {
    fn change(&self, change: impl FnOnce(&mut HashSet<RoomId>)) {
        let mut nodes = self.bus.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(node) = nodes.connected.get_mut(&self.node) {
            change(&mut node.rooms);
        }
    }
}

impl Bus for Connection {
    fn publish(&self, message: BusMessage) {
        let nodes = self.bus.0.read().unwrap_or_else(PoisonError::into_inner);
        let room = message.room();
        let others = nodes.connected.iter().filter(|(id, _)| **id != self.node);
        for (_, node) in others.filter(|(_, node)| room.is_none_or(|room| node.rooms.contains(&room))) {
            node.inbox.deliver(message.clone());
        }
    }

    fn subscribe(&self, room: RoomId) {
        self.change(|rooms| {
            rooms.insert(room);
        });
    }

    fn unsubscribe(&self, room: RoomId) {
        self.change(|rooms| {
            rooms.remove(&room);
        });
    }

    fn health(&self) -> BusHealth {
        BusHealth::Fine
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.bus.0.write().unwrap_or_else(PoisonError::into_inner).connected.remove(&self.node);
    }
}
