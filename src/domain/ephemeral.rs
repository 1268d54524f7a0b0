//! Events that are never stored: a newer one of the same subject replaces an older one, and they are the first to be dropped
//! when a client is slow.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};
use uuid::Uuid;

use super::delivery::DriverLocation;
use super::ids::{BusinessId, OrderId};
use super::saga::{Ring, RingKind};
use super::string_enum::string_enum;
use super::time::Timestamp;

string_enum! {
    /// The types of ephemeral events, in the order in which they are dropped: the last one is kept longest.
    pub enum EphemeralType {
        /// The last position of a driver.
        DriverLocation = "driver_location",
        /// The devices of a business that can ring have changed.
        Presence = "presence",
        /// An order rings (again).
        OrderRing = "order_ring",
    }
}

/// An order rings on the devices of its business.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OrderRing {
    /// The order, `ord_…`.
    #[schema(value_type = String)]
    pub order_id: OrderId,
    /// The number people call it by.
    pub order_number: String,
    /// The reason: `placed`, `cancelled` or `changed`.
    #[schema(value_type = String)]
    pub kind: RingKind,
    /// The number of this ring, from 1.
    pub ring: u32,
    /// When the hub acts on the order by itself.
    #[schema(value_type = Option<String>)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_at: Option<Timestamp>,
    /// Milliseconds from `now` to `deadline_at`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remaining_ms: Option<u64>,
    /// The hub's time when it rang.
    #[schema(value_type = String)]
    pub now: Timestamp,
}

impl OrderRing {
    /// A ring of an order at `now`.
    pub fn new(order_id: OrderId, order_number: &str, ring: Ring, now: Timestamp) -> Self {
        let Ring { kind, ring, deadline_at } = ring;
        let remaining =
            |deadline: Timestamp| u64::try_from(deadline.since(now).as_millis()).unwrap_or(u64::MAX);
        let remaining_ms = deadline_at.map(remaining);
        Self { order_id, order_number: order_number.to_owned(), kind, ring, deadline_at, remaining_ms, now }
    }
}

/// The devices of a business that can ring have become others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Presence {
    /// The business, `biz_…`.
    #[schema(value_type = String)]
    pub business_id: BusinessId,
    /// Whether one of its devices can ring.
    pub reachable: bool,
    /// The number of its devices that can ring.
    pub devices: u32,
}

/// The data of an ephemeral event by its type.
#[derive(Clone, Debug, PartialEq)]
pub enum EphemeralPayload {
    /// The data of [`EphemeralType::DriverLocation`].
    DriverLocation(DriverLocation),
    /// The data of [`EphemeralType::OrderRing`].
    OrderRing(OrderRing),
    /// The data of [`EphemeralType::Presence`].
    Presence(Presence),
}

impl EphemeralPayload {
    /// The type of the event.
    pub const fn kind(&self) -> EphemeralType {
        match self {
            Self::DriverLocation(_) => EphemeralType::DriverLocation,
            Self::OrderRing(_) => EphemeralType::OrderRing,
            Self::Presence(_) => EphemeralType::Presence,
        }
    }

    /// What it is about: an event of the same type and subject in the same room replaces it.
    pub fn subject(&self) -> Uuid {
        match self {
            // A driver who carries two deliveries of a business is seen with each of them.
            Self::DriverLocation(at) => at.delivery_id.map_or(at.driver_id.uuid(), |id| id.uuid()),
            Self::OrderRing(ring) => ring.order_id.uuid(),
            Self::Presence(presence) => presence.business_id.uuid(),
        }
    }

    /// The data as JSON, written out once for everybody who hears it.
    pub fn to_json(&self) -> String {
        let json = match self {
            Self::DriverLocation(location) => serde_json::to_string(location),
            Self::OrderRing(ring) => serde_json::to_string(ring),
            Self::Presence(presence) => serde_json::to_string(presence),
        };
        json.expect("the data of events are texts and numbers")
    }

    /// The schema of the data of each type, by the type's name.
    pub fn schemas() -> Vec<(String, RefOr<Schema>)> {
        use utoipa::PartialSchema as _;
        let mut schemas = vec![
            ("DriverLocation".to_owned(), DriverLocation::schema()),
            ("OrderRing".to_owned(), OrderRing::schema()),
            ("Presence".to_owned(), Presence::schema()),
        ];
        DriverLocation::schemas(&mut schemas);
        OrderRing::schemas(&mut schemas);
        Presence::schemas(&mut schemas);
        schemas
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_of_ephemeral_event_stands_in_the_docs() {
        let docs = include_str!("../../docs/protocol.md");
        for kind in EphemeralType::ALL {
            assert!(docs.contains(&format!("\n`{kind}`: ")), "docs/protocol.md must describe `{kind}`");
            assert!(docs.contains(&format!("\"{kind}\"")), "the browser example must listen to `{kind}`");
        }
    }

    #[test]
    fn positions_are_dropped_first_and_rings_last() {
        let mut kinds = EphemeralType::ALL;
        kinds.sort_unstable();
        assert_eq!(kinds, [EphemeralType::DriverLocation, EphemeralType::Presence, EphemeralType::OrderRing]);
    }
}
