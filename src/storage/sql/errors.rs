//! Errors of the databases, classified by what is known after them.

use std::borrow::Cow;

use sqlx::Error;

use super::circuit_breaker::Probe;
use crate::storage::error::StoreError;

/// An error inside a transaction, and whether one more try may help at once.
#[derive(Debug)]
pub(super) struct TxError {
    pub(super) error: StoreError,
    pub(super) retry: Retry,
}

/// Whether a transaction lost against another that has ended by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Retry {
    /// Deadlock or serialization failure: the winner is through.
    Now,
    Never,
}

impl From<StoreError> for TxError {
    fn from(error: StoreError) -> Self {
        Self { error, retry: Retry::Never }
    }
}

/// Meaning of an SQLSTATE or SQLite code before COMMIT was sent.
enum ErrorClass {
    Conflict,
    /// A limit of the hub's own was met: the database is there.
    Slow,
    Away,
    Refused,
}

// SQLSTATE classes and codes: PostgreSQL documentation, appendix A.
fn postgres_class(code: &str) -> ErrorClass {
    match code {
        "40P01" | "40001" => ErrorClass::Conflict,
        // Lock and statement time-outs.
        "55P03" | "57014" => ErrorClass::Slow,
        // A standby that was not promoted yet, an idle transaction that was ended.
        "25006" | "25P03" => ErrorClass::Away,
        // Connection, insufficient resources, operator intervention, system error.
        _ if ["08", "53", "57", "58"].contains(&&code[..2.min(code.len())]) => ErrorClass::Away,
        _ => ErrorClass::Refused,
    }
}

// Primary result codes, the low byte of an extended one: INTERRUPT; BUSY, LOCKED, NOMEM, READONLY, IOERR, FULL, CANTOPEN,
// PROTOCOL.
fn sqlite_class(code: i64) -> ErrorClass {
    match code & 0xFF {
        9 => ErrorClass::Slow,
        5 | 6 | 7 | 8 | 10 | 13 | 14 | 15 => ErrorClass::Away,
        _ => ErrorClass::Refused,
    }
}

fn error_class(database: &dyn sqlx::error::DatabaseError) -> ErrorClass {
    let code = database.code().unwrap_or(Cow::Borrowed(""));
    if database.try_downcast_ref::<sqlx::postgres::PgDatabaseError>().is_some() {
        postgres_class(&code)
    } else {
        code.parse().map_or(ErrorClass::Refused, sqlite_class)
    }
}

/// Result of a failed read as a probe of the database; `None` when this side had closed. A database that is slow or refuses has
/// answered, except when it says that it takes no connections now.
pub(super) fn probe_of(error: &Error) -> Option<Probe> {
    match error {
        Error::Database(database) => Some(match error_class(&**database) {
            ErrorClass::Away if is_closed_to_all(&database.code().unwrap_or(Cow::Borrowed(""))) => {
                Probe::NoResponse
            }
            _ => Probe::Ok,
        }),
        Error::Io(_) | Error::Tls(_) | Error::Protocol(_) | Error::PoolTimedOut | Error::WorkerCrashed => {
            Some(Probe::NoResponse)
        }
        Error::PoolClosed => None,
        _ => Some(Probe::Ok),
    }
}

/// The connection ended under a read: the peer hung up or fell silent, or the server ended it.
pub(super) fn is_broken_connection(error: &Error) -> bool {
    match error {
        Error::Io(_) => true,
        Error::Database(database) => database.code().is_some_and(|code| code == "57P01"),
        _ => false,
    }
}

/// Shutting down, starting up, a lost connection, no more connections; SQLite's IOERR and CANTOPEN.
fn is_closed_to_all(code: &str) -> bool {
    code.starts_with("57P")
        || code.starts_with("08")
        || code == "53300"
        || (code.len() < 5 && code.parse().is_ok_and(|code: i64| matches!(code & 0xFF, 10 | 14)))
}

/// Text of the database or the system, without the names of layers in between.
fn message(error: &Error) -> String {
    match error {
        Error::Database(database) => match database.code() {
            Some(code) => format!("{} (code {code})", database.message()),
            None => database.message().to_owned(),
        },
        Error::Io(error) => error.to_string(),
        other => other.to_string(),
    }
}

