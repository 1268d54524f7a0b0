//! Ports to the database and what stands behind them: Postgres and SQLite, held to one contract.

mod acknowledged;
mod batch;
mod breaker;
pub mod cache;
pub mod cipher;
pub mod command;
mod connection;
mod connector;
mod error;
mod failure;
mod migrations;
mod operation;
mod pool;
mod ports;
pub mod postgres;
mod reading;
mod reads;
pub mod rotation;
mod rows;
mod search;
pub mod settings;
pub mod sqlite;
mod statement;
mod store;

pub use error::StoreError;
pub use ports::{
    Attempt, BusinessStats, Checkpoint, Circuit, Happened, Invitation, Lane, Member, More, OrderPage,
    OrderQuery, OrderScope, PageStart, SealedPage, Session, Store, TimelineEntry, Total, User,
};
pub use settings::Settings;

/// The words of `text` that orders are searched by: runs of letters and digits, at most `max` of them.
pub fn search_words(text: &str, max: usize) -> Vec<String> {
    search::words(text, max).map(str::to_owned).collect()
}
