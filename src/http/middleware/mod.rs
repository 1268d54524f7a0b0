//! Layers around every route, and what they read from the head of a request.

pub mod cidr;
pub(super) mod client_address;
pub(super) mod compression;
mod drain_body;
pub(super) mod exposure;
pub(super) mod header_memory;
mod load_shedding;
pub(super) mod origin;
pub(super) mod origin_check;
mod problem_body;
pub(super) mod rate_limit;
pub(super) mod request_id;
pub(super) mod request_log;
pub(super) mod request_path;
mod requested_host;
pub(super) mod security_headers;
pub(super) mod trusted_hosts;
