//! Renewing keys and epochs, and copying the database, from the command line.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Subcommand;

use crate::app::{StartError, open_store};
use crate::config::Settings;
use crate::storage::Store;
use crate::storage::rotation::{self, RotationError};
use crate::storage::settings::DatabaseLocation;

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
    Start(#[from] StartError),
    #[error(transparent)]
    Rotation(#[from] RotationError),
    #[error("the copy was not made: {0}")]
    Store(#[from] crate::storage::StoreError),
    #[error("there is no database at {}; name its folder by --data", .0.display())]
    NoDatabase(PathBuf),
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

/// The database there is. To make an empty one here would say that all is well with one that was not meant.
async fn open_existing(settings: &Settings) -> Result<Arc<dyn Store>, UpkeepError> {
    let location = settings.storage.location().map_err(|problem| StartError::Setting(problem.to_string()))?;
    if let DatabaseLocation::Sqlite(path) = location
        && !path.is_file()
    {
        return Err(UpkeepError::NoDatabase(std::path::absolute(&path).unwrap_or(path)));
    }
    Ok(open_store(settings).await?.0)
}

async fn try_keys(settings: &Settings) -> Result<String, UpkeepError> {
    let store = open_existing(settings).await?;
    store.migrate().await.map_err(StartError::from)?;
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
    store.migrate().await.map_err(StartError::from)?;
    let before = store.epoch().await.map_err(StartError::from)?;
    let epoch = before.another(getrandom::u32()?);
    let rooms = rotation::rotate_epoch(store.as_ref(), epoch).await?;
    store.close().await;
    Ok(format!("{rooms} rooms count in the epoch {epoch} now; clients from before are told to list anew"))
}

async fn try_backup(settings: &Settings, file: PathBuf) -> Result<String, UpkeepError> {
    let store = open_existing(settings).await?;
    store.backup(&file).await?;
    store.close().await;
    Ok(format!("{} holds the database as of now; keep the encryption keys elsewhere", file.display()))
}
