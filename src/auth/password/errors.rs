//! Errors of hashing and of its settings.

/// Settings that no hash should be made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordSettingsError {
    /// Under 19 MiB or 2 passes.
    #[error("password hashing needs memory_kib of at least 19456 and iterations of at least 2")]
    TooCheap,
    /// A combination argon2 refuses.
    #[error("argon2 does not accept these values of memory_kib, iterations and parallelism")]
    Refused,
    /// Nothing could ever be hashed.
    #[error("password hashing needs a concurrency of at least 1")]
    NoConcurrency,
}

/// The reason a password was neither hashed nor checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Too many wait, or it waited too long: to be tried again later. Nothing was computed.
    #[error("too many passwords are being checked")]
    Busy,
    /// The stored text is not an argon2 hash.
    #[error("the stored password hash is malformed")]
    MalformedHash,
    /// The computation was lost: no memory, no randomness, or the process is stopping.
    #[error("the password could not be computed")]
    Failed,
}
