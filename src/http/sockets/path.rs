//! The addresses of sockets.

use crate::domain::room::RoomId;

/// Every address of sockets.
pub const PATTERNS: [&str; 4] =
    ["/ws/notifications/{business_id}", "/ws/orders/{order_id}", "/ws/ops", "/ws/driver"];

/// An address of sockets, as a request asked for it.
pub(super) struct SocketPath {
    /// The pattern it matches, for metrics.
    pub(super) pattern: &'static str,
    /// Whose events are wanted.
    pub(super) room: PathRoom,
}

/// The room that a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PathRoom {
    /// This one.
    Named(RoomId),
    /// That of the driver who asks.
    OfTheDriver,
    /// None: the id in the path is not valid.
    Invalid,
}

impl From<Option<RoomId>> for PathRoom {
    fn from(room: Option<RoomId>) -> Self {
        room.map_or(Self::Invalid, Self::Named)
    }
}

/// Whether a path is an address of sockets.
pub(in crate::http) fn is_socket(path: &str) -> bool {
    socket_path(path).is_some()
}

pub(super) fn socket_path(path: &str) -> Option<SocketPath> {
    let path = path.strip_suffix('/').unwrap_or(path);
    if path == PATTERNS[2] {
        return Some(SocketPath { pattern: PATTERNS[2], room: PathRoom::Named(RoomId::Ops) });
    }
    if path == PATTERNS[3] {
        return Some(SocketPath { pattern: PATTERNS[3], room: PathRoom::OfTheDriver });
    }
    if let Some(id) = path.strip_prefix("/ws/notifications/") {
        let room = id.parse().ok().map(RoomId::Business);
        return Some(SocketPath { pattern: PATTERNS[0], room: room.into() });
    }
    let id = path.strip_prefix("/ws/orders/")?;
    let room = id.parse().ok().map(RoomId::Order);
    Some(SocketPath { pattern: PATTERNS[1], room: room.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_documented_paths_are_sockets() {
        let business = crate::domain::ids::BusinessId::generate();
        let order = crate::domain::ids::OrderId::generate();
        let room = |path: &str| socket_path(path).map(|r| r.room);
        assert_eq!(
            room(&format!("/ws/notifications/{business}")),
            Some(PathRoom::Named(RoomId::Business(business)))
        );
        assert_eq!(room(&format!("/ws/orders/{order}/")), Some(PathRoom::Named(RoomId::Order(order))));
        assert_eq!(room("/ws/orders/nonsense"), Some(PathRoom::Invalid));
        assert_eq!(room("/ws/driver"), Some(PathRoom::OfTheDriver));
        assert_eq!(room("/ws/driver/x"), None);
        assert_eq!(room(&format!("/ws/notifications/{business}/x")), Some(PathRoom::Invalid));
        let ops = Some(PathRoom::Named(RoomId::Ops));
        assert_eq!((room("/ws/ops"), room("/ws/ops/")), (ops, ops));
        assert_eq!(room("/ws/elsewhere"), None);
        assert_eq!(room("/ws/ops/x"), None);
        assert_eq!(room("/api/v1/orders"), None);
    }
}
