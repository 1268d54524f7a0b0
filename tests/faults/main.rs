//! What is outside fails: databases, networks, peers.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod peers;
mod postgres;
