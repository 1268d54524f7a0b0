//! A client of a Bellhop hub: JSON over HTTP, and rooms over WebSockets, long polls and event streams.
//!
//! - [`Client`] sends [`Request`]s and repeats those that may be repeated; [`Account`] does so in a person's name, with a
//!   token that holds.
//! - [`Socket`], [`LongPoll`] and [`EventStream`] give the [`Frame`]s of a [`Room`]; [`GapDetector`] says whether one is
//!   missing.
//! - [`lean`] is the same protocol with as little work as possible for a load generator that shares a machine with the
//!   hub.
//! - [`Rng`] and [`metrics`] are for those who simulate clients and look at what the hub says of itself.
//!
//! It speaks to one address without TLS, as the hub itself listens.

mod account;
mod answer;
mod client;
mod cursor;
mod error;
mod event_stream;
mod frame;
mod gap_detector;
pub mod lean;
mod long_poll;
pub mod metrics;
mod request;
mod rng;
mod room;
mod socket;

pub use account::{Account, NewAccount, Tokens};
pub use answer::Answer;
pub use client::{Client, ClientSettings};
pub use cursor::Cursor;
pub use error::{CallError, ConnectionError};
pub use event_stream::{EventParser, EventStream, StreamEvent};
pub use frame::Frame;
pub use gap_detector::{Arrival, GapDetector};
pub use long_poll::LongPoll;
pub use request::{Repeat, Request};
pub use rng::Rng;
pub use room::Room;
pub use socket::{CanRing, Credential, Socket, WebSocket, dial};
