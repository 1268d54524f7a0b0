//! Rooms: who hears what together. Every member of a room may see every event of it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::ids::{BusinessId, OrderId};

/// The name of a room, parsed once at the edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RoomId {
    /// The members of a business.
    Business(BusinessId),
    /// Everybody concerned with one order.
    Order(OrderId),
}

impl fmt::Display for RoomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Business(id) => write!(f, "business:{id}"),
            Self::Order(id) => write!(f, "order:{id}"),
        }
    }
}

/// A text that names no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a room like business:biz_… or order:ord_…")]
pub struct RoomError;

impl FromStr for RoomId {
    type Err = RoomError;

    fn from_str(text: &str) -> Result<Self, RoomError> {
        let (kind, id) = text.split_once(':').ok_or(RoomError)?;
        match kind {
            "business" => id.parse().map(Self::Business).map_err(|_| RoomError),
            "order" => id.parse().map(Self::Order).map_err(|_| RoomError),
            _ => Err(RoomError),
        }
    }
}

impl Serialize for RoomId {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RoomId {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_reads_back_from_its_name_only() {
        let room = RoomId::Business(BusinessId::generate());
        assert_eq!(room.to_string().parse(), Ok(room));
        let order = OrderId::generate();
        for bad in ["business", "business:", &format!("business:{order}"), &format!("table:{order}"), "ops:x"]
        {
            assert_eq!(bad.parse::<RoomId>(), Err(RoomError), "{bad}");
        }
    }
}
