//! The hub as a process of its own, in surroundings that a test inside it could not make.
#![allow(clippy::unwrap_used)]

mod hub;
mod logs;
mod open_files;
mod refusals;
#[path = "../support/mod.rs"]
mod support;
