//! Maintenance from the command line: rotating encryption keys and epochs, copying the database.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Subcommand;

use crate::config::Settings;
use crate::storage::crypto::key_rotation::{self, RotationError};

use super::database::{DatabaseError, open_existing};

/// The shortest time between two lines of progress.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug, Subcommand)]
pub(super) enum Keys {
    /// Encrypt every phone number, address and stored response again with the first key; running hubs need not stop
    Rotate,
}

#[derive(Debug, Subcommand)]
pub(super) enum Epochs {
    /// After a restore: make every older cursor invalid, so that clients list the present state instead of missing events
    Rotate,
}

#[derive(Debug, thiserror::Error)]
enum MaintenanceError {
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error(transparent)]
    Rotation(#[from] RotationError),
    #[error("the copy could not be created: {}", .0.cause())]
    Store(#[from] crate::storage::StoreError),
    #[error("no random numbers are available: {0}")]
    Random(#[from] getrandom::Error),
}

pub(super) async fn keys(settings: &Settings, Keys::Rotate: Keys) -> ExitCode {
    report(try_keys(settings).await)
}

pub(super) async fn epochs(settings: &Settings, Epochs::Rotate: Epochs) -> ExitCode {
    report(try_epochs(settings).await)
}

pub(super) async fn backup(settings: &Settings, file: PathBuf) -> ExitCode {
    report(try_backup(settings, file).await)
}

fn report(done: Result<String, MaintenanceError>) -> ExitCode {
    match done {
        Ok(text) => {
            super::output::print_line(&text);
            ExitCode::SUCCESS
        }
        Err(error) => super::output::fail(&error),
    }
}

async fn try_keys(settings: &Settings) -> Result<String, MaintenanceError> {
    let store = open_existing(settings).await?;
    let mut last_printed = Instant::now();
    let renewed = key_rotation::reseal_all(store.as_ref(), |so_far| {
        if last_printed.elapsed() >= PROGRESS_EVERY {
            last_printed = Instant::now();
            super::output::print_line(&format!(
                "{} values encrypted again so far ({so_far})",
                so_far.total()
            ));
        }
    })
    .await?;
    store.close().await;
    Ok(match renewed.total() {
        0 => "0 values encrypted again: none needs an older key".to_owned(),
        all => format!("{all} values encrypted again ({renewed}); none needs an older key any more"),
    })
}

async fn try_epochs(settings: &Settings) -> Result<String, MaintenanceError> {
    let store = open_existing(settings).await?;
    let before = store.epoch().await?;
    let epoch = before.another(getrandom::u32()?);
    // First, so that an interrupted run leaves the copy held.
    key_rotation::hold_copy(store.as_ref()).await?;
    let rooms = key_rotation::rotate_epoch(store.as_ref(), epoch).await?;
    store.close().await;
    Ok(format!(
        "{rooms} rooms are in the epoch {epoch} now; clients with older cursors get resync. The orders that are there now are held: \
         `bellhop release` lists what the hub would do about them"
    ))
}

async fn try_backup(settings: &Settings, file: PathBuf) -> Result<String, MaintenanceError> {
    let store = open_existing(settings).await?;
    store.backup(&file).await.map_err(MaintenanceError::Store)?;
    store.close().await;
    Ok(format!(
        "{} is a copy of the database as of now; keep the encryption keys in another place",
        file.display()
    ))
}
