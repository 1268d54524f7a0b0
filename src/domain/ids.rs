//! Typed ids: a prefix for the kind and a UUIDv7, written as `ord_0190…` everywhere, also in the databases.
#![expect(clippy::disallowed_methods, reason = "new ids are made here")]

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// A text that is not an id of the expected kind.
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
            /// The prefix of every id of this kind.
            pub const PREFIX: &'static str = $prefix;

            /// The length of every id of this kind as text, in bytes.
            pub const TEXT_LENGTH: usize = $prefix.len() + 32;

            /// Wraps a UUID that the caller made.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// A new id; ids sort by the time they were made. Only actors and handlers call this; states and rules are given ids.
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
    /// An account: a person or a program that signs in.
    UserId, "usr_");
id!(
    /// A login session: one sign-in with its access and refresh tokens.
    LoginSessionId, "ses_");
id!(
    /// A business: a place that takes orders.
    BusinessId, "biz_");
id!(
    /// An invitation to work for a business.
    InvitationId, "inv_");
id!(
    /// An order at one business.
    OrderId, "ord_");
id!(
    /// A stored notification.
    NotificationId, "ntf_");
id!(
    /// An event of a room. The same event in two rooms has two ids.
    EventId, "evt_");
id!(
    /// A connection: one open WebSocket.
    ConnectionId, "soc_");
id!(
    /// A use of a channel to the outside.
    IntentId, "int_");
id!(
    /// A payment of an order: the idempotency key of its calls to the provider.
    PaymentId, "pay_");
id!(
    /// A refund of a payment: the idempotency key of its calls to the provider.
    RefundId, "ref_");
id!(
    /// A message of the payment provider that was taken in.
    PaymentMessageId, "msg_");
id!(
    /// A message that could not be worked on, kept for an operator.
    DeadLetterId, "dlt_");
id!(
    /// The delivery of an order by drivers of the hub.
    DeliveryId, "dlv_");
id!(
    /// An offer of a delivery to one driver.
    OfferId, "off_");
id!(
    /// A node of the hub, from its start to its end.
    NodeId, "nod_");
id!(
    /// An entry of the audit.
    AuditId, "aud_");
id!(
    /// A command to the store, applied at most once however often it is tried.
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
