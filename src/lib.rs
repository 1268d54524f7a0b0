//! Bellhop: a realtime order and notification hub.
//!
//! The map of the house. Imports go one way, and a test keeps it so:
//! `domain ← protocol ← storage ← auth ← actors ← http ← config ← app ← demo ← cli ← main`; `telemetry` may be used by
//! `storage` and everything after it.
//!
//! - [`domain`]: the rules, pure and synchronous: ids, money, orders, rooms, cursors.
//! - [`protocol`]: what crosses a wire: frames, close codes, problem codes, views.
//! - [`storage`]: the ports and their Postgres and SQLite implementations.
//! - [`auth`]: proof of who asks: passwords, access tokens, tickets, refresh tokens; knows no actor and no route.
//! - [`actors`]: sessions, rooms and persistence: shells over plain minds.
//! - [`http`]: routes, extractors, problem+json, and the upgrade that makes sockets.
//! - [`config`]: one [`config::Settings`] made of the modules' own settings.
//! - [`telemetry`]: logs and every metric, in one place.
//! - [`settings`]: what the settings of every module share; below everything, like `domain`.
//! - [`app`]: the composition root.
//! - [`cli`]: the commands of the binary.
//! - [`demo`]: simulated customers and merchants against a real hub.

pub mod actors;
pub mod app;
pub mod auth;
pub mod cli;
pub mod config;
pub mod demo;
pub mod domain;
pub mod http;
pub mod protocol;
pub mod settings;
pub mod storage;
pub mod telemetry;
