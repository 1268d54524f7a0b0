//! Placing an order: prices come from the menu, never from the client.

use serde::{Deserialize, Serialize};

use crate::domain::business::{Accepts, Business, MenuItem, NotTakingOrders};
use crate::domain::ids::{BusinessId, OrderId, UserId};
use crate::domain::money::{self, Currency};
use crate::domain::time::Timestamp;

use super::model::{Address, Order, OrderItem, PaymentMethod, PaymentStatus};
use super::status::{Fulfilment, Party, Status};
use super::table::FollowUp;

/// A line as the customer wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DraftItem {
    /// The menu's code.
    pub sku: String,
    /// How many; at least 1.
    pub qty: u32,
}

/// An order as a customer wants it, its fields bounded and checked on their own.
#[derive(Clone, PartialEq)]
pub struct Draft {
    /// The id the order will have.
    pub id: OrderId,
    /// The business it is for.
    pub business_id: BusinessId,
    /// The user who asks.
    pub customer_id: UserId,
    /// The capacity in which they ask.
    pub placed_by: Party,
    /// The name on the receipt.
    pub customer_name: String,
    /// How to reach the customer.
    pub phone: Option<String>,
    /// Where to take it; there for every delivery.
    pub address: Option<Address>,
    /// How the customer gets it.
    pub fulfilment: Fulfilment,
    /// What; at least one line.
    pub items: Vec<DraftItem>,
    /// The table of a guest who eats in.
    pub table: Option<u16>,
    /// For the kitchen.
    pub notes: Option<String>,
    /// How it will be paid.
    pub payment: PaymentMethod,
    /// What the customer was told that it costs.
    pub expected_total_minor: Option<i64>,
}

impl std::fmt::Debug for Draft {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Draft")
            .field("id", &self.id)
            .field("business_id", &self.business_id)
            .field("customer_id", &self.customer_id)
            .finish_non_exhaustive()
    }
}

/// Why an order was not placed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlaceRefusal {
    /// There is no such business.
    NoSuchBusiness,
    /// Lines whose sku is not on the menu.
    UnknownItems(Vec<usize>),
    /// Lines that cannot be ordered now.
    UnavailableItems(Vec<usize>),
    /// The business has no table of that number.
    NoSuchTable,
    /// The business has tables, and a guest sits at one of them.
    TableMissing,
    /// It does not take such an order from customers; this is what it takes.
    NotOffered(Accepts),
    /// As many orders of the customer as may wait there for an answer do so.
    TooManyWaiting,
    /// The total is beyond what an order may cost.
    TooExpensive,
    /// The menu's total is not the one the customer was told.
    PriceChanged {
        /// What it costs now.
        total_minor: i64,
        /// The business's currency.
        currency: Currency,
    },
    /// The business takes none now.
    #[serde(untagged)]
    NotTakingOrders(NotTakingOrders),
}

/// An order about to be stored: everything but its number of the day.
#[derive(Clone, Debug, PartialEq)]
pub struct NewOrder {
    /// The order; its `order_number` is 0 until the store gives one.
    pub order: Order,
    /// In which capacity it was placed.
    pub placed_by: Party,
    /// What follows from where it begins.
    pub follows: &'static [FollowUp],
    /// The day it is numbered in, where the business is.
    pub day: String,
}

/// Where an order begins and its payment with it, and what follows from it. An order that costs nothing is paid.
const fn beginning(payment: PaymentMethod, total_minor: i64) -> (Status, PaymentStatus, &'static [FollowUp]) {
    match payment {
        PaymentMethod::Online if total_minor == 0 => {
            (Status::Placed, PaymentStatus::Paid, &[FollowUp::StartAlert])
        }
        PaymentMethod::Online => (Status::PendingPayment, PaymentStatus::Pending, &[]),
        PaymentMethod::Cash => (Status::Placed, PaymentStatus::Pending, &[FollowUp::StartAlert]),
    }
}

/// The most one order may cost, in minor units: far beyond any meal, far below what 64 bits hold.
const MAX_TOTAL_MINOR: i64 = 1_000_000_000_000;

/// Whether the business takes orders like this one from customers. Members know what they can serve.
fn is_offered(draft: &Draft, business: &Business) -> bool {
    let Accepts { fulfilment, payment, .. } = &business.accepts;
    let is_near = match (&draft.address, draft.fulfilment) {
        (Some(address), Fulfilment::Delivery) => business.delivers_to(address.location),
        _ => true,
    };
    fulfilment.contains(&draft.fulfilment) && payment.contains(&draft.payment) && is_near
}

/// Decides on a draft against the business and those of its menu items that the draft names.
pub fn place(
    draft: Draft,
    business: Option<&Business>,
    menu: &[MenuItem],
    now: Timestamp,
) -> Result<NewOrder, PlaceRefusal> {
    let business = business.ok_or(PlaceRefusal::NoSuchBusiness)?;
    business.takes_orders(now).map_err(PlaceRefusal::NotTakingOrders)?;
    if draft.placed_by == Party::Customer && !is_offered(&draft, business) {
        return Err(PlaceRefusal::NotOffered(business.accepts.clone()));
    }
    if draft.table.is_some_and(|t| t == 0 || t > business.tables) {
        return Err(PlaceRefusal::NoSuchTable);
    }
    if draft.fulfilment == Fulfilment::DineIn && draft.table.is_none() && business.tables > 0 {
        return Err(PlaceRefusal::TableMissing);
    }
    let (mut items, mut unknown, mut unavailable) =
        (Vec::with_capacity(draft.items.len()), Vec::new(), Vec::new());
    for (line, wanted) in draft.items.into_iter().enumerate() {
        match menu.iter().find(|m| m.sku == wanted.sku) {
            None => unknown.push(line),
            Some(m) if !m.available => unavailable.push(line),
            Some(m) => items.push(OrderItem {
                sku: wanted.sku,
                name: m.name.clone(),
                qty: wanted.qty,
                price_minor: m.price_minor,
            }),
        }
    }
    if !unknown.is_empty() {
        return Err(PlaceRefusal::UnknownItems(unknown));
    }
    if !unavailable.is_empty() {
        return Err(PlaceRefusal::UnavailableItems(unavailable));
    }
    let total_minor = money::total_minor(items.iter().map(|i| (i.price_minor, i.qty)))
        .filter(|total| *total <= MAX_TOTAL_MINOR)
        .ok_or(PlaceRefusal::TooExpensive)?;
    if draft.expected_total_minor.is_some_and(|expected| expected != total_minor) {
        return Err(PlaceRefusal::PriceChanged { total_minor, currency: business.currency });
    }
    let (status, payment_status, follows) = beginning(draft.payment, total_minor);
    let order = Order {
        id: draft.id,
        order_number: 0,
        business_id: business.id,
        customer_id: draft.customer_id,
        customer_name: draft.customer_name,
        phone: draft.phone,
        address: draft.address,
        fulfilment: draft.fulfilment,
        status,
        payment_method: draft.payment,
        payment_status,
        items,
        total_minor,
        currency: business.currency,
        notes: draft.notes,
        table: draft.table,
        prep_minutes: None,
        ready_at: None,
        delivered_by: None,
        ended_reason: None,
        placed_by: draft.placed_by,
        placed_at: None,
        answered_at: None,
        deadline_at: None,
        version: 1,
        delivery_version: 1,
        payment_version: 1,
        delivery: None,
        edits: 0,
        created_at: now,
        updated_at: now,
    };
    Ok(NewOrder { order, placed_by: draft.placed_by, follows, day: business.timezone.day(now) })
}
