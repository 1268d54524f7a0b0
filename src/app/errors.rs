//! Errors of a start and of a run.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::auth::password::PasswordSettingsError;
use crate::auth::token::WeakSecret;
use crate::storage::StoreError;
use crate::storage::crypto::cipher::KeysError;

/// Exit status when a part of the hub failed and a supervisor should start the process again: `EX_SOFTWARE` of sysexits.h.
pub const EXIT_FATAL: u8 = 70;

/// The reason the hub could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The port is in use, or the address is not of this machine.
    #[error("could not listen on {address}: {cause}{}", listen_advice(.cause))]
    Listen {
        /// The address that was tried.
        address: SocketAddr,
        /// The error of the system.
        cause: io::Error,
    },
    /// The database is away or none, or its schema could not be brought up to date.
    #[error("{place} cannot be used: {cause}")]
    Database {
        /// The database and its address, without a password.
        place: String,
        /// The error of the database or the system.
        cause: String,
    },
    /// Another hub runs on the same SQLite file.
    #[error(
        "another hub{} uses {}; stop it, or give this one a folder of its own by --data",
        .holder.map_or(String::new(), |id| format!(" (process {id})")),
        .database.display()
    )]
    InUse {
        /// The file.
        database: PathBuf,
        /// The process, as far as it is known.
        holder: Option<u32>,
    },
    /// A setting that passed validation does not work here.
    #[error("a setting does not work: {0}")]
    Setting(String),
}

fn listen_advice(cause: &io::Error) -> &'static str {
    match cause.kind() {
        io::ErrorKind::AddrInUse => "; stop who uses it, or take another port by --port",
        _ => "",
    }
}

impl From<StoreError> for StartError {
    fn from(error: StoreError) -> Self {
        Self::Database { place: "the database".to_owned(), cause: error.cause().to_owned() }
    }
}

impl From<KeysError> for StartError {
    fn from(error: KeysError) -> Self {
        Self::Setting(error.to_string())
    }
}

impl From<WeakSecret> for StartError {
    fn from(error: WeakSecret) -> Self {
        Self::Setting(error.to_string())
    }
}

impl From<PasswordSettingsError> for StartError {
    fn from(error: PasswordSettingsError) -> Self {
        Self::Setting(error.to_string())
    }
}

/// The reason the hub ended without being told to.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A part died without which an order could be lost.
    #[error("{0} died; the process has to be started again")]
    Fatal(&'static str),
    /// The server ended with an error.
    #[error("the server ended: {0}")]
    Server(#[from] io::Error),
}
