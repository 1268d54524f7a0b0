//! The HTTP interface and the upgrade to sockets.

pub mod access;
pub mod network;
pub mod settings;

pub use settings::Settings;
