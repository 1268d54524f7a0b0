//! The client of Redis: one handle for commands, over a single server or a Redis Cluster, with a time limit for each command.
//!
//! Redis is never needed: while it is away every command fails at once, and the caller goes on without it. Nothing in it is the
//! truth, so it may be emptied at any time.

mod circuit;
mod client;
mod link;
mod settings;
mod target;

pub use circuit::Backoff;
pub(crate) use client::random;
pub use client::{RedisClient, RedisHealth, RedisUnavailable};
pub use link::RedisLink;
pub use settings::{RedisSettings, Settings};
pub use target::RedisTarget;
