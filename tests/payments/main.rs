//! Money that moves once: a hub that is killed between any two steps, a provider that loses answers and forgets keys, and messages that come
//! twice, late, unsigned, and while the database is away.
#![allow(clippy::unwrap_used)]

mod evening;
mod forgetting;
mod kills;
mod measured;
mod messages;
#[path = "../support/mod.rs"]
mod support;
