//! The database a command works on: one that is there, unless the command was told to make it.

use std::path::PathBuf;
use std::sync::Arc;

use crate::app::{StartError, migrate, open_store};
use crate::config::Settings;
use crate::storage::settings::DatabaseLocation;
use crate::storage::{Store, StoreError};

/// Why a command has no database to work on.
#[derive(Debug, thiserror::Error)]
pub(super) enum DatabaseError {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("there is no database at {}; name its folder by --data", .0.display())]
    NoFile(PathBuf),
    #[error("{0} is not the database of a hub: start the hub on it once, or run `bellhop migrate`")]
    NotOfAHub(String),
}

/// Where the database is, without its password.
pub(super) fn name(settings: &Settings) -> Result<String, DatabaseError> {
    Ok(location(settings)?.to_string())
}

/// Refuses a file that is not there: to make an empty one would say that all is well with one that was not meant. Whether a
/// server is there is found when it is asked.
pub(super) fn check_file(settings: &Settings) -> Result<(), DatabaseError> {
    match location(settings)? {
        DatabaseLocation::Sqlite(path) if !path.is_file() => {
            Err(DatabaseError::NoFile(std::path::absolute(&path).unwrap_or(path)))
        }
        DatabaseLocation::Sqlite(_) | DatabaseLocation::Postgres(_) => Ok(()),
    }
}

/// The database there is, its schema brought up to date.
pub(super) async fn open_existing(settings: &Settings) -> Result<Arc<dyn Store>, DatabaseError> {
    check_file(settings)?;
    let (store, _) = open_store(settings).await?;
    match store.epoch().await {
        Ok(_) => {}
        Err(StoreError::NotHappened(_)) => return Err(DatabaseError::NotOfAHub(name(settings)?)),
        Err(error) => return Err(StartError::from(error).into()),
    }
    migrate(settings, store.as_ref()).await?;
    Ok(store)
}

/// The database, made if it is not there; of Postgres only what is in it.
pub(super) async fn open_or_make(settings: &Settings) -> Result<Arc<dyn Store>, DatabaseError> {
    let (store, _) = open_store(settings).await?;
    migrate(settings, store.as_ref()).await?;
    Ok(store)
}

fn location(settings: &Settings) -> Result<DatabaseLocation, DatabaseError> {
    let location = settings.storage.location();
    Ok(location.map_err(|problem| StartError::Setting(problem.to_string()))?)
}
