//! Requests with an idempotency key: each happens once, however often it is sent (requirement 3.2).

pub mod in_flight;
pub mod request;
