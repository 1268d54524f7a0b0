//! The events of rooms.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::business::BusinessEvent;
use super::delivery::{DeliveryEvent, OfferClosed, OfferOpened};
use super::ids::{EventId, OrderId};
use super::order::OrderEvent;
use super::payment::PaymentEvent;
use super::room::RoomId;
use super::time::Timestamp;

pub use super::notification::{Notification, OpsNotification, Priority};

macro_rules! events {
    (
        types { $($(#[$doc:meta])* $name:ident($data:ty) => $word:literal, rings: $rings:literal;)* }
        also { $($(#[$also_doc:meta])* $also:ident($also_data:ty) => $also_type:ident;)* }
    ) => {
        /// The types of events that are stored and numbered.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum EventType {
            $($(#[$doc])* #[serde(rename = $word)] $name,)*
        }

        impl EventType {
            /// Every type, once.
            pub const ALL: [Self; [$($word),*].len()] = [$(Self::$name),*];

            /// The word on the wire and in the database.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// Whether a device that hears it rings until somebody answers.
            pub const fn rings(self) -> bool {
                match self { $(Self::$name => $rings,)* }
            }
        }

        /// The data of an event by its type: JSON without a phone number or an address.
        #[derive(Clone, Debug, PartialEq)]
        pub enum EventPayload {
            $($(#[$doc])* $name(Box<$data>),)*
            $($(#[$also_doc])* $also(Box<$also_data>),)*
        }

        impl EventPayload {
            /// The type of the event.
            pub const fn event_type(&self) -> EventType {
                match self {
                    $(Self::$name(_) => EventType::$name,)*
                    $(Self::$also(_) => EventType::$also_type,)*
                }
            }

            /// The data as JSON, written out once for everybody who hears it.
            pub fn to_json(&self) -> String {
                let json = match self {
                    $(Self::$name(data) => serde_json::to_string(data),)*
                    $(Self::$also(data) => serde_json::to_string(data),)*
                };
                json.expect("the data of events are texts, numbers and objects")
            }

            /// The schema of the data of each type, by the type's name, and of everything inside of it.
            pub fn schemas() -> Vec<(String, RefOr<Schema>)> {
                let mut schemas = Vec::new();
                $(
                    schemas.push((<$data as ToSchema>::name().into_owned(), <$data as PartialSchema>::schema()));
                    <$data as ToSchema>::schemas(&mut schemas);
                )*
                $(
                    schemas.push((
                        <$also_data as ToSchema>::name().into_owned(),
                        <$also_data as PartialSchema>::schema(),
                    ));
                    <$also_data as ToSchema>::schemas(&mut schemas);
                )*
                schemas
            }
        }
    };
}

events! {
    types {
        /// An order entered `placed`. Both its rooms hear it; the business's carries the stored notification.
        OrderCreated(OrderEvent) => "order_created", rings: true;
        /// An order moved, other than into `cancelled`.
        OrderUpdated(OrderEvent) => "order_updated", rings: false;
        /// An order was cancelled.
        OrderCancelled(OrderEvent) => "order_cancelled", rings: false;
        /// Somebody posted a notification.
        Notification(Notification) => "notification", rings: false;
        /// The state, the pauses or the mute of a business changed. Its room and the one of the operators hear it.
        BusinessUpdated(BusinessEvent) => "business_updated", rings: false;
        /// Money for an order was received. Both its rooms hear it.
        PaymentReceived(PaymentEvent) => "payment_received", rings: false;
        /// Money of an order has gone back. Both its rooms hear it.
        PaymentRefunded(PaymentEvent) => "payment_refunded", rings: false;
        /// A driver is asked to bring an order.
        OfferOpened(OfferOpened) => "offer_opened", rings: false;
        /// A driver is asked no more.
        OfferClosed(OfferClosed) => "offer_closed", rings: false;
        /// A delivery by a driver has moved on. The rooms of its order, business, zone and driver hear it.
        DeliveryUpdated(DeliveryEvent) => "delivery_updated", rings: false;
    }
    also {
        /// Operators are told something.
        OpsNotification(OpsNotification) => Notification;
    }
}

impl FromStr for EventType {
    type Err = UnknownEventType;

    fn from_str(text: &str) -> Result<Self, UnknownEventType> {
        Self::ALL.into_iter().find(|t| t.as_str() == text).ok_or(UnknownEventType)
    }
}

/// A word that names no event type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown event type")]
pub struct UnknownEventType;

/// The type of a stored event. One that this release does not know keeps its word, so that an older hub beside a newer one passes
/// its events on whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A type of this release.
    Known(EventType),
    /// Any other word.
    Other(Arc<str>),
}

impl EventKind {
    /// Stands for an event whose row cannot be read any more: it keeps its number, so that the room has no hole.
    pub fn unreadable() -> Self {
        Self::Other("unreadable".into())
    }

    /// The word on the wire and in the database.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Known(kind) => kind.as_str(),
            Self::Other(word) => word,
        }
    }
}

impl From<&str> for EventKind {
    fn from(word: &str) -> Self {
        word.parse().map_or_else(|_| Self::Other(word.into()), Self::Known)
    }
}

impl From<EventType> for EventKind {
    fn from(kind: EventType) -> Self {
        Self::Known(kind)
    }
}

impl PartialEq<EventType> for EventKind {
    fn eq(&self, kind: &EventType) -> bool {
        matches!(self, Self::Known(known) if known == kind)
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An event without a number: made by a write and not committed yet. The store numbers it in the same commit.
#[derive(Clone, Debug, PartialEq)]
pub struct PendingEvent {
    /// An id that begins with `evt_`.
    pub id: EventId,
    /// The room that hears it.
    pub room: RoomId,
    /// When it happened.
    pub at: Timestamp,
    /// Its type and data.
    pub payload: EventPayload,
    /// The order it is about: acknowledgements and marks of the event are kept for that order.
    pub order: Option<OrderId>,
}

/// Everything one write tells: stored and numbered in the commit of the write.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Announcement {
    /// For the list of the business's notifications.
    pub notification: Option<Notification>,
    /// For rooms, in this order.
    pub events: Vec<PendingEvent>,
}

/// Something that a person posts into a room, as opposed to what follows from an order.
pub trait Posted {
    /// The event of the post, under this id.
    fn announce(&self, id: EventId) -> Announcement;
}

impl Posted for Notification {
    fn announce(&self, id: EventId) -> Announcement {
        let event = PendingEvent {
            id,
            room: RoomId::Business(self.business_id),
            at: self.created_at,
            payload: EventPayload::Notification(Box::new(self.clone())),
            order: None,
        };
        Announcement { notification: Some(self.clone()), events: vec![event] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_of_event_stands_in_the_docs() {
        let docs = include_str!("../../docs/protocol.md");
        for event in EventType::ALL {
            let word = event.as_str();
            assert_eq!(word.parse(), Ok(event));
            assert!(docs.contains(&format!("\n`{word}`: ")), "docs/protocol.md must describe `{word}`");
            assert!(docs.contains(&format!("\"{word}\"")), "the browser example must listen to `{word}`");
        }
    }

    #[test]
    fn the_data_of_events_have_schemas() {
        let names: Vec<String> = EventPayload::schemas().into_iter().map(|(name, _)| name).collect();
        for name in [
            "OrderEvent",
            "OrderSummary",
            "KitchenDetails",
            "Notification",
            "OpsNotification",
            "BusinessEvent",
            "PaymentEvent",
            "OfferOpened",
            "OfferClosed",
            "DeliveryEvent",
        ] {
            assert!(names.iter().any(|known| known == name), "{name} is not among {names:?}");
        }
    }
}
