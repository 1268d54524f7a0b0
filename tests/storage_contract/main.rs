//! What a store promises, tested on every store by the same tests.
//!
//! The Postgres half needs `BELLHOP_TEST_POSTGRES`, the URL of a server on which it may create databases; without
//! it those tests fail. `scripts/test` starts one.

#![allow(clippy::unwrap_used)]

#[macro_use]
mod harness;
mod fixtures;

mod accounts;
mod acknowledgements;
mod businesses;
mod control;
mod deliveries;
mod grown_tables;
mod heads;
mod idempotency;
mod identity;
mod lists;
mod million;
mod moves;
mod nodes;
mod orders;
mod oversight;
mod payments;
mod plans;
mod reach;
mod recovery;
mod reindexing;
mod retention;
mod rooms;
mod rotation;
mod sagas;
mod secrecy;
mod throughput;
mod time_limits;
mod upkeep;
mod years;
