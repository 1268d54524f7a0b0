//! Actors: each is a thin layer over a pure state and is reached through its handle.

pub mod cluster_bridge;
pub mod commit_fanout;
pub mod control;
pub mod deadlines;
pub mod driver_lives;
pub mod driver_pool;
pub mod driver_positions;
mod fatal;
mod held_ephemerals;
pub mod intents;
pub mod jobs;
mod kept;
mod mailbox;
pub mod money;
pub mod order_lives;
pub mod order_saga;
pub mod persistence;
pub mod pulse;
pub mod reachability;
pub mod reader;
pub mod room;
pub mod session;
pub mod settings;
mod subscription;
pub mod sweep;
mod token_expiry;
pub mod watchdog;
mod work_list;
pub mod worker;

pub use fatal::{FatalGuard, FatalSignal};
pub use mailbox::SendError;
pub use settings::Settings;
