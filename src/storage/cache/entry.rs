//! Cached values, each with the key that names its type.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::domain::access::MemberRole;
use crate::domain::business::{Business, MenuItem};
use crate::domain::ids::{BusinessId, OrderId, UserId};
use crate::domain::order::{Order, Status};
use crate::domain::time::Timestamp;
use crate::storage::ports::{BusinessStats, OrderPage, OrderScope};

use super::neighbours::Learned;
use super::versions::Snapshot;

/// Key of one kind of value: under it no other kind is stored or found.
pub(super) trait CacheKey: Clone {
    type Value: Clone;

    /// Label in the metric.
    const LABEL: &'static str;
    /// How changes by other nodes are learned of.
    const LEARNED: Learned;

    fn key(&self) -> Key;
    fn pack(value: Self::Value) -> Value;
    fn unpack(value: Value) -> Option<Self::Value>;
}

/// Every kind of cached value: its key, its type, its word in the metric, and how changes by other nodes are learned of.
macro_rules! cached {
    ($($kind:ident: $name:ident($($part:ty),+) => $value:ty, $label:literal, $learned:ident;)+) => {
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub(super) enum Key {
            $($kind($name),)+
        }

        #[derive(Clone, Debug)]
        pub(super) enum Value {
            $($kind($value),)+
        }

        $(
            #[derive(Clone, Debug, PartialEq, Eq, Hash)]
            pub(super) struct $name($(pub(super) $part),+);

            impl CacheKey for $name {
                type Value = $value;

                const LABEL: &'static str = $label;
                const LEARNED: Learned = Learned::$learned;

                fn key(&self) -> Key {
                    Key::$kind(self.clone())
                }

                fn pack(value: $value) -> Value {
                    Value::$kind(value)
                }

                fn unpack(value: Value) -> Option<$value> {
                    if let Value::$kind(value) = value { Some(value) } else { None }
                }
            }
        )+
    };
}

cached! {
    Business: BusinessKey(BusinessId) => Arc<Business>, "business", ByControl;
    Menu: MenuKey(BusinessId) => Arc<Vec<MenuItem>>, "menu", ByControl;
    Membership: MembershipKey(BusinessId, UserId) => MemberRole, "membership", ByControl;
    Order: OrderKey(OrderId) => Arc<Order>, "order", ByTime;
    FirstPage: FirstPageKey(Box<FirstPage>) => Arc<OrderPage>, "orders", ByTime;
    // The time is the beginning of the day that is counted.
    Stats: StatsKey(BusinessId, Timestamp) => BusinessStats, "stats", ByTime;
}

/// Query of the first page of a list.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct FirstPage {
    pub(super) scope: OrderScope,
    pub(super) business: Option<BusinessId>,
    pub(super) status: Option<Status>,
    pub(super) words: Vec<String>,
    pub(super) limit: u32,
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) value: Value,
    /// Versions of the inputs as of before the read.
    pub(super) inputs: Snapshot,
    /// When the read began.
    pub(super) read_at: Instant,
    /// How long it holds on a node that is alone.
    pub(super) holds_for: Duration,
}
