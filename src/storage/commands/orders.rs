//! Placing and moving orders, and doing something once for an idempotency key.

use serde::{Deserialize, Serialize};

use crate::domain::ids::{BusinessId, OrderId, UserId};
use crate::domain::order::{ChangeRefusal, ChangeRequest, Draft, MoveRequest, Order, Party, Status};
use crate::domain::private::Private;

use super::table::Write;

/// Place an order, at most once per idempotency key.
#[derive(Clone, Debug)]
pub struct PlaceOrder {
    /// The order as the customer wrote it.
    pub draft: Draft,
    /// Without one, each command is an order of its own.
    pub idempotency: Option<IdempotencyKey>,
    /// Most orders of one customer that may wait at the business for an answer; `None`: any number.
    pub most_waiting: Option<u32>,
    /// Renders the answer that is stored under the key, once the order has its number.
    pub respond: fn(&Order) -> RenderedResponse,
}

/// Under which key a request is answered only once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// User and route.
    pub scope: String,
    /// The client's key.
    pub key: String,
    /// HMAC of the request, in hexadecimal.
    pub request_mac: String,
}

/// An answer as its caller wrote it. The store keeps both fields as they are and reads neither.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderedResponse {
    /// The caller's code for what came of the request.
    pub status: u16,
    /// The body, byte for byte.
    pub body: Private<String>,
}

/// The first answer to a request with an idempotency key, given again for 24 hours.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredResponse {
    /// HMAC of the request it answered.
    pub request_mac: String,
    /// The caller's code for what came of the request.
    pub status: u16,
    /// The body, byte for byte.
    pub body: String,
}

impl RenderedResponse {
    /// The answer to the request with this fingerprint.
    pub fn stored(self, request_mac: String) -> StoredResponse {
        StoredResponse { request_mac, status: self.status, body: self.body.0 }
    }
}

impl std::fmt::Debug for StoredResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredResponse")
            .field("status", &self.status)
            .field("request_mac", &self.request_mac)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// Something that is done at most once for an idempotency key, and whose answer is known before it is done. It is kept with the key
/// when something was made.
#[derive(Clone, Debug)]
pub struct Keyed {
    /// The key of the request.
    pub key: IdempotencyKey,
    /// The caller's code in the answer.
    pub status: u16,
    /// The body of the answer.
    pub body: Private<String>,
    /// The write; none that places or moves an order.
    pub write: Write,
}

/// Move an order.
#[derive(Clone, Debug)]
pub struct MoveOrder {
    /// The order to move.
    pub order: OrderId,
    /// The business it was placed at; its writes go one after another.
    pub business: BusinessId,
    /// The user who asks; `None` is the hub itself.
    pub user: Option<UserId>,
    /// The status wanted, the capacity and the version it was decided on.
    pub request: MoveRequest,
    /// The mover's words for why.
    pub reason: Option<String>,
    /// What becomes of its money, and whether devices ring.
    pub aftermath: Aftermath,
}

impl MoveOrder {
    /// The end of an order of a restored copy by an operator: money stays as it is and no device rings.
    pub fn of_held_copy(
        (order, business): (OrderId, BusinessId),
        version: i64,
        to: Status,
        reason: &str,
    ) -> Self {
        let party = Party::Admin;
        let request = MoveRequest { party, to, version, prep_minutes: None, delivered_by: None };
        let (reason, aftermath) = (Some(reason.to_owned()), Aftermath::Nothing);
        Self { order, business, user: None, request, reason, aftermath }
    }
}

/// What follows when an order is moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Aftermath {
    /// What the table of transitions says.
    #[default]
    Usual,
    /// Nothing: money stays as it is and no device rings. For an order of a restored copy, whose end nobody knows.
    Nothing,
}

/// Change what an order says, without moving it.
#[derive(Clone, Debug)]
pub struct ChangeOrder {
    /// The order.
    pub order: OrderId,
    /// The business it was placed at; its writes go one after another.
    pub business: BusinessId,
    /// The user who asks.
    pub user: UserId,
    /// What is to be different, the capacity and the version it was decided on.
    pub request: ChangeRequest,
}

/// Let the devices of a business ring at once for an order that waits for an answer.
#[derive(Clone, Copy, Debug)]
pub struct RingOrder {
    /// The order.
    pub order: OrderId,
    /// The business it was placed at.
    pub business: BusinessId,
    /// The operator who asks.
    pub user: UserId,
}

/// Why an order was not changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeError {
    /// There is no such order.
    NoSuchOrder,
    /// The order's rules say no.
    Refused(ChangeRefusal),
}

/// Whether devices ring for an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RingOutcome {
    /// They do at once.
    Rings,
    /// It does not wait for an answer.
    NotWaiting,
    /// There is no such order.
    NoSuchOrder,
}

impl Write {
    /// The order that it places, if it does.
    pub fn as_place(&self) -> Option<&PlaceOrder> {
        if let Self::PlaceOrder(place) = self { Some(place) } else { None }
    }

    /// The write itself, whether or not it is done once for a key.
    pub fn unkeyed(&self) -> &Self {
        match self {
            Self::Keyed(keyed) => &keyed.write,
            write => write,
        }
    }
}
