//! The HTTP interface and the upgrade to sockets.

pub mod accounts;
pub mod admin;
pub mod businesses;
pub mod connection;
pub mod extractors;
pub mod health;
pub mod idempotency;
pub mod input;
pub mod invitations;
pub mod jobs;
pub mod limits;
pub mod members;
pub mod middleware;
pub mod menu;
pub mod notifications;
pub mod openapi;
pub mod orders;
pub mod response;
pub mod rooms;
pub mod router;
pub mod server;
pub mod sessions;
pub mod settings;
pub mod sockets;
pub mod startup_server;
pub mod app_state;
mod welcome;

pub use settings::Settings;
