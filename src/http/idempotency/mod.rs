//! Requests with an idempotency key: each happens once, however often it is sent (requirement 3.2).

pub(super) mod in_flight;
pub(super) mod key;
pub(super) mod request;
