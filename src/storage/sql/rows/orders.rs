//! Orders and their items.

use std::collections::HashMap;

use serde::Serialize;
use sqlx_macros::FromRow;

use crate::domain::money::Currency;
use crate::domain::order::{Address, EndedReason, Order, OrderDriver, OrderItem, Party};
use crate::domain::time::Timestamp;
use crate::storage::crypto::cipher::{Aad, Cipher};
use crate::storage::error::StoreError;
use crate::storage::sql::search;
use crate::storage::sql::statement::Dialect;

use super::values::{corrupt, number, open, parse, seal};

/// The columns of [`OrderRow`], of `orders o`.
pub(in crate::storage::sql) const ORDER_COLUMNS: &str = "o.id, o.order_number, o.business_id, o.customer_id, o.customer_name, o.phone, \
     o.address, o.fulfilment, o.status, o.payment_method, o.payment_status, o.total_minor, o.currency, o.notes, \
     o.table_no, o.prep_minutes, o.version, o.created_at, o.updated_at, o.ready_at, o.delivered_by, o.ended_code, \
     o.ended_text, o.delivery_version, o.payment_version, o.placed_by, o.placed_at, o.answered_at, o.deadline_at, \
     o.edits, o.delivery_id, o.delivery_status, o.driver_id";

#[derive(Serialize, FromRow)]
pub(in crate::storage::sql) struct OrderRow {
    pub(in crate::storage::sql) id: String,
    order_number: i64,
    business_id: String,
    customer_id: String,
    customer_name: String,
    phone: Option<String>,
    address: Option<String>,
    fulfilment: String,
    status: String,
    payment_method: String,
    payment_status: String,
    total_minor: i64,
    currency: String,
    notes: Option<String>,
    table_no: Option<i64>,
    prep_minutes: Option<i64>,
    version: i64,
    created_at: i64,
    updated_at: i64,
    edits: i64,
    #[serde(flatten)]
    #[sqlx(flatten)]
    course: CourseRow,
}

/// Columns of an order that only transitions change, besides its status.
#[derive(Debug, Serialize, FromRow)]
pub(in crate::storage::sql) struct CourseRow {
    #[serde(skip_serializing_if = "Option::is_none")]
    ready_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivered_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_text: Option<String>,
    delivery_version: i64,
    payment_version: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    placed_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    placed_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answered_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deadline_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery_status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    driver_id: Option<String>,
}

impl CourseRow {
    pub(in crate::storage::sql) fn of(order: &Order) -> Self {
        let ended = order.ended_reason.as_ref();
        Self {
            ready_at: order.ready_at.map(Timestamp::as_micros),
            delivered_by: order.delivered_by.map(|by| by.as_str().to_owned()),
            ended_code: ended.map(|ended| ended.code.as_str().to_owned()),
            ended_text: ended.and_then(|ended| ended.text.clone()),
            delivery_version: order.delivery_version,
            payment_version: order.payment_version,
            placed_by: Some(order.placed_by.as_str().to_owned()),
            placed_at: order.placed_at.map(Timestamp::as_micros),
            answered_at: order.answered_at.map(Timestamp::as_micros),
            deadline_at: order.deadline_at.map(Timestamp::as_micros),
            delivery_id: order.delivery.map(|delivery| delivery.id.to_string()),
            delivery_status: order.delivery.map(|delivery| delivery.status.as_str().to_owned()),
            driver_id: order.delivery.and_then(|delivery| delivery.driver).map(|driver| driver.to_string()),
        }
    }
}

impl CourseRow {
    fn delivery(&self) -> Result<Option<OrderDriver>, StoreError> {
        let Some((id, status)) = self.delivery_id.as_ref().zip(self.delivery_status.as_ref()) else {
            return Ok(None);
        };
        let driver = self.driver_id.as_ref().map(|driver| parse("orders.driver_id", driver)).transpose()?;
        let (id, status) = (parse("orders.delivery_id", id)?, parse("orders.delivery_status", status)?);
        Ok(Some(OrderDriver { id, status, driver }))
    }
}

fn order_aad<'a>(column: &'static str, row: &'a str) -> Aad<'a> {
    Aad { table: "orders", column, row }
}

impl OrderRow {
    /// The row of `order`, phone and address sealed.
    pub(in crate::storage::sql) fn of(order: &Order, cipher: &Cipher) -> Result<Self, StoreError> {
        let id = order.id.to_string();
        let phone =
            order.phone.as_ref().map(|phone| seal(cipher, order_aad("phone", &id), phone)).transpose()?;
        let address = order
            .address
            .as_ref()
            .map(|address| {
                let json = serde_json::to_string(address).expect("an address is a text and two numbers");
                seal(cipher, order_aad("address", &id), &json)
            })
            .transpose()?;
        Ok(Self {
            order_number: order.order_number.into(),
            business_id: order.business_id.to_string(),
            customer_id: order.customer_id.to_string(),
            customer_name: order.customer_name.clone(),
            phone,
            address,
            fulfilment: order.fulfilment.as_str().to_owned(),
            status: order.status.as_str().to_owned(),
            payment_method: order.payment_method.as_str().to_owned(),
            payment_status: order.payment_status.as_str().to_owned(),
            total_minor: order.total_minor,
            currency: order.currency.to_string(),
            notes: order.notes.clone(),
            table_no: order.table.map(Into::into),
            prep_minutes: order.prep_minutes.map(Into::into),
            version: order.version,
            created_at: order.created_at.as_micros(),
            updated_at: order.updated_at.as_micros(),
            edits: order.edits,
            course: CourseRow::of(order),
            id,
        })
    }

