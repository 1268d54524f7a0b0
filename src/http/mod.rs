//! The HTTP interface and the upgrade to sockets.

pub mod app_state;
mod authorization;
pub mod connection;
pub mod deployment;
mod driver_settings;
pub mod extractors;
pub mod idempotency;
pub mod input;
pub mod limits;
pub mod middleware;
pub mod openapi;
pub mod readiness;
pub mod response;
pub mod route_table;
pub mod router;
pub mod routes;
pub mod server;
pub mod settings;
pub mod sockets;
pub mod startup_server;

pub use settings::Settings;
