//! Changing what was agreed about an order while it goes its way: when it is ready, where it goes, how to reach the customer.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::string_enum::string_enum;
use crate::domain::time::Timestamp;

use super::model::{Address, Order};
use super::status::{Fulfilment, Party, Status};

string_enum! {
    /// A part of an order that can change without a transition, by its name in the order.
    pub enum OrderField {
        /// The time at which it is to be ready.
        ReadyAt = "ready_at",
        /// The address it is taken to.
        Address = "address",
        /// The telephone number of the customer.
        Phone = "phone",
        /// The notes for the kitchen.
        Notes = "notes",
        /// How the customer gets it; it is changed by a route of its own.
        Fulfilment = "fulfilment",
        /// Who brings it; it is changed by a route of its own.
        DeliveredBy = "delivered_by",
    }
}

/// What somebody wants to change; at least one field is there.
#[derive(Clone, PartialEq)]
pub struct ChangeRequest {
    /// The capacity in which they ask.
    pub party: Party,
    /// The version it was decided on.
    pub version: i64,
    /// Minutes from now until it is ready, 1 to 120.
    pub ready_in_minutes: Option<u16>,
    /// The new address of a delivery.
    pub address: Option<Address>,
    /// The new telephone number.
    pub phone: Option<String>,
    /// The new notes.
    pub notes: Option<String>,
}

impl fmt::Debug for ChangeRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without what says where somebody lives.
        let named: Vec<_> = self.fields().map(OrderField::as_str).collect();
        f.debug_struct("ChangeRequest")
            .field("party", &self.party)
            .field("fields", &named)
            .finish_non_exhaustive()
    }
}

/// Why an order was not changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeRefusal {
    /// The order has moved since the version named.
    #[serde(rename = "change_stale")]
    Stale {
        /// Its version now.
        current: i64,
        /// Where it stands now.
        status: Status,
    },
    /// This party may never change that.
    #[serde(rename = "change_not_theirs")]
    NotTheirs(OrderField),
    /// It cannot be changed where the order stands; not by this party.
    #[serde(rename = "change_forbidden")]
    NotNow {
        /// What cannot be changed.
        field: OrderField,
        /// Where the order stands.
        status: Status,
    },
    /// Nothing is delivered, so there is no address.
    NoDelivery,
    /// It has been changed as often as this party may change it.
    #[serde(rename = "changed_too_often")]
    TooOften,
}

/// Changes of an order after which its customer changes nothing more: each is told to two rooms and kept as long as the order.
const MAX_EDITS_OF_CUSTOMER: i64 = 20;

/// Most changes of an order, whoever makes them.
const MAX_EDITS: i64 = 100;

const fn most_edits(party: Party) -> i64 {
    match party {
        Party::Customer => MAX_EDITS_OF_CUSTOMER,
        Party::Member | Party::Driver | Party::Admin | Party::System => MAX_EDITS,
    }
}

impl ChangeRequest {
    /// A field it names that this party changes in no status and on no version.
    pub fn never_theirs(&self) -> Option<OrderField> {
        self.fields().find(|field| matches!(right(*field, self.party, Status::Accepted), Right::Never))
    }

    /// The fields it names.
    fn fields(&self) -> impl Iterator<Item = OrderField> {
        let named = [
            (OrderField::ReadyAt, self.ready_in_minutes.is_some()),
            (OrderField::Address, self.address.is_some()),
            (OrderField::Phone, self.phone.is_some()),
            (OrderField::Notes, self.notes.is_some()),
        ];
        named.into_iter().filter(|(_, is_named)| *is_named).map(|(field, _)| field)
    }
}

/// Whether a party may change a field of an order.
enum Right {
    Now,
    Never,
    NotHere,
}

const fn right(field: OrderField, party: Party, status: Status) -> Right {
    use Status::{Accepted, PendingPayment, Placed, Preparing, Ready};
    let may = match (field, party) {
        (_, Party::Driver | Party::System) | (OrderField::ReadyAt, Party::Customer) => return Right::Never,
        (OrderField::ReadyAt, Party::Member | Party::Admin) => matches!(status, Accepted | Preparing | Ready),
        (_, Party::Customer) => matches!(status, PendingPayment | Placed),
        (_, Party::Member | Party::Admin) => !status.is_end(),
    };
    if may { Right::Now } else { Right::NotHere }
}

impl Order {
    /// Changes what the request names, all of it or nothing, and says what is different now: nothing where all of it was so
    /// before. The version stays, since the status does. Refused first where a field is never theirs to change, then on an
    /// outdated version, then by where the order stands, and last where it was changed too often.
    pub fn change(
        &mut self,
        request: ChangeRequest,
        now: Timestamp,
    ) -> Result<Vec<OrderField>, ChangeRefusal> {
        if let Some(field) = request.never_theirs() {
            return Err(ChangeRefusal::NotTheirs(field));
        }
        if request.address.is_some() && self.fulfilment != Fulfilment::Delivery {
            return Err(ChangeRefusal::NoDelivery);
        }
        if request.version != self.version {
            return Err(ChangeRefusal::Stale { current: self.version, status: self.status });
        }
        let not_here = |field: &OrderField| !matches!(right(*field, request.party, self.status), Right::Now);
        if let Some(field) = request.fields().find(not_here) {
            return Err(ChangeRefusal::NotNow { field, status: self.status });
        }
        let minutes = |minutes: u16| now.plus(Duration::from_secs(60 * u64::from(minutes)));
        let mut changed = Vec::new();
        let mut after = self.clone();
        let mut note = |field, is_new: bool| changed.extend(is_new.then_some(field));
        note(OrderField::ReadyAt, replace(&mut after.ready_at, request.ready_in_minutes.map(minutes)));
        note(OrderField::Address, replace(&mut after.address, request.address));
        note(OrderField::Phone, replace(&mut after.phone, request.phone));
        note(OrderField::Notes, replace(&mut after.notes, request.notes));
        if changed.is_empty() {
            return Ok(changed);
        }
        if self.edits >= most_edits(request.party) {
            return Err(ChangeRefusal::TooOften);
        }
        after.edits += 1;
        *self = after;
        Ok(changed)
    }
}

/// Puts a new value in the place of the old one, and says whether it is another.
fn replace<T: PartialEq>(old: &mut Option<T>, new: Option<T>) -> bool {
    let is_other = new.is_some() && *old != new;
    if is_other {
        *old = new;
    }
    is_other
}

#[cfg(test)]
mod tests;
