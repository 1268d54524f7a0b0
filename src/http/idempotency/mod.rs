//! Requests with an idempotency key: each happens once, however often it is sent.

pub(super) mod in_flight;
pub(super) mod key;
pub(super) mod request;
