//! The channels of the bus.

use crate::domain::ids::NodeId;
use crate::domain::room::RoomId;
use crate::redis_client::RedisClient;

use super::super::message::BusMessage;

/// Probe channels on a cluster: their slots are spread over its masters, so that one that delivers nothing is noticed.
const CLUSTER_PROBES: u32 = 16;

/// What a channel is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Channel {
    /// Events of one room.
    Room(RoomId),
    /// Instructions for every node.
    Control,
    /// Probes of this node, by their number among its probe channels.
    Probe(u32),
}

/// The names of all channels of one node.
#[derive(Debug)]
pub(super) struct Channels {
    rooms: String,
    control: String,
    probes: Vec<String>,
}

impl Channels {
    pub(super) fn new(client: &RedisClient, node: NodeId) -> Self {
        let probes = if client.is_cluster() { CLUSTER_PROBES } else { 1 };
        Self::named(|name| client.key(name), node, probes)
    }

    fn named(key: impl Fn(&str) -> String, node: NodeId, probes: u32) -> Self {
        let probes = (0..probes).map(|number| key(&format!("node:{node}:{number}"))).collect();
        Self { rooms: key("room:"), control: key("control"), probes }
    }

    pub(super) fn room(&self, room: RoomId) -> String {
        format!("{}{room}", self.rooms)
    }

    pub(super) fn rooms(&self, rooms: &[RoomId]) -> Vec<String> {
        rooms.iter().map(|room| self.room(*room)).collect()
    }

    /// The channel that a message goes to.
    pub(super) fn of(&self, message: &BusMessage) -> String {
        message.room().map_or_else(|| self.control.clone(), |room| self.room(room))
    }

    pub(super) fn probes(&self) -> &[String] {
        &self.probes
    }

    /// The channels that every node subscribes to.
    pub(super) fn always(&self) -> Vec<String> {
        [std::slice::from_ref(&self.control), &self.probes].concat()
    }

    /// What a channel is for; none for one that this release does not know.
    pub(super) fn parse(&self, name: &str) -> Option<Channel> {
        if let Some(room) = name.strip_prefix(&self.rooms) {
            return room.parse().ok().map(Channel::Room);
        }
        if name == self.control {
            return Some(Channel::Control);
        }
        let number = self.probes.iter().position(|probe| probe == name)?;
        u32::try_from(number).ok().map(Channel::Probe)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{BusinessId, OrderId};

    #[test]
    fn each_channel_reads_back_and_those_of_others_are_none() {
        let (node, other) = (NodeId::generate(), NodeId::generate());
        let channels = |node| Channels::named(|name| format!("hub:{name}"), node, 3);
        let (own, foreign) = (channels(node), channels(other));
        let rooms =
            [RoomId::Business(BusinessId::generate()), RoomId::Order(OrderId::generate()), RoomId::Ops];
        for room in rooms {
            assert_eq!(own.parse(&own.room(room)), Some(Channel::Room(room)));
        }
        assert_eq!(own.parse(&own.control), Some(Channel::Control));
        assert_eq!(own.parse(&own.probes()[2]), Some(Channel::Probe(2)));
        for name in [&foreign.probes()[0], "hub:room:", "hub:room:planet:7", "hub:controls", "ops", ""] {
            assert_eq!(own.parse(name), None, "{name}");
        }
        assert_eq!(own.always().len(), 4);
    }
}
