//! What a database's error says about what has happened.

use std::borrow::Cow;

use sqlx::Error;

use super::circuit_breaker::Heard;
use crate::storage::error::StoreError;

/// An error inside a transaction: what the caller is told, and whether trying once more may help at once.
#[derive(Debug)]
pub(in crate::storage) struct Failure {
    pub(in crate::storage) error: StoreError,
    pub(in crate::storage) retry: Retry,
}

/// Whether a transaction lost against another that has ended by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::storage) enum Retry {
    /// Deadlock or serialization failure: the winner is through.
    Now,
    Never,
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self { error, retry: Retry::Never }
    }
}

/// How an SQLSTATE or SQLite code is to be taken before COMMIT was sent.
enum Class {
    Conflict,
    /// A limit of the hub's own was met: the database is there.
    Slow,
    Away,
    Refused,
}

// SQLSTATE classes and codes: PostgreSQL documentation, appendix A.
fn postgres_class(code: &str) -> Class {
    match code {
        "40P01" | "40001" => Class::Conflict,
        // Lock and statement time-outs.
        "55P03" | "57014" => Class::Slow,
        // A standby that was not promoted yet, an idle transaction that was ended.
        "25006" | "25P03" => Class::Away,
        // Connection, insufficient resources, operator intervention, system error.
        _ if ["08", "53", "57", "58"].contains(&&code[..2.min(code.len())]) => Class::Away,
        _ => Class::Refused,
    }
}

// Primary result codes, the low byte of an extended one: INTERRUPT; BUSY, LOCKED, NOMEM, READONLY, IOERR, FULL, CANTOPEN,
// PROTOCOL.
fn sqlite_class(code: i64) -> Class {
    match code & 0xFF {
        9 => Class::Slow,
        5 | 6 | 7 | 8 | 10 | 13 | 14 | 15 => Class::Away,
        _ => Class::Refused,
    }
}

fn class(database: &dyn sqlx::error::DatabaseError) -> Class {
    let code = database.code().unwrap_or(Cow::Borrowed(""));
    if database.try_downcast_ref::<sqlx::postgres::PgDatabaseError>().is_some() {
        postgres_class(&code)
    } else {
        code.parse().map_or(Class::Refused, sqlite_class)
    }
}

/// What a failed read says about whether anybody is there; nothing when it was this side that had closed. A database
/// that is slow or refuses has answered, except when it says that it cannot take anybody now.
pub(in crate::storage) fn heard(error: &Error) -> Option<Heard> {
    match error {
        Error::Database(database) => Some(match class(&**database) {
            Class::Away if is_closed_to_all(&database.code().unwrap_or(Cow::Borrowed(""))) => Heard::Silence,
            _ => Heard::Answer,
        }),
        Error::Io(_) | Error::Tls(_) | Error::Protocol(_) | Error::PoolTimedOut | Error::WorkerCrashed => {
            Some(Heard::Silence)
        }
        Error::PoolClosed => None,
        _ => Some(Heard::Answer),
    }
}

/// The connection ended under a read: the peer hung up or fell silent, or the server ended it.
pub(in crate::storage) fn is_broken_connection(error: &Error) -> bool {
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

/// What the database or the system said, without the names of layers in between.
fn words(error: &Error) -> String {
    match error {
        Error::Database(database) => match database.code() {
            Some(code) => format!("{} (code {code})", database.message()),
            None => database.message().to_owned(),
        },
        Error::Io(error) => error.to_string(),
        other => other.to_string(),
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let text = words(&error);
        let (error, retry) = match &error {
            Error::Database(database) => match class(&**database) {
                Class::Conflict => (StoreError::Unavailable(text), Retry::Now),
                Class::Slow => (StoreError::TooSlow(text), Retry::Never),
                Class::Away => (StoreError::Unavailable(text), Retry::Never),
                Class::Refused => (StoreError::NotHappened(text), Retry::Never),
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

impl Failure {
    /// An error that came while COMMIT was under way. Only what the database says when it is alive and has decided
    /// against the transaction is certain; a back end that was ended says so in a `Database` error of its own.
    pub(in crate::storage) fn at_commit(error: Error) -> Self {
        let decided = match &error {
            Error::Database(database) => {
                let code = database.code().unwrap_or(Cow::Borrowed(""));
                match class(&**database) {
                    Class::Conflict => true,
                    Class::Slow => false,
                    // SQLite keeps the transaction open when it could not get the lock in time.
                    Class::Away => matches!(&*code, "5" | "261" | "517"),
                    Class::Refused => {
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
pub(in crate::storage) fn away(error: Error) -> StoreError {
    match Failure::from(error).error {
        StoreError::NotHappened(text) | StoreError::Corrupt(text) => StoreError::Unavailable(text),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_told_apart_by_what_is_known_afterwards() {
        assert!(matches!(postgres_class("40P01"), Class::Conflict));
        for away in ["57P01", "08006", "53300", "25006"] {
            assert!(matches!(postgres_class(away), Class::Away), "{away}");
        }
        for slow in ["57014", "55P03"] {
            assert!(matches!(postgres_class(slow), Class::Slow), "{slow}");
        }
        for refused in ["23505", "23503", "22021", "42601", ""] {
            assert!(matches!(postgres_class(refused), Class::Refused), "{refused}");
        }
        assert!(matches!(sqlite_class(517), Class::Away) && matches!(sqlite_class(2067), Class::Refused));
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
        assert_eq!([heard(&io()), heard(&Error::PoolTimedOut)], [Some(Heard::Silence); 2]);
        assert_eq!([heard(&Error::RowNotFound), heard(&Error::PoolClosed)], [Some(Heard::Answer), None]);
    }

    #[test]
    fn a_connection_lost_during_commit_leaves_the_outcome_unknown() {
        let lost = || Error::Io(std::io::ErrorKind::ConnectionReset.into());
        assert!(matches!(Failure::from(lost()).error, StoreError::Unavailable(_)));
        assert!(matches!(Failure::at_commit(lost()).error, StoreError::OutcomeUnknown(_)));
    }
}
