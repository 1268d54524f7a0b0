//! Rows as both databases keep them, and the way into the domain and back.

mod businesses;

use std::str::FromStr;

use secrecy::ExposeSecret;
use serde::Serialize;
use sqlx_macros::FromRow;

use crate::domain::cursor::{Cursor, Epoch};
use crate::domain::event::{EventKind, Notification};
use crate::domain::ids::EventId;
use crate::domain::money::Currency;
use crate::domain::order::{EndedReason, Order, OrderItem, PaymentMethod, PaymentStatus};
use crate::domain::room::RoomId;
use crate::domain::time::Timestamp;
use crate::protocol::event::{EventData, RoomEvent};
use crate::telemetry::Metrics;

pub(in crate::storage) use businesses::{
    BUSINESS_COLUMNS, BusinessRow, MenuItemRow, sealed_contact, state_columns,
};

use crate::storage::crypto::cipher::{Aad, Cipher, Nonce};
use crate::storage::error::StoreError;
use crate::storage::sql::search;

/// A column that does not hold what this version writes there. The value itself stays out of the logs.
pub(in crate::storage) fn corrupt(column: &str) -> StoreError {
    StoreError::Corrupt(format!("unexpected value in {column}"))
}

pub(in crate::storage) fn parse<T: FromStr>(column: &str, text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|_| corrupt(column))
}

pub(in crate::storage) fn number<T: TryFrom<i64>>(column: &str, value: i64) -> Result<T, StoreError> {
    value.try_into().map_err(|_| corrupt(column))
}

pub(in crate::storage) fn cursor(epoch: i64, seq: i64) -> Result<Cursor, StoreError> {
    Ok(Cursor::new(Epoch::new(number("epoch", epoch)?), number("seq", seq)?))
}

