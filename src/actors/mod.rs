//! Actors: shells over plain minds. Each is reached through its handle.

mod fatal;
pub mod jobs;
mod mailbox;
pub mod persistence;
pub mod room;
pub mod session;
pub mod settings;

pub use fatal::{FatalGuard, FatalSignal};
pub use mailbox::NotTaken;
pub use settings::Settings;