    /// Whether it is in this status.
    pub(in crate::storage::sql) fn has_status(&self, status: &str) -> bool {
        self.status == status
    }

    /// The order with `items`, phone and address opened.
    pub(in crate::storage::sql) fn into_order(
        self,
        items: Vec<OrderItem>,
        cipher: &Cipher,
    ) -> Result<Order, StoreError> {
        let opened = |column, sealed: Option<String>| {
            sealed.map(|sealed| open(cipher, order_aad(column, &self.id), &sealed)).transpose()
        };
        let phone = opened("phone", self.phone)?;
        let address = opened("address", self.address)?.map(|json| address(&json)).transpose()?;
        let delivery = self.course.delivery()?;
        let CourseRow { ready_at, delivered_by, ended_code, ended_text, placed_by, .. } = self.course;
        let ended_reason = ended_code.map(|code| ended_reason(&code, ended_text)).transpose()?;
        Ok(Order {
            id: parse("orders.id", &self.id)?,
            order_number: number("orders.order_number", self.order_number)?,
            business_id: parse("orders.business_id", &self.business_id)?,
            customer_id: parse("orders.customer_id", &self.customer_id)?,
            customer_name: self.customer_name,
            phone,
            address,
            fulfilment: parse("orders.fulfilment", &self.fulfilment)?,
            status: parse("orders.status", &self.status)?,
            payment_method: parse("orders.payment_method", &self.payment_method)?,
            payment_status: parse("orders.payment_status", &self.payment_status)?,
            items,
            total_minor: self.total_minor,
            currency: Currency::stored(&self.currency).map_err(|_| corrupt("orders.currency"))?,
            notes: self.notes,
            table: self.table_no.map(|n| number("orders.table_no", n)).transpose()?,
            prep_minutes: self.prep_minutes.map(|n| number("orders.prep_minutes", n)).transpose()?,
            ready_at: ready_at.map(Timestamp::from_micros),
            delivered_by: delivered_by.map(|by| parse("orders.delivered_by", &by)).transpose()?,
            delivery,
            ended_reason,
            // Orders of releases that did not say so have customers' clocks.
            placed_by: placed_by.map_or(Ok(Party::Customer), |by| parse("orders.placed_by", &by))?,
            placed_at: self.course.placed_at.map(Timestamp::from_micros),
            answered_at: self.course.answered_at.map(Timestamp::from_micros),
            deadline_at: self.course.deadline_at.map(Timestamp::from_micros),
            version: self.version,
            delivery_version: self.course.delivery_version,
            payment_version: self.course.payment_version,
            edits: self.edits,
            created_at: Timestamp::from_micros(self.created_at),
            updated_at: Timestamp::from_micros(self.updated_at),
        })
    }
}

/// The address of an order as it is read.
pub(in crate::storage::sql) fn opened_address(
    order: &str,
    sealed: &str,
    cipher: &Cipher,
) -> Result<Address, StoreError> {
    address(&open(cipher, order_aad("address", order), sealed)?)
}

fn address(json: &str) -> Result<Address, StoreError> {
    serde_json::from_str(json).map_err(|_| corrupt("orders.address"))
}

fn ended_reason(code: &str, text: Option<String>) -> Result<EndedReason, StoreError> {
    Ok(EndedReason { code: parse("orders.ended_code", code)?, text })
}

/// An order about to be inserted, with the words it is found by.
#[derive(Serialize)]
pub(in crate::storage::sql) struct NewOrderRow {
    #[serde(flatten)]
    pub(in crate::storage::sql) row: OrderRow,
    pub(in crate::storage::sql) terms: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(in crate::storage::sql) words: String,
}

impl NewOrderRow {
    pub(in crate::storage::sql) fn of(
        order: &Order,
        cipher: &Cipher,
        dialect: Dialect,
    ) -> Result<Self, StoreError> {
        let search::Document { terms, words } = search::document(&search::Searched::of(order), dialect);
        Ok(Self { row: OrderRow::of(order, cipher)?, terms, words })
    }
}

#[derive(Debug, Serialize, FromRow)]
pub(in crate::storage::sql) struct OrderItemRow {
    pub(in crate::storage::sql) order_id: String,
    pub(in crate::storage::sql) line: i64,
    sku: String,
    name: String,
    qty: i64,
    price_minor: i64,
}

impl OrderItemRow {
    /// The lines of `order`, in order.
    pub(in crate::storage::sql) fn all_of(order: &Order) -> impl Iterator<Item = Self> + '_ {
        (0..).zip(&order.items).map(|(line, item)| Self {
            order_id: order.id.to_string(),
            line,
            sku: item.sku.clone(),
            name: item.name.clone(),
            qty: item.qty.into(),
            price_minor: item.price_minor,
        })
    }

    pub(in crate::storage::sql) fn into_item(self) -> Result<OrderItem, StoreError> {
        let qty = number("order_items.qty", self.qty)?;
        Ok(OrderItem { sku: self.sku, name: self.name, qty, price_minor: self.price_minor })
    }
}

/// Puts orders and their lines together; lines come in order within each order. Keeps the order of `rows`.
pub(in crate::storage::sql) fn assemble(
    rows: Vec<OrderRow>,
    lines: Vec<OrderItemRow>,
    cipher: &Cipher,
) -> Result<Vec<Order>, StoreError> {
    let mut items: HashMap<String, Vec<OrderItem>> = HashMap::new();
    for line in lines {
        items.entry(line.order_id.clone()).or_default().push(line.into_item()?);
    }
    rows.into_iter()
        .map(|row| {
            let items = items.remove(&row.id).unwrap_or_default();
            row.into_order(items, cipher)
        })
        .collect()
}
