//! Renewing keys and epochs, and copying the database, from the command line.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Subcommand;

use crate::config::Settings;
use crate::storage::rotation::{self, RotationError};

use super::database::{DatabaseError, open_existing};

/// How often the progress is told.
const TELL_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug, Subcommand)]
pub(super) enum Keys {
    /// Seal every phone number, address and kept answer anew with the first key; running hubs need not stop
    Rotate,
}

#[derive(Debug, Subcommand)]
pub(super) enum Epochs {
    /// After a restore: make every cursor from before invalid, so that clients list anew instead of missing events
    Rotate,
}

#[derive(Debug, thiserror::Error)]
enum UpkeepError {
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error(transparent)]
    Rotation(#[from] RotationError),
    #[error("the copy was not made: {}", .0.cause())]
    Store(#[from] crate::storage::StoreError),
    #[error("there are no random numbers: {0}")]
    Random(#[from] getrandom::Error),
}

pub(super) async fn keys(settings: &Settings, Keys::Rotate: Keys) -> ExitCode {
    told(try_keys(settings).await)
}

pub(super) async fn epochs(settings: &Settings, Epochs::Rotate: Epochs) -> ExitCode {
    told(try_epochs(settings).await)
}

pub(super) async fn backup(settings: &Settings, file: PathBuf) -> ExitCode {
    told(try_backup(settings, file).await)
}

fn told(done: Result<String, UpkeepError>) -> ExitCode {
    match done {
        Ok(text) => {
            super::say(&text);
            ExitCode::SUCCESS
        }
        Err(error) => super::fail(&error),
    }
}

async fn try_keys(settings: &Settings) -> Result<String, UpkeepError> {
    let store = open_existing(settings).await?;
    let mut last_told = Instant::now();
    let renewed = rotation::reseal_all(store.as_ref(), |so_far| {
        if last_told.elapsed() >= TELL_EVERY {
            last_told = Instant::now();
            super::say(&format!("{} values sealed anew so far ({so_far})", so_far.total()));
        }
    })
    .await?;
    store.close().await;
    Ok(match renewed.total() {
        0 => "0 values sealed anew: none needs an older key".to_owned(),
        all => format!("{all} values sealed anew ({renewed}); none needs an older key any more"),
    })
}

async fn try_epochs(settings: &Settings) -> Result<String, UpkeepError> {
    let store = open_existing(settings).await?;
    let before = store.epoch().await?;
    let epoch = before.another(getrandom::u32()?);
    let rooms = rotation::rotate_epoch(store.as_ref(), epoch).await?;
    store.close().await;
    Ok(format!("{rooms} rooms count in the epoch {epoch} now; clients from before are told to list anew"))
}

async fn try_backup(settings: &Settings, file: PathBuf) -> Result<String, UpkeepError> {
    let store = open_existing(settings).await?;
    store.backup(&file).await.map_err(UpkeepError::Store)?;
    store.close().await;
    Ok(format!("{} holds the database as of now; keep the encryption keys elsewhere", file.display()))
}
