//! Rows as both databases store them, and their conversion into the domain and back.

mod businesses;
mod deliveries;
mod drivers;
mod events;
mod orders;
mod payments;
mod policy;
mod users;
mod values;

pub(super) use businesses::{
    BUSINESS_COLUMNS, BUSINESS_IN_USE, BusinessRow, MenuItemRow, is_in_use, sealed_contact, state_columns,
};
pub(super) use deliveries::{DELIVERY_COLUMNS, DeliveryRow, OFFER_COLUMNS, OfferRow};
pub(super) use drivers::{ChangedDriverRow, DRIVER_COLUMNS, DriverRow};
pub(super) use events::{NotificationRow, RoomEventRow};
pub(super) use orders::{
    CourseRow, NewOrderRow, ORDER_COLUMNS, OrderItemRow, OrderRow, assemble, opened_address,
};
pub(super) use payments::{PAYMENT_COLUMNS, PaymentRow, REFUND_COLUMNS, RefundRow};
pub(super) use policy::{BusinessFactsRow, TERMS_COLUMNS, terms_args};
pub(super) use users::{opened_user_phone, sealed_user_phone};
pub(super) use values::{
    AFTER_ALL, corrupt, cursor, number, open, parse, report_unreadable, seal, seq_column,
};
