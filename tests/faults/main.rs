//! What is outside fails: databases, networks, peers.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod files;
mod outage;
mod peers;
mod postgres;
mod promotion;
mod scenario;
mod sign_in;
mod silence;
mod slow_faults;
mod tls;
