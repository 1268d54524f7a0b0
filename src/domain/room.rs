//! Names of rooms. A subscriber of a room may see every event of it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::ids::{BusinessId, OrderId, UserId};
use super::zone::ZoneName;

/// The name of a room, parsed once where it enters the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RoomId {
    /// The members of a business.
    Business(BusinessId),
    /// The customer, the members of the business and the driver of one order.
    Order(OrderId),
    /// The driver of that account.
    Driver(UserId),
    /// What drivers do in a zone, for operators.
    Zone(ZoneName),
    /// The operators of the hub.
    Ops,
    /// The nodes of the hub, which tell each other what has changed. No client is ever in it.
    Control,
}

impl fmt::Display for RoomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Business(id) => write!(f, "business:{id}"),
            Self::Order(id) => write!(f, "order:{id}"),
            Self::Driver(id) => write!(f, "driver:{id}"),
            Self::Zone(name) => write!(f, "zone:{name}"),
            Self::Ops => f.write_str(OPS),
            Self::Control => f.write_str(CONTROL),
        }
    }
}

/// The name of [`RoomId::Ops`].
const OPS: &str = "ops";

/// The name of [`RoomId::Control`].
const CONTROL: &str = "control";

/// A text that is not the name of a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a room like business:biz_…, order:ord_…, driver:usr_…, zone:<name> or ops")]
pub struct RoomIdError;

impl FromStr for RoomId {
    type Err = RoomIdError;

    fn from_str(text: &str) -> Result<Self, RoomIdError> {
        match text {
            OPS => return Ok(Self::Ops),
            CONTROL => return Ok(Self::Control),
            _ => {}
        }
        let (kind, id) = text.split_once(':').ok_or(RoomIdError)?;
        match kind {
            "business" => id.parse().map(Self::Business).map_err(|_| RoomIdError),
            "order" => id.parse().map(Self::Order).map_err(|_| RoomIdError),
            "driver" => id.parse().map(Self::Driver).map_err(|_| RoomIdError),
            "zone" => ZoneName::known(id).map(Self::Zone).ok_or(RoomIdError),
            _ => Err(RoomIdError),
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
        assert_eq!((RoomId::Ops.to_string().as_str(), "ops".parse()), ("ops", Ok(RoomId::Ops)));
        assert_eq!(
            (RoomId::Control.to_string().as_str(), "control".parse()),
            ("control", Ok(RoomId::Control))
        );
        let order = OrderId::generate();
        for bad in [
            "business",
            "business:",
            &format!("business:{order}"),
            &format!("table:{order}"),
            "ops:x",
            "ops:",
            "control:x",
            "OPS",
        ] {
            assert_eq!(bad.parse::<RoomId>(), Err(RoomIdError), "{bad}");
        }
    }
}
