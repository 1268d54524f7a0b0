//! The HTTP interface and the upgrade to sockets.

pub mod app_state;
pub mod connection;
pub mod extractors;
pub mod idempotency;
pub mod input;
pub mod limits;
pub mod middleware;
pub mod openapi;
pub mod response;
pub mod router;
pub mod routes;
pub mod server;
pub mod settings;
pub mod sockets;
pub mod startup_server;

pub use settings::Settings;
