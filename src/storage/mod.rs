//! Ports to the database and what stands behind them: Postgres and SQLite, held to one contract.

mod batch;
pub mod cache;
pub mod command;
pub mod crypto;
mod error;
mod ports;
pub mod settings;
mod sql;

pub use error::StoreError;
pub use ports::{
    AccountReads, Attempt, BusinessReads, BusinessStats, Checkpoint, Circuit, IdempotencyReads, Invitation,
    Lane, LoginSession, MaintenanceReads, Member, More, NotificationReads, OrderPage, OrderQuery, OrderReads,
    OrderScope, PageStart, RoomReads, SealedPage, Store, TimelineEntry, TimelineEvent, Total, User,
};
pub use settings::Settings;
pub use sql::{postgres, sqlite};

// The names under which `batch` knows what is below `sql`.
use crypto::cipher;
use sql::{acknowledged, connection, connector, rows, search, statement};

mod failure {
    pub(super) use crate::storage::sql::errors::{Retry, TxError as Failure, away};
}

/// The words of `text` that orders are searched by: runs of letters and digits, at most `max` of them.
pub fn search_words(text: &str, max: usize) -> Vec<String> {
    search::words(text, max).map(str::to_owned).collect()
}
