//! The search for drivers in hubs as they run: killed between any two steps of it, heard over sockets, and as fast as promised.
#![allow(clippy::unwrap_used)]

mod kills;
mod night;
mod sockets;
#[path = "../support/mod.rs"]
mod support;
