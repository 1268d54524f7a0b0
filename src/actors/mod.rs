//! Actors: shells over plain minds. Each is reached through its handle.

pub mod cluster_bridge;
pub mod commit_fanout;
mod fatal;
pub mod jobs;
mod mailbox;
pub mod persistence;
pub mod room;
pub mod session;
pub mod settings;

pub use fatal::{FatalGuard, FatalSignal};
pub use mailbox::SendError;
pub use settings::Settings;
