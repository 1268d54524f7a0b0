//! Bellhop: a realtime order and notification hub.
//!
//! The map of the modules. Imports go one way, and a test checks it:
//! `domain ← protocol ← storage ← auth, redis_client ← bus, outbound ← actors ← http ← config ← app ← demo ← cli ← main`; `telemetry` may be used by
//! `storage` and everything after it.
//!
//! - [`domain`]: the rules, pure and synchronous: ids, money, orders, rooms, cursors.
//! - [`protocol`]: formats on the wire: frames, close codes, problem codes, views.
//! - [`storage`]: the ports of the store, and their implementations on Postgres and SQLite.
//! - [`auth`]: authentication: passwords, access tokens, tickets, refresh tokens. It knows no actor and no route.
//! - [`redis_client`]: the client of Redis.
//! - [`bus`]: the port through which messages leave for other nodes and arrive from them.
//! - [`outbound`]: the port of channels to the outside: webhook, mail, telephone.
//! - [`actors`]: sessions, rooms and persistence, each a plain state with an actor around it.
//! - [`http`]: routes, extractors, problems, and the upgrade to WebSocket.
//! - [`config`]: one [`config::Settings`] made of the modules' own settings.
//! - [`fail_point`]: steps at which a test lets the process die; nothing in release builds.
//! - [`telemetry`]: the log and all metrics.
//! - [`settings`]: shared parts of the modules' settings; below everything, like `domain`.
//! - [`app`]: the composition root, which connects all parts.
//! - [`cli`]: the commands of the binary.
//! - [`demo`]: simulated customers and merchants against a real hub.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

pub mod actors;
pub mod app;
pub mod auth;
pub mod bus;
pub mod cli;
pub mod config;
pub mod demo;
pub mod domain;
pub mod fail_point;
pub mod http;
pub mod outbound;
pub mod protocol;
pub mod redis_client;
pub mod settings;
pub mod storage;
pub mod telemetry;