/// Numbers of rooms start at 1 and grow by 1: none comes near the end of 63 bits.
pub(in crate::storage) fn seq_column(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

/// No text of the store comes after this one, by bytes as it compares ids: where a walk downwards begins.
pub(in crate::storage) const AFTER_ALL: &str = "\u{10FFFF}";

/// Logs and counts a row that cannot be read: it costs itself and not the list it stands in.
pub(in crate::storage) fn report_unreadable(
    metrics: &Metrics,
    table: &'static str,
    row: &str,
    error: &StoreError,
) {
    metrics.unreadable_rows_total.with_label_values(&[table]).inc();
    tracing::error!(table, row, %error, "a stored row cannot be read and is left out");
}

/// Seals `plain` for its place.
pub(in crate::storage) fn seal(cipher: &Cipher, aad: Aad<'_>, plain: &str) -> Result<String, StoreError> {
    let nonce = Nonce::generate().map_err(|e| StoreError::Unavailable(format!("no random numbers: {e}")))?;
    cipher.seal(aad, plain, nonce).map_err(|e| StoreError::NotHappened(e.to_string()))
}

/// Opens what [`seal`] wrote at the same place.
pub(in crate::storage) fn open(cipher: &Cipher, aad: Aad<'_>, sealed: &str) -> Result<String, StoreError> {
    let plain = cipher
        .open(aad, sealed)
        .map_err(|e| StoreError::Corrupt(format!("{}.{}: {e}", aad.table, aad.column)))?;
    Ok(plain.expose_secret().to_owned())
}

/// The columns of [`OrderRow`], of `orders o`.
pub(in crate::storage) const ORDER_COLUMNS: &str = "o.id, o.order_number, o.business_id, o.customer_id, o.customer_name, o.phone, \
     o.address, o.fulfilment, o.status, o.payment_method, o.payment_status, o.total_minor, o.currency, o.notes, \
     o.table_no, o.prep_minutes, o.version, o.created_at, o.updated_at, o.ready_at, o.delivered_by, o.ended_code, \
     o.ended_text, o.delivery_version, o.payment_version";

#[derive(Serialize, FromRow)]
pub(in crate::storage) struct OrderRow {
    pub(in crate::storage) id: String,
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
    #[serde(flatten)]
    #[sqlx(flatten)]
    course: CourseRow,
}

/// What of an order is known only when it moves on, besides its status.
#[derive(Debug, Serialize, FromRow)]
pub(in crate::storage) struct CourseRow {
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
}

impl CourseRow {
    pub(in crate::storage) fn of(order: &Order) -> Self {
        let ended = order.ended_reason.as_ref();
        Self {
            ready_at: order.ready_at.map(Timestamp::as_micros),
            delivered_by: order.delivered_by.map(|by| by.as_str().to_owned()),
            ended_code: ended.map(|ended| ended.code.as_str().to_owned()),
            ended_text: ended.and_then(|ended| ended.text.clone()),
            delivery_version: order.delivery_version,
            payment_version: order.payment_version,
        }
    }
}

fn order_aad<'a>(column: &'static str, row: &'a str) -> Aad<'a> {
    Aad { table: "orders", column, row }
}

impl OrderRow {
    /// The row of `order`, phone and address sealed.
    pub(in crate::storage) fn of(order: &Order, cipher: &Cipher) -> Result<Self, StoreError> {
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
            course: CourseRow::of(order),
            id,
        })
    }

    /// Whether it is in this status.
    pub(in crate::storage) fn has_status(&self, status: &str) -> bool {
        self.status == status
    }

    /// The order with `items`, phone and address opened.
    pub(in crate::storage) fn into_order(
        self,
        items: Vec<OrderItem>,
        cipher: &Cipher,
    ) -> Result<Order, StoreError> {
        let phone =
            self.phone.map(|sealed| open(cipher, order_aad("phone", &self.id), &sealed)).transpose()?;
        let address = self
            .address
            .map(|sealed| open(cipher, order_aad("address", &self.id), &sealed))
            .transpose()?
            .map(|json| serde_json::from_str(&json).map_err(|_| corrupt("orders.address")))
            .transpose()?;
        let CourseRow { ready_at, delivered_by, ended_code, ended_text, .. } = self.course;
        let ended_reason = ended_code
            .map(|code| Ok(EndedReason { code: parse("orders.ended_code", &code)?, text: ended_text }))
            .transpose()?;
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
            payment_method: [PaymentMethod::Online, PaymentMethod::Cash]
                .into_iter()
                .find(|m| m.as_str() == self.payment_method)
                .ok_or_else(|| corrupt("orders.payment_method"))?,
            payment_status: [PaymentStatus::Pending, PaymentStatus::Paid, PaymentStatus::RefundDue]
                .into_iter()
                .find(|s| s.as_str() == self.payment_status)
                .ok_or_else(|| corrupt("orders.payment_status"))?,
            items,
            total_minor: self.total_minor,
            currency: Currency::stored(&self.currency).map_err(|_| corrupt("orders.currency"))?,
            notes: self.notes,
            table: self.table_no.map(|n| number("orders.table_no", n)).transpose()?,
            prep_minutes: self.prep_minutes.map(|n| number("orders.prep_minutes", n)).transpose()?,
            ready_at: ready_at.map(Timestamp::from_micros),
            delivered_by: delivered_by.map(|by| parse("orders.delivered_by", &by)).transpose()?,
            ended_reason,
            version: self.version,
            delivery_version: self.course.delivery_version,
            payment_version: self.course.payment_version,
            created_at: Timestamp::from_micros(self.created_at),
            updated_at: Timestamp::from_micros(self.updated_at),
        })
    }
}

/// An order about to be inserted, with the words it is found by.
#[derive(Serialize)]
pub(in crate::storage) struct NewOrderRow {
    #[serde(flatten)]
    pub(in crate::storage) row: OrderRow,
    pub(in crate::storage) terms: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(in crate::storage) words: String,
}

impl NewOrderRow {
    pub(in crate::storage) fn of(
        order: &Order,
        cipher: &Cipher,
        dialect: crate::storage::sql::statement::Dialect,
    ) -> Result<Self, StoreError> {
        let search::Document { terms, words } = search::document(&search::Searched::of(order), dialect);
        Ok(Self { row: OrderRow::of(order, cipher)?, terms, words })
    }
}

