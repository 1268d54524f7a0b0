//! Typed ids: a prefix that names the kind and a UUIDv7, written `ord_0190…` everywhere, databases included.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// A text that is not an id of the kind asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an id like {prefix}0190f3c1a2b37d4e8f00112233445566")]
pub struct IdError {
    prefix: &'static str,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// What every text of this kind starts with.
            pub const PREFIX: &'static str = $prefix;

            /// The length of every text of this kind, bytes.
            pub const TEXT_LENGTH: usize = $prefix.len() + 32;

            /// Wraps a UUID that its caller made.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// A new id whose order follows time. Only shells call this; minds are handed ids.
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }

            /// The UUID without its prefix.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0.simple())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                text.strip_prefix($prefix)
                    .filter(|hex| hex.len() == 32 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
                    .and_then(|hex| Uuid::try_parse(hex).ok())
                    .map(Self)
                    .ok_or(IdError { prefix: $prefix })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(
    /// A person or program that signs in.
    UserId, "usr_");
id!(
    /// One sign-in; also the family of its refresh tokens.
    SessionId, "ses_");
id!(
    /// A merchant's place of business.
    BusinessId, "biz_");
id!(
    /// An invitation to work for a business.
    InvitationId, "inv_");
id!(
    /// An order.
    OrderId, "ord_");
id!(
    /// A stored notification.
    NotificationId, "ntf_");
id!(
    /// A room event; the same event in two rooms has two ids.
    EventId, "evt_");
id!(
    /// One open socket.
    SocketId, "soc_");
id!(
    /// One command to the store, run at most once however often it is tried.
    CommandId, "cmd_");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_from_its_own_text_and_from_nothing_else() {
        let id = OrderId::generate();
        assert_eq!(id.to_string().parse::<OrderId>(), Ok(id));
        let hex = id.uuid().simple().to_string();
        for bad in [
            "",
            "ord_",
            "ord_zz",
            &hex,
            &format!("biz_{hex}"),
            &format!("ord_{}", hex.to_uppercase()),
            &format!("ord_{}", id.uuid()),
        ] {
            assert!(bad.parse::<OrderId>().is_err(), "{bad} was read as an order id");
        }
    }
}
