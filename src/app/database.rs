//! The database the settings name: opened, brought up to date, and waited for while it is away.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;
use tokio::time::Instant;

use crate::config::{SECRETS_FILE, Settings};
use crate::http::server::Listening;
use crate::http::starting::NotReady;
use crate::http::state::Deployment;
use crate::storage::crypto::cipher::{Cipher, KeyId};
use crate::storage::postgres::PostgresOptions;
use crate::storage::settings::DatabaseLocation;
use crate::storage::{Store, StoreError, postgres, sqlite};
use crate::telemetry::Metrics;

use super::{StartError, derive};

/// Opens the database the settings name, for a command whose metrics nobody asks for; nothing is migrated.
///
/// # Errors
/// When it cannot be reached or a key does not work.
pub async fn open_store(settings: &Settings) -> Result<(Arc<dyn Store>, Arc<Cipher>), StartError> {
    open_counted_store(settings, Metrics::new(&settings.storage.data.dir)).await
}

pub(super) async fn open_counted_store(
    settings: &Settings,
    metrics: Metrics,
) -> Result<(Arc<dyn Store>, Arc<Cipher>), StartError> {
    let cipher = Arc::new(cipher(settings)?);
    let location = location(settings)?;
    let place = location.to_string();
    let unusable = |error: StoreError| unusable(&place, &error);
    let database = &settings.storage.database;
    let store = match location {
        DatabaseLocation::Sqlite(path) => {
            make_folder(&path, &settings.storage.data.dir)?;
            warn_of_a_lost_database(&path, &settings.storage.data.dir);
            sqlite::connect(&path, cipher.clone(), metrics).await.map_err(unusable)?
        }
        DatabaseLocation::Postgres(url) => {
            let options = PostgresOptions {
                url,
                min_connections: database.min_connections,
                max_connections: database.max_connections,
                acquire_timeout: Duration::from_secs(database.acquire_timeout_s),
                connect_timeout: Duration::from_secs(database.connect_timeout_s),
                idle_timeout: Duration::from_secs(database.idle_timeout_s),
                max_lifetime: Duration::from_secs(database.max_lifetime_s),
                statement_timeout: Duration::from_millis(database.statement_timeout_ms),
                lock_timeout: Duration::from_millis(database.lock_timeout_ms),
            };
            postgres::connect(&options, cipher.clone(), metrics).map_err(unusable)?
        }
    };
    Ok((store, cipher))
}

pub(super) fn location(settings: &Settings) -> Result<DatabaseLocation, StartError> {
    settings.storage.location().map_err(|problem| StartError::Setting(problem.to_string()))
}

/// The primary code of a SQLite file that is none.
const NO_DATABASE: &str = "(code 26)";

fn unusable(place: &str, error: &StoreError) -> StartError {
    let cause = error.cause();
    let advice = if cause.contains(NO_DATABASE) { "; restore a backup, or move it away" } else { "" };
    StartError::Database { place: place.to_owned(), cause: format!("{cause}{advice}") }
}

/// Brings the schema up to date, for a command; a database that is away is not waited for.
///
/// # Errors
/// When the database is away or cannot be used.
pub async fn migrate(settings: &Settings, store: &dyn Store) -> Result<(), StartError> {
    let place = location(settings)?.to_string();
    store.migrate().await.map_err(|error| unusable(&place, &error))
}

/// The data folder is made; another one that a URL names has to be there, since a slip in it would begin an empty database.
pub(super) fn make_folder(database: &Path, data: &Path) -> Result<(), StartError> {
    let folder = database.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let refused = |cause: String| StartError::Database {
        place: format!("the SQLite file {}", database.display()),
        cause,
    };
    if folder == data {
        std::fs::create_dir_all(folder)
            .map_err(|error| refused(format!("its folder cannot be made: {error}")))
    } else if folder.is_dir() {
        Ok(())
    } else {
        Err(refused(format!("there is no folder {}; make it, or put the path right", folder.display())))
    }
}

/// How often a database that is away is looked for at the start.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often it is said that it is still away.
const TELL_EVERY: Duration = Duration::from_secs(30);

/// Brings the schema up to date. For a server that is away it waits as long as it takes, and answers meanwhile on the port
/// that the hub is not ready.
pub(super) async fn migrate_when_there(
    store: &dyn Store,
    place: &str,
    listening: &Listening,
    deployment: Deployment,
) -> Result<(), StartError> {
    let mut waiting = None;
    let mut told: Option<Instant> = None;
    let outcome = loop {
        match store.migrate().await {
            Ok(()) => break Ok(()),
            Err(error) if error.is_transient() && store.name() == "postgres" => {
                if waiting.is_none() {
                    let address = listening.address;
                    let begun = NotReady::begin(listening, deployment);
                    waiting = Some(begun.map_err(|cause| StartError::Listen { address, cause })?);
                }
                if told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
                    told = Some(Instant::now());
                    let cause = error.cause();
                    tracing::warn!(
                        place,
                        cause,
                        "the database is away: the hub waits for it and is not ready"
                    );
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
            Err(error) => break Err(unusable(place, &error)),
        }
    };
    if let Some(waiting) = waiting {
        waiting.end().await;
    }
    outcome
}

/// Secrets that are older than this were not made by this start.
const OF_THIS_START: Duration = Duration::from_secs(60);

/// An empty database beside secrets of an earlier hub: the one that belongs to them was moved or removed, or another folder is
/// meant.
fn warn_of_a_lost_database(database: &Path, folder: &Path) {
    let is_new = std::fs::metadata(database).map_or(true, |file| file.len() == 0);
    let secrets = folder.join(SECRETS_FILE);
    let made = std::fs::metadata(&secrets).and_then(|file| file.modified()).ok();
    let is_older = made.and_then(|made| made.elapsed().ok()).is_some_and(|age| age > OF_THIS_START);
    if is_new && is_older {
        tracing::warn!(
            database = %database.display(),
            secrets = %secrets.display(),
            "a new database is made although the secrets beside it are older: has the database been moved or removed?"
        );
    }
}

fn cipher(settings: &Settings) -> Result<Cipher, StartError> {
    let keys = settings.storage.encryption.decoded().map_err(|problems| {
        StartError::Setting(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    })?;
    let mut ring = Vec::with_capacity(keys.len());
    for key in keys {
        let id: KeyId = key.id.parse().map_err(|_| StartError::Setting(format!("bad key id {}", key.id)))?;
        ring.push((id, key.key));
    }
    let mac_secret = derive(settings.http.auth.secret_key.expose_secret().as_bytes(), b"bellhop idempotency");
    Ok(Cipher::new(ring, mac_secret.into())?)
}
