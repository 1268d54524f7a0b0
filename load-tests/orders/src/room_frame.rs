//! An event of an order as a device of a business hears it.

use serde::Deserialize;

/// A frame with an event of an order.
#[derive(Deserialize)]
pub(crate) struct RoomFrame<'f> {
    #[serde(borrow)]
    pub(crate) room: &'f str,
    pub(crate) cursor: &'f str,
    pub(crate) event: OrderEvent<'f>,
}

/// The event in it.
#[derive(Deserialize)]
pub(crate) struct OrderEvent<'f> {
    #[serde(rename = "type", borrow)]
    pub(crate) kind: &'f str,
    pub(crate) data: OrderData<'f>,
}

/// The part of its data that load clients look at.
#[derive(Deserialize)]
pub(crate) struct OrderData<'f> {
    #[serde(borrow)]
    pub(crate) order_id: &'f str,
    pub(crate) version: i64,
    #[serde(borrow, default)]
    pub(crate) notes: Option<&'f str>,
}
