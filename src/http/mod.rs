//! The HTTP interface and the upgrade to sockets.

pub mod access;
pub mod accounts;
pub mod admin;
pub mod businesses;
pub mod client;
pub mod connection;
pub mod freshness;
pub mod guard;
mod head;
pub mod health;
pub mod idempotency;
pub mod identity;
pub mod input;
pub mod invitations;
pub mod jobs;
pub mod limits;
pub mod members;
pub mod menu;
pub mod network;
pub mod notifications;
pub mod observe;
pub mod openapi;
pub mod orders;
pub mod paging;
pub mod problem;
pub mod protection;
pub mod rooms;
pub mod routes;
pub mod server;
pub mod sessions;
pub mod settings;
mod shedding;
pub mod sockets;
pub mod state;

pub use settings::Settings;
