//! The settings as one value, and as tables of sections.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::Table;

use crate::{actors, bus, http, outbound, redis_client, storage, telemetry};

use super::Environment;

/// The settings of all modules, one field for each module. `Debug` shows no secret.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The environment; decides which `config/<environment>.toml` is read and how strict the checks are.
    pub environment: Environment,
    /// Sections `data`, `database`, `encryption`, `cache`.
    pub storage: storage::Settings,
    /// Sections `persistence`, `rooms`, `sessions`, `retention`, `alerts`, `sagas`, `dispatch`.
    pub actors: actors::Settings,
    /// The section `payments`.
    pub outbound: outbound::Settings,
    /// The section `redis`.
    pub redis: redis_client::Settings,
    /// The section `bus`.
    pub bus: bus::Settings,
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

impl Settings {
    /// Every setting as `section.name = value`, with secrets redacted.
    pub fn to_table(&self) -> Table {
        let modules = [
            Table::try_from(&self.storage),
            Table::try_from(&self.actors),
            Table::try_from(&self.outbound),
            Table::try_from(&self.redis),
            Table::try_from(&self.bus),
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

    pub(super) fn from_table(table: &Table) -> Result<Self, toml::de::Error> {
        Ok(Self {
            environment: Environment::default(),
            provenance: Provenance::default(),
            storage: module(table)?,
            actors: module(table)?,
            outbound: module(table)?,
            redis: module(table)?,
            bus: module(table)?,
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
