//! What clients were told and what the store and the payment provider hold, and every way in which these may not agree.

mod deliveries;
mod money;
mod orders;
mod rooms;
#[cfg(test)]
mod tests;
mod violation;

use std::collections::BTreeMap;

use bellhop_client::Cursor;
use serde::Serialize;
use serde_json::Value;

pub(crate) use orders::ENDS;
pub(crate) use violation::Violation;

/// One thing that a client was told about its room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Seen {
    /// Events follow from here: the first position of a client, or the one it came back with.
    Follows(Cursor),
    Event {
        at: Cursor,
        id: String,
    },
    /// What lies before this position has to be listed.
    Resync(Cursor),
}

/// Everything that one client was told of one room over all its connections, in the order it came, repetitions included.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ClientLog {
    pub(crate) client: String,
    pub(crate) room: String,
    pub(crate) seen: Vec<Seen>,
    /// It stayed until the end, so that it has to have reached the head of its room.
    pub(crate) until_end: bool,
}

/// An event as it is stored.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct StoredEvent {
    pub(crate) at: Cursor,
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) data: Value,
}

/// A room in the store: its head, and its events by epoch and number.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct StoredRoom {
    pub(crate) room: String,
    pub(crate) head: Cursor,
    pub(crate) events: Vec<StoredEvent>,
}

/// A customer's wish under one key, and every answer to it, those after the end included.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Wish {
    pub(crate) key: String,
    pub(crate) orders: Vec<String>,
    /// The code of the refusal that ended it.
    pub(crate) refused: Option<String>,
}

/// A move that a hub has confirmed.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Confirmed {
    pub(crate) order: String,
    pub(crate) version: i64,
    pub(crate) status: String,
}

/// A transition in the store.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct StoredMove {
    pub(crate) version: i64,
    pub(crate) from: Option<String>,
    pub(crate) to: String,
}

/// An order in the store.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct StoredOrder {
    pub(crate) id: String,
    pub(crate) business: String,
    /// The day and the number that a shop calls it by.
    pub(crate) number: (i64, i64),
    /// The key under which a customer wished it: the campaign's orders have it as their notes.
    pub(crate) key: String,
    pub(crate) status: String,
    pub(crate) ended_code: Option<String>,
    pub(crate) version: i64,
    pub(crate) total_minor: i64,
    pub(crate) moves: Vec<StoredMove>,
}

/// A payment in the store.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct StoredPayment {
    pub(crate) id: String,
    pub(crate) order: String,
    pub(crate) state: String,
    pub(crate) counts: bool,
    pub(crate) captured_minor: i64,
    pub(crate) refunded_minor: i64,
}

/// A payment as the provider has it: what customers paid, and what went back under which refund.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct HeldPayment {
    pub(crate) order: String,
    pub(crate) captured_minor: i64,
    pub(crate) returned: Vec<(String, i64)>,
}

/// An offer in the store.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct StoredOffer {
    pub(crate) id: String,
    pub(crate) delivery: String,
    pub(crate) driver: String,
    pub(crate) attempt: i64,
    pub(crate) state: String,
}

/// A delivery in the store.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct StoredDelivery {
    pub(crate) id: String,
    pub(crate) order: String,
    pub(crate) driver: Option<String>,
    pub(crate) counts: bool,
}

/// A driver in the store.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct StoredDriver {
    pub(crate) id: String,
    pub(crate) active: i64,
    pub(crate) capacity: i64,
}

/// A driver was told that a delivery is theirs.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Taken {
    pub(crate) driver: String,
    pub(crate) offer: String,
    pub(crate) delivery: String,
}

/// Everything that is known of one run.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct History {
    pub(crate) clients: Vec<ClientLog>,
    pub(crate) rooms: Vec<StoredRoom>,
    pub(crate) wishes: Vec<Wish>,
    pub(crate) confirmed: Vec<Confirmed>,
    pub(crate) orders: Vec<StoredOrder>,
    pub(crate) payments: Vec<StoredPayment>,
    /// By the hub's id of the payment.
    pub(crate) held: BTreeMap<String, HeldPayment>,
    pub(crate) offers: Vec<StoredOffer>,
    pub(crate) deliveries: Vec<StoredDelivery>,
    pub(crate) drivers: Vec<StoredDriver>,
    pub(crate) taken: Vec<Taken>,
}

impl History {
    /// Every promise that was broken; none is what a run has to show.
    pub(crate) fn violations(&self) -> Vec<Violation> {
        let mut found = rooms::of_the_store(self);
        found.extend(rooms::of_clients(self));
        found.extend(orders::check(self));
        found.extend(money::check(self));
        found.extend(deliveries::check(self));
        found
    }
}
