//! Layers around every route, and what they read from a request's head.

pub mod cidr;
pub mod client_address;
pub(in crate::http) mod header_memory;
pub(in crate::http) mod load_shedding;
pub(in crate::http) mod origin;
pub mod rate_limit;
pub mod request_log;
pub(in crate::http) mod requested_host;
pub mod security_headers;
