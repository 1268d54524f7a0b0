//! A real hub for tests: the same door as production, over real sockets and a real database.
#![allow(dead_code, unused_imports, clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod app;
pub mod authority;
mod database;
mod device;
mod followers;
mod killed_hub;
mod person;
mod provider;
mod proxy;
mod redis_proxy;
mod redis_server;
mod stream;
mod wait;
mod wire;

pub use app::{Endpoint, PATIENT_VARIABLE, TestApp};
pub use database::{Database as TestDatabase, DatabaseCopy, PostgresDatabase as StandbyDatabase, StoreKind};
pub use device::{Closed, Device, seq};
pub use followers::Followers;
pub use killed_hub::{KilledHub, PATIENCE, crash_repeats};
pub use person::{Answer, PASSWORD, Person, order_body};
pub use provider::{Call, CallFault, Paid, RecordingProvider, WEBHOOK_SECRET, signed_message};
pub use proxy::{CommitFault, NetworkFault, Proxy};
pub use redis_proxy::RedisProxy;
pub use redis_server::{own_prefix, redis_url};
pub use stream::{EventStream, StreamEvent};
pub use wait::until;
pub use wire::{Wire, WireAnswer};

/// Runs each test once over SQLite and once over Postgres.
#[macro_export]
macro_rules! on_both_stores {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test] async fn $name() { super::$name($crate::support::StoreKind::Sqlite).await; })*
        }
        mod postgres {
            $(#[tokio::test] async fn $name() { super::$name($crate::support::StoreKind::Postgres).await; })*
        }
    };
}