#[derive(Debug, Serialize, FromRow)]
pub(in crate::storage) struct OrderItemRow {
    pub(in crate::storage) order_id: String,
    pub(in crate::storage) line: i64,
    sku: String,
    name: String,
    qty: i64,
    price_minor: i64,
}

impl OrderItemRow {
    /// The lines of `order`, in order.
    pub(in crate::storage) fn all_of(order: &Order) -> impl Iterator<Item = Self> + '_ {
        (0..).zip(&order.items).map(|(line, item)| Self {
            order_id: order.id.to_string(),
            line,
            sku: item.sku.clone(),
            name: item.name.clone(),
            qty: item.qty.into(),
            price_minor: item.price_minor,
        })
    }

    pub(in crate::storage) fn into_item(self) -> Result<OrderItem, StoreError> {
        let qty = number("order_items.qty", self.qty)?;
        Ok(OrderItem { sku: self.sku, name: self.name, qty, price_minor: self.price_minor })
    }
}

/// Puts orders and their lines together; lines come in order within each order. Keeps the order of `rows`.
pub(in crate::storage) fn assemble(
    rows: Vec<OrderRow>,
    lines: Vec<OrderItemRow>,
    cipher: &Cipher,
) -> Result<Vec<Order>, StoreError> {
    let mut items: std::collections::HashMap<String, Vec<OrderItem>> = std::collections::HashMap::new();
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

#[derive(Debug, Serialize, FromRow)]
pub(in crate::storage) struct NotificationRow {
    pub(in crate::storage) id: String,
    business_id: String,
    kind: String,
    title: String,
    message: String,
    data: String,
    priority: String,
    created_at: i64,
}

impl NotificationRow {
    pub(in crate::storage) fn of(notification: &Notification) -> Self {
        Self {
            id: notification.id.to_string(),
            business_id: notification.business_id.to_string(),
            kind: notification.kind.clone(),
            title: notification.title.clone(),
            message: notification.message.clone(),
            data: notification.data.to_string(),
            priority: notification.priority.as_str().to_owned(),
            created_at: notification.created_at.as_micros(),
        }
    }

    pub(in crate::storage) fn into_notification(self) -> Result<Notification, StoreError> {
        Ok(Notification {
            id: parse("notifications.id", &self.id)?,
            business_id: parse("notifications.business_id", &self.business_id)?,
            kind: self.kind,
            title: self.title,
            message: self.message,
            data: parse("notifications.data", &self.data)?,
            priority: parse("notifications.priority", &self.priority)?,
            created_at: Timestamp::from_micros(self.created_at),
        })
    }
}

#[derive(Debug, Serialize, FromRow)]
pub(in crate::storage) struct RoomEventRow {
    pub(in crate::storage) room: String,
    pub(in crate::storage) epoch: i64,
    pub(in crate::storage) seq: i64,
    pub(in crate::storage) id: String,
    pub(in crate::storage) kind: String,
    pub(in crate::storage) at: i64,
    pub(in crate::storage) data: String,
    pub(in crate::storage) order_id: Option<String>,
}

impl RoomEventRow {
    /// The event. One that cannot be read any more keeps its number under another type, so that the room has no hole and whoever
    /// reads it is not stopped by it; the error is for the log.
    pub(in crate::storage) fn into_event(
        self,
        room: RoomId,
    ) -> Result<(RoomEvent, Option<StoreError>), StoreError> {
        let (cursor, at) = (cursor(self.epoch, self.seq)?, Timestamp::from_micros(self.at));
        let read = parse("room_events.id", &self.id).and_then(|id| {
            let data = EventData::stored(self.data).map_err(|_| corrupt("room_events.data"))?;
            Ok((id, self.kind.as_str().into(), data))
        });
        let (id, kind, data, error) = match read {
            Ok((id, kind, data)) => (id, kind, data, None),
            Err(error) => {
                let id = EventId::from_uuid(uuid::Uuid::nil());
                (id, EventKind::unreadable(), EventData::empty(), Some(error))
            }
        };
        Ok((RoomEvent { room, cursor, id, kind, at, data }, error))
    }
}
