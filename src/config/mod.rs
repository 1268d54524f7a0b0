//! The settings of all modules, read from files, the environment and the command line.
//!
//! For each setting the last source wins:
//! 1. `config/default.toml` and `config/<environment>.toml`, which are built in, each overridden by the file of the same name in
//!    `./config` or `--config DIR`;
//! 2. plain names that other tools use too: `PORT`, `DATABASE_URL`, `SECRET_KEY`, `RUST_LOG`, `LOG_LEVEL` and others;
//! 3. `BELLHOP__SECTION__NAME`;
//! 4. the command line.
//!
//! A secret can also come from a file: `BELLHOP__AUTH__SECRET_KEY_FILE`, `DATABASE_URL_FILE` and so on. An empty variable
//! counts as not set. All problems are reported together; an unknown variable that begins with `BELLHOP_` is one.

mod environment;
mod layers;
mod names;
mod secrets;
mod sources;
mod validation;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display};

use secrecy::ExposeSecret as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;
use toml::Table;

pub use crate::settings::Problem;
pub use environment::Environment;
pub(crate) use secrets::FILE as SECRETS_FILE;
pub use sources::{MissingSecrets, Sources};

use crate::{actors, http, storage, telemetry};

/// The settings of all modules, one field for each module. `Debug` shows no secret.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The environment; decides which `config/<environment>.toml` is read and how strict the checks are.
    pub environment: Environment,
    /// Sections `data`, `database`, `encryption`, `cache`.
    pub storage: storage::Settings,
    /// Sections `persistence`, `rooms`, `sessions`, `retention`.
    pub actors: actors::Settings,
    /// Sections `server`, `auth`, `docs`, `drivers`, `limits`, `ops`, `health`.
    pub http: http::Settings,
    /// The section `log`.
    pub telemetry: telemetry::Settings,
    /// The origin of each value.
    pub provenance: Provenance,
}

/// The origins of settings, and notices about values without effect.
#[derive(Debug, Clone, Default)]
pub struct Provenance {
    /// The file, variable or command line that gave the value, by `section.name`; without the built-in values.
    pub origins: BTreeMap<String, String>,
    /// A sentence for each value that has no effect, and for each missing one that is usually wanted.
    pub notices: Vec<String>,
}

/// Settings that cannot be used. The process ends with [`ConfigError::EXIT_CODE`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct ConfigError {
    /// Every problem; never empty.
    pub problems: Vec<Problem>,
}

impl ConfigError {
    /// `EX_USAGE` of sysexits.h, so that a supervisor can distinguish a wrong setting from a crash.
    pub const EXIT_CODE: u8 = 64;
}

impl Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let noun = if self.problems.len() == 1 { "problem" } else { "problems" };
        write!(f, "{} {noun} in the settings:", self.problems.len())?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl Settings {
    /// Reads and checks every setting. In development, missing secrets are taken from `<data>/secrets.toml`, which is generated on the
    /// first start; in other environments they must be set.
    ///
    /// # Errors
    /// Every problem of every setting.
    pub fn load(sources: &Sources) -> Result<Self, ConfigError> {
        let (environment, mut problems) = sources.environment();
        let layers = layers::read(sources, environment);
        problems.extend(layers.problems);

        let (mut settings, refused) = Self::from_leaves(&layers.leaves);
        settings.environment = environment;
        // A value that could not be read was replaced by its default, so validation has nothing to add about it.
        let unread: BTreeSet<String> =
            problems.iter().chain(&refused).map(|problem| problem.key.clone()).collect();
        let wrong =
            validation::problems(&settings).into_iter().filter(|problem| !unread.contains(&problem.key));
        for mut problem in refused.into_iter().chain(wrong) {
            let set = layers.leaves.get(&problem.key).filter(|leaf| leaf.origin != layers::BUILT_IN);
            if let Some(leaf) = set {
                problem.message.push_str(&format!(" (set by {})", leaf.origin));
            }
            problems.push(problem);
        }

        let given = layers.leaves.into_iter().filter(|(_, leaf)| leaf.origin != layers::BUILT_IN);
        let origins = given.map(|(key, leaf)| (key, leaf.origin)).collect();
        settings.provenance = Provenance { origins, notices: layers.notices };
        if environment == Environment::Production && settings.storage.database.url.expose_secret().is_empty()
        {
            let notice =
                "DATABASE_URL is not set: production keeps its data in a SQLite file in the data folder";
            settings.provenance.notices.push(notice.to_owned());
        }

        // Settings with a problem write nothing to disk.
        if problems.is_empty() && environment == Environment::Development {
            problems.extend(secrets::fill_in(&mut settings, sources.secrets).err());
        }
        if problems.is_empty() { Ok(settings) } else { Err(ConfigError { problems }) }
    }

    /// Every setting as `section.name = value`, with secrets redacted.
    pub fn to_table(&self) -> Table {
        let modules = [
            Table::try_from(&self.storage),
            Table::try_from(&self.actors),
            Table::try_from(&self.http),
            Table::try_from(&self.telemetry),
        ];
        let sections = modules.map(|module| module.expect("settings are plain tables of plain values"));
        sections.into_iter().flatten().collect()
    }

    /// Every setting with the origin of its value, secrets redacted, as TOML: the output of `config check`.
    pub fn to_annotated_toml(&self) -> String {
        let mut text = String::new();
        for notice in &self.provenance.notices {
            text.push_str(&format!("# {notice}\n"));
        }
        text.push_str(&format!("# {}\n", self.environment));
        for (section, values) in self.to_table() {
            text.push_str(&format!("\n[{section}]\n"));
            for (name, value) in values.as_table().into_iter().flatten() {
                let origin = self.provenance.origins.get(&format!("{section}.{name}"));
                let origin = origin.map_or(String::new(), |origin| format!("  # {origin}"));
                text.push_str(&format!("{name} = {value}{origin}\n"));
            }
        }
        text
    }

    /// Overrides the built-in defaults by the leaves. A value of the wrong type is left out and reported.
    fn from_leaves(leaves: &layers::Leaves) -> (Self, Vec<Problem>) {
        let defaults = Self::default().to_table();
        let mut table = defaults.clone();
        let mut problems = Vec::new();
        for (key, leaf) in leaves {
            let mut alone = defaults.clone();
            layers::set_path(&mut alone, key, leaf.value.clone());
            match Self::from_table(&alone) {
                Ok(_) => layers::set_path(&mut table, key, leaf.value.clone()),
                Err(error) => problems.push(secrets::mismatch(key, error.message())),
            }
        }
        let settings = Self::from_table(&table).expect("every leaf was accepted on its own");
        (settings, problems)
    }

    fn from_table(table: &Table) -> Result<Self, toml::de::Error> {
        Ok(Self {
            environment: Environment::default(),
            provenance: Provenance::default(),
            storage: module(table)?,
            actors: module(table)?,
            http: module(table)?,
            telemetry: module(table)?,
        })
    }
}

/// Reads the settings of one module from its own sections.
fn module<M: Default + Serialize + DeserializeOwned>(table: &Table) -> Result<M, toml::de::Error> {
    let sections = Table::try_from(M::default()).expect("settings are plain tables of plain values");
    let own = sections.keys().filter_map(|section| Some((section.clone(), table.get(section)?.clone())));
    Table::from_iter(own).try_into()
}

#[cfg(test)]
mod tests;
