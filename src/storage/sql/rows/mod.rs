//! Rows as both databases store them, and their conversion into the domain and back.

mod businesses;
mod events;
mod orders;
mod values;

pub(in crate::storage) use businesses::{
    BUSINESS_COLUMNS, BusinessRow, MenuItemRow, sealed_contact, state_columns,
};
pub(in crate::storage) use events::{NotificationRow, RoomEventRow};
pub(in crate::storage) use orders::{
    CourseRow, NewOrderRow, ORDER_COLUMNS, OrderItemRow, OrderRow, assemble,
};
pub(in crate::storage) use values::{
    AFTER_ALL, corrupt, cursor, number, open, parse, report_unreadable, seal, seq_column,
};
