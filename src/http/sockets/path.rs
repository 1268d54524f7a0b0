//! The addresses of sockets.

use crate::domain::room::RoomId;

/// Every address of sockets.
pub const PATTERNS: [&str; 3] = ["/ws/notifications/{business_id}", "/ws/orders/{order_id}", "/ws/ops"];

/// An address of sockets, as a request asked for it.
pub(super) struct SocketPath {
    /// The pattern it matches, for metrics.
    pub(super) pattern: &'static str,
    /// The room; `None` when the id in the path is not valid.
    pub(super) room: Option<RoomId>,
}

/// Whether a path is an address of sockets.
pub(in crate::http) fn is_socket(path: &str) -> bool {
    socket_path(path).is_some()
}

pub(super) fn socket_path(path: &str) -> Option<SocketPath> {
    let path = path.strip_suffix('/').unwrap_or(path);
    if path == PATTERNS[2] {
        return Some(SocketPath { pattern: PATTERNS[2], room: Some(RoomId::Ops) });
    }
    if let Some(id) = path.strip_prefix("/ws/notifications/") {
        let room = id.parse().ok().map(RoomId::Business);
        return Some(SocketPath { pattern: PATTERNS[0], room });
    }
    let id = path.strip_prefix("/ws/orders/")?;
    Some(SocketPath { pattern: PATTERNS[1], room: id.parse().ok().map(RoomId::Order) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_documented_paths_are_sockets() {
        let business = crate::domain::ids::BusinessId::generate();
        let order = crate::domain::ids::OrderId::generate();
        let room = |path: &str| socket_path(path).map(|r| r.room);
        assert_eq!(room(&format!("/ws/notifications/{business}")), Some(Some(RoomId::Business(business))));
        assert_eq!(room(&format!("/ws/orders/{order}/")), Some(Some(RoomId::Order(order))));
        assert_eq!(room("/ws/orders/nonsense"), Some(None));
        assert_eq!(room(&format!("/ws/notifications/{business}/x")), Some(None));
        assert_eq!((room("/ws/ops"), room("/ws/ops/")), (Some(Some(RoomId::Ops)), Some(Some(RoomId::Ops))));
        assert_eq!(room("/ws/elsewhere"), None);
        assert_eq!(room("/ws/ops/x"), None);
        assert_eq!(room("/api/v1/orders"), None);
    }
}
