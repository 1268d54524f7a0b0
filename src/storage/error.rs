//! Errors of the store, told apart by what is known after them.

/// Failure of a call to the store. `Display` is for logs: it can hold the server's own words.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Nothing has changed, and the same commands would fail again: a constraint, a bad value, a bug.
    #[error("the store refused: {0}")]
    NotHappened(String),
    /// Nothing has changed; the database is away, busy or too slow. Worth trying again.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// Nothing has changed; a time limit of the hub's own ended it (a statement, a lock or the transaction took too long)
    /// while the database answered. The same commands are likely to meet the same limit again.
    #[error("the store took too long: {0}")]
    TooSlow(String),
    /// The connection was lost while COMMIT was under way: it may have happened.
    #[error("the outcome of a commit is unknown: {0}")]
    OutcomeUnknown(String),
    /// A stored value cannot be read: this version does not know it, or its key is missing.
    #[error("the store holds something unreadable: {0}")]
    Corrupt(String),
}

impl StoreError {
    /// Text of the database or the system.
    pub fn cause(&self) -> &str {
        match self {
            Self::NotHappened(cause)
            | Self::Unavailable(cause)
            | Self::TooSlow(cause)
            | Self::OutcomeUnknown(cause)
            | Self::Corrupt(cause) => cause,
        }
    }

    /// Whether the same commands can succeed later by themselves.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::TooSlow(_) | Self::OutcomeUnknown(_))
    }
}
