//! The HTTP interface and the upgrade to sockets.

pub mod access;
pub mod client;
pub mod idempotency;
pub mod identity;
pub mod input;
pub mod network;
pub mod observe;
pub mod problem;
pub mod settings;
pub mod sockets;
pub mod state;

pub use settings::Settings;
