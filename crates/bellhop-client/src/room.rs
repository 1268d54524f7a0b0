//! Rooms a client can subscribe to.

/// A room, and the path of its WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    pub(crate) path: String,
    pub(crate) name: String,
}

impl Room {
    /// The room of a business: its orders and notifications.
    pub fn business(id: impl std::fmt::Display) -> Self {
        Self { path: format!("/ws/notifications/{id}"), name: format!("business:{id}") }
    }

    /// The room of one order.
    pub fn order(id: impl std::fmt::Display) -> Self {
        Self { path: format!("/ws/orders/{id}"), name: format!("order:{id}") }
    }

    /// The room of a driver: their offers and deliveries.
    pub fn driver(id: impl std::fmt::Display) -> Self {
        Self { path: "/ws/driver".to_owned(), name: format!("driver:{id}") }
    }

    /// The path that opens a WebSocket on it, without a query.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Its name in frames and paths, `business:…`, `order:…` or `driver:…`.
    pub fn name(&self) -> &str {
        &self.name
    }
}
