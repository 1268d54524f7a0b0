//! The hubs of the demo: one, or several nodes on one database, in one process.
#![expect(clippy::disallowed_methods, reason = "this file draws new ids and owns the tasks that it starts")]

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use secrecy::{ExposeSecret as _, SecretString};
use uuid::Uuid;

use crate::app::{App, RunError, StartError, Stopper};
use crate::config::{Settings, Sources};
use crate::telemetry::logs;

use super::clocks;
use super::counts::Counts;
use super::error::DemoError;
use super::options::Options;
use super::words::say;

/// Seals the phone numbers of the demo's customers in a database that outlives its folder. They are the same made-up number.
const SHARED_KEY: &str = "demo:cmluZy11bnRpbC1hbnN3ZXJlZC1pbi10aGUtZGVtbyE=";

/// The servers that several nodes share.
#[derive(Clone, Debug, Default)]
pub(super) struct Shared {
    /// Postgres; a file of one node's own unless given.
    pub(super) database: Option<SecretString>,
    /// Redis, by which nodes hear of each other's events at once.
    pub(super) redis: Option<SecretString>,
}

impl Shared {
    /// What the options name. For several nodes, what `DATABASE_URL` and `REDIS_URL` name counts too.
    ///
    /// # Errors
    /// When there are several nodes and no database for them.
    pub(super) fn find(options: &Options) -> Result<Self, DemoError> {
        let database = options.database.clone();
        if options.nodes == 1 {
            return Ok(Self { database, redis: None });
        }
        let named = |name: &str| {
            let value = std::env::var(name).ok().filter(|value| !value.is_empty());
            value.map(SecretString::from)
        };
        let database = database.or_else(|| named("DATABASE_URL")).ok_or(DemoError::NoSharedDatabase)?;
        Ok(Self { database: Some(database), redis: named("REDIS_URL") })
    }
}

/// Hubs that were started and do not serve yet.
pub(super) struct Hubs(Vec<App>);

impl Hubs {
    /// Starts as many as the options say. Only warnings are logged: a line for each request would bury the screen. Limits of requests are
    /// not in force.
    ///
    /// # Errors
    /// When one of them does not start.
    pub(super) async fn start(
        data: &Path,
        options: &Options,
        shared: &Shared,
        secret: &SecretString,
    ) -> Result<Self, DemoError> {
        let mut apps = Vec::new();
        // Whoever signed in at one node is known to the others.
        let key = Uuid::new_v4().simple().to_string().repeat(2);
        for node in 0..options.nodes {
            let folder = if options.nodes == 1 { data.to_owned() } else { data.join(format!("node-{node}")) };
            let port = if options.port == 0 { 0 } else { options.port.saturating_add(node) };
            let sources = |port: u16| {
                let sources = sources(&folder, port, shared, secret);
                if options.nodes == 1 { sources } else { sources.with("auth.secret_key", key.clone()) }
            };
            apps.push(Self::one(port, sources).await?);
        }
        Ok(Self(apps))
    }

    async fn one(port: u16, sources: impl Fn(u16) -> Sources) -> Result<App, DemoError> {
        let settings = Settings::load(&sources(port))?;
        // Whoever started logging before, as tests do, keeps it as it is.
        let _logging = logs::init(&settings.telemetry.log);
        match App::build(settings).await {
            Err(StartError::Listen { cause, .. }) if cause.kind() == io::ErrorKind::AddrInUse => {
                let app = App::build(Settings::load(&sources(0))?).await?;
                say(&format!("port {port} is in use; taking {}\n", app.address().port()));
                Ok(app)
            }
            built => Ok(built?),
        }
    }

    /// Where they listen, the first one first.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.0.iter().map(App::address).collect()
    }

    /// What they count of themselves.
    pub(super) fn counts(&self) -> Counts {
        Counts::new(self.0.iter().map(|app| app.metrics().clone()).collect())
    }

    /// Handles that stop them.
    pub(super) fn stoppers(&self) -> Vec<Stopper> {
        self.0.iter().map(App::stopper).collect()
    }

    /// Serves until they are stopped; when one ends, all do.
    ///
    /// # Errors
    /// When one of them ended badly.
    pub(super) async fn run(self) -> Result<(), RunError> {
        let stoppers = self.stoppers();
        let mut running: FuturesUnordered<_> =
            self.0.into_iter().map(|app| actix::spawn(app.run())).collect();
        let mut outcome = Ok(());
        while let Some(ended) = running.next().await {
            stoppers.iter().for_each(Stopper::stop);
            // A hub that panicked has said so.
            outcome = outcome.and(ended.unwrap_or(Ok(())));
        }
        outcome
    }
}

fn sources(data: &Path, port: u16, shared: &Shared, secret: &SecretString) -> Sources {
    let sources = clocks::shortened(Sources::bare(data)).with("server.port", port.to_string());
    let sources = sources.with("payments.webhook_secrets", secret.expose_secret());
    let mut sources =
        sources.with("server.drain_s", "5").with("log.level", "warn").with("limits.enabled", "false");
    if let Some(url) = &shared.database {
        // A later run has to read what this one leaves there.
        sources = sources.with("database.url", url.expose_secret()).with("encryption.keys", SHARED_KEY);
    }
    if let Some(url) = &shared.redis {
        sources = sources.with("redis.url", url.expose_secret());
    }
    sources
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_nodes_need_a_database_that_is_named() {
        let url = || Some(SecretString::from("postgres://u:p@h/d"));
        let options = |nodes, database| Options { nodes, database, ..Options::default() };
        assert!(Shared::find(&options(1, None)).is_ok_and(|shared| shared.database.is_none()));
        assert!(Shared::find(&options(3, url())).is_ok_and(|shared| shared.database.is_some()));
    }
}
