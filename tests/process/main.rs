//! The hub as a process of its own, in surroundings that a test inside it could not make.
#![allow(clippy::unwrap_used)]

mod demo;
mod hub;
mod logs;
mod open_files;
mod readme;
mod refusals;
mod starting;
#[path = "../support/mod.rs"]
mod support;
