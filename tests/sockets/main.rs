//! Sockets from the outside: joining, resuming, acknowledging, and every way they end.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod acknowledging;
mod clocks;
mod ending;
mod opening;
mod pressure;
mod quotas;
mod reachability;
mod resuming;
mod ringing;

use serde_json::Value;
use support::seq;

fn assert_consecutive(events: &[Value], from: u64) {
    let seqs: Vec<u64> = events.iter().map(seq).collect();
    assert_eq!(seqs, (from..from + events.len() as u64).collect::<Vec<_>>());
}