impl From<Error> for TxError {
    fn from(error: Error) -> Self {
        let text = message(&error);
        let (error, retry) = match &error {
            Error::Database(database) => match error_class(&**database) {
                ErrorClass::Conflict => (StoreError::Unavailable(text), Retry::Now),
                ErrorClass::Slow => (StoreError::TooSlow(text), Retry::Never),
                ErrorClass::Away => (StoreError::Unavailable(text), Retry::Never),
                ErrorClass::Refused => (StoreError::NotHappened(text), Retry::Never),
            },
            // A session that could not be given its settings.
            Error::Configuration(_)
            | Error::Io(_)
            | Error::Tls(_)
            | Error::Protocol(_)
            | Error::PoolTimedOut
            | Error::PoolClosed
            | Error::WorkerCrashed
            | Error::BeginFailed => (StoreError::Unavailable(text), Retry::Never),
            Error::ColumnDecode { .. }
            | Error::Decode(_)
            | Error::ColumnNotFound(_)
            | Error::ColumnIndexOutOfBounds { .. }
            | Error::TypeNotFound { .. }
            | Error::RowNotFound => (StoreError::Corrupt(text), Retry::Never),
            _ => (StoreError::NotHappened(text), Retry::Never),
        };
        Self { error, retry }
    }
}

impl TxError {
    /// An error that came while COMMIT was under way. Only what the database says when it is alive and has decided
    /// against the transaction is certain; a back end that was ended says so in a `Database` error of its own.
    pub(super) fn at_commit(error: Error) -> Self {
        let decided = match &error {
            Error::Database(database) => {
                let code = database.code().unwrap_or(Cow::Borrowed(""));
                match error_class(&**database) {
                    ErrorClass::Conflict => true,
                    ErrorClass::Slow => false,
                    // SQLite keeps the transaction open when it could not get the lock in time.
                    ErrorClass::Away => matches!(&*code, "5" | "261" | "517"),
                    ErrorClass::Refused => {
                        code.starts_with("23") || code.parse().is_ok_and(|c: i64| c & 0xFF == 19)
                    }
                }
            }
            _ => false,
        };
        if decided { error.into() } else { StoreError::OutcomeUnknown(error.to_string()).into() }
    }
}

/// While connecting nothing can have been refused: a wrong password or an absent database is put right elsewhere.
pub(super) fn away(error: Error) -> StoreError {
    match TxError::from(error).error {
        StoreError::NotHappened(text) | StoreError::Corrupt(text) => StoreError::Unavailable(text),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_told_apart_by_what_is_known_afterwards() {
        assert!(matches!(postgres_class("40P01"), ErrorClass::Conflict));
        for away in ["57P01", "08006", "53300", "25006"] {
            assert!(matches!(postgres_class(away), ErrorClass::Away), "{away}");
        }
        for slow in ["57014", "55P03"] {
            assert!(matches!(postgres_class(slow), ErrorClass::Slow), "{slow}");
        }
        for refused in ["23505", "23503", "22021", "42601", ""] {
            assert!(matches!(postgres_class(refused), ErrorClass::Refused), "{refused}");
        }
        assert!(
            matches!(sqlite_class(517), ErrorClass::Away)
                && matches!(sqlite_class(2067), ErrorClass::Refused)
        );
    }

    #[test]
    fn a_database_that_is_slow_or_refuses_has_answered() {
        for closed in ["57P01", "57P03", "08006", "53300", "10", "266", "14"] {
            assert!(is_closed_to_all(closed), "{closed}");
        }
        for open in ["57014", "55P03", "40001", "25006", "23505", "5", "261", "42P01", "53100", ""] {
            assert!(!is_closed_to_all(open), "{open}");
        }
        let io = || Error::Io(std::io::ErrorKind::ConnectionRefused.into());
        assert_eq!([probe_of(&io()), probe_of(&Error::PoolTimedOut)], [Some(Probe::NoResponse); 2]);
        assert_eq!([probe_of(&Error::RowNotFound), probe_of(&Error::PoolClosed)], [Some(Probe::Ok), None]);
    }

    #[test]
    fn a_connection_lost_during_commit_leaves_the_outcome_unknown() {
        let lost = || Error::Io(std::io::ErrorKind::ConnectionReset.into());
        assert!(matches!(TxError::from(lost()).error, StoreError::Unavailable(_)));
        assert!(matches!(TxError::at_commit(lost()).error, StoreError::OutcomeUnknown(_)));
    }
}
