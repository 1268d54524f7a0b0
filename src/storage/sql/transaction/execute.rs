//! Running one write that shares nothing with the others of its transaction.

use crate::domain::control::ControlChange;
use crate::domain::event::Announcement;
use crate::domain::time::Timestamp;
use crate::storage::crypto::cipher::Cipher;
use crate::storage::sql::connection::Connection;
use crate::storage::sql::errors::TxError;

/// The transaction a write runs in.
pub(super) struct Context<'a> {
    pub(super) connection: &'a mut Connection,
    pub(super) cipher: &'a Cipher,
    /// The store's time in this transaction.
    pub(super) now: Timestamp,
    /// Time of the request by the node's clock, which tokens are judged by.
    pub(super) at: Timestamp,
    /// What rooms are told of it.
    pub(super) told: &'a mut Vec<Announcement>,
    /// What every node is told of it.
    pub(super) control: &'a mut Vec<ControlChange>,
}

/// A write of the rows `alone` of the table of writes.
pub(super) trait Execute {
    /// The outcome, of the type in the table of writes.
    type Output;

    /// Does it. A refusal changes nothing and is no error.
    async fn execute(&self, cx: Context<'_>) -> Result<Self::Output, TxError>;
}
