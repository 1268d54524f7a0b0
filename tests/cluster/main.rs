//! Several hubs on one Postgres and one Redis behave as one hub, also when Redis misbehaves.
//!
//! Needs `BELLHOP_TEST_POSTGRES`, and `BELLHOP_TEST_REDIS` for what nodes share through Redis; without the second those tests are
//! skipped with a word. `scripts/test` starts both.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod control;
mod nodes;
mod quotas;
mod redis_faults;
mod redis_tls;
