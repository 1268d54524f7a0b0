//! Errors of a command.

/// The reason a command has no outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// It did not happen: too much waits. Try again after [`super::RETRY_AFTER`].
    #[error("too many commands wait for the store")]
    Overloaded,
    /// It did not happen: the store is away or too slow, or the hub is going down.
    #[error("the store is not available")]
    Unavailable,
    /// It did not happen: alone, and twice, it met a time limit of the hub's own. The log has which.
    #[error("the command takes longer than the store's time limits")]
    TooSlow,
    /// It did not happen, and would not if tried again: the log has the cause.
    #[error("the store refused the command")]
    Refused,
    /// The deadline passed while it was being written: it may have happened.
    #[error("the deadline passed while the command was being written")]
    OutcomeUnknown,
}
