//! The log line of a hub that is ready.

use std::fmt::Write as _;
use std::net::SocketAddr;

use crate::config::{Environment, Settings};
use crate::storage::settings::DatabaseLocation;

/// The parts of the line that are known before the hub listens.
#[derive(Debug)]
pub(super) struct StartupMessage {
    environment: Environment,
    docs: bool,
    limits: bool,
    database: String,
    is_new: bool,
}

impl StartupMessage {
    /// Must be made before the database is opened, so that a new one is known to be new.
    pub(super) fn new(settings: &Settings, location: &DatabaseLocation) -> Self {
        let data = &settings.storage.data.dir;
        let (database, is_new) = match location {
            DatabaseLocation::Sqlite(file) if file.parent() == Some(data) => {
                (data.display().to_string(), !file.exists())
            }
            DatabaseLocation::Sqlite(file) => (location.to_string(), !file.exists()),
            DatabaseLocation::Postgres(_) => (location.to_string(), false),
        };
        Self {
            environment: settings.environment,
            docs: settings.http.docs.enabled,
            limits: settings.http.limits.enabled,
            database,
            is_new,
        }
    }

    /// Logs it: a sentence in development, fields elsewhere.
    pub(super) fn log(&self, address: SocketAddr, ops: Option<SocketAddr>) {
        let (version, limits) = (env!("CARGO_PKG_VERSION"), self.limits);
        if self.environment == Environment::Development {
            tracing::info!("{}", self.sentence(address, ops));
        } else {
            let (environment, ops) = (self.environment, ops.map(tracing::field::display));
            tracing::info!(version, %environment, %address, ops, database = self.database, limits, "ready");
        }
    }

    fn sentence(&self, address: SocketAddr, ops: Option<SocketAddr>) -> String {
        let mut text = format!("Bellhop {} on http://{address}", env!("CARGO_PKG_VERSION"));
        if self.docs {
            text.push_str(", docs at /docs/");
        }
        if let Some(ops) = ops {
            let _ = write!(text, ", operations on http://{ops}");
        }
        let new = if self.is_new { " (new)" } else { "" };
        let limits = if self.limits { "on" } else { "off" };
        let _ = write!(text, ", data in {}{new}, limits {limits}", self.database);
        text
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Sources;

    use super::*;

    #[test]
    fn development_is_told_where_everything_is_in_one_sentence() {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings::load(&Sources::bare(folder.path())).unwrap();
        let location = settings.storage.location().unwrap();
        let said = || StartupMessage::new(&settings, &location).sentence(([127, 0, 0, 1], 8000).into(), None);
        let data = folder.path().display();
        let start = format!(
            "Bellhop {} on http://127.0.0.1:8000, docs at /docs/, data in {data}",
            env!("CARGO_PKG_VERSION")
        );
        assert_eq!(said(), format!("{start} (new), limits on"));
        std::fs::write(folder.path().join("bellhop.sqlite"), "").unwrap();
        assert_eq!(said(), format!("{start}, limits on"));
    }
}
