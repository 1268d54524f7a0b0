//! The database of a command: an existing one, except where the command is told to create it.

use std::path::PathBuf;
use std::sync::Arc;

use crate::app::{StartError, migrate, open_store};
use crate::config::Settings;
use crate::storage::settings::DatabaseLocation;
use crate::storage::{Store, StoreError};

/// The reason why a command has no database to work on.
#[derive(Debug, thiserror::Error)]
pub(super) enum DatabaseError {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("there is no database at {}; name its folder with --data", .0.display())]
    NoFile(PathBuf),
    #[error("{0} is not the database of a hub: start the hub on it once, or run `bellhop migrate`")]
    NotOfAHub(String),
}

/// The location of the database, without the password.
pub(super) fn name(settings: &Settings) -> Result<String, DatabaseError> {
    Ok(location(settings)?.to_string())
}

/// Checks that the SQLite file exists, because a new and empty one would hide that the folder is wrong. A Postgres server is checked
/// when it is connected to.
///
/// # Errors
/// The file does not exist, or the setting is wrong.
pub(super) fn check_file(settings: &Settings) -> Result<(), DatabaseError> {
    match location(settings)? {
        DatabaseLocation::Sqlite(path) if !path.is_file() => {
            Err(DatabaseError::NoFile(std::path::absolute(&path).unwrap_or(path)))
        }
        DatabaseLocation::Sqlite(_) | DatabaseLocation::Postgres(_) => Ok(()),
    }
}

/// Opens the existing database and brings its schema up to date.
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

/// Opens the database and creates what is missing: the SQLite file and the schema. A Postgres database has to exist.
pub(super) async fn open_or_make(settings: &Settings) -> Result<Arc<dyn Store>, DatabaseError> {
    let (store, _) = open_store(settings).await?;
    migrate(settings, store.as_ref()).await?;
    Ok(store)
}

fn location(settings: &Settings) -> Result<DatabaseLocation, DatabaseError> {
    let location = settings.storage.location();
    Ok(location.map_err(|problem| StartError::Setting(problem.to_string()))?)
}
