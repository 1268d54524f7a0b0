//! Reading of all sources into one flat map, in which later sources replace the values of earlier ones.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use toml::{Table, Value};

use super::names;
use super::secrets::is_secret;
use super::{Environment, SettingProblem, Settings, Sources};

const DEFAULT: &str = include_str!("../../config/default.toml");
const DEVELOPMENT: &str = include_str!("../../config/development.toml");
const STAGING: &str = include_str!("../../config/staging.toml");
const PRODUCTION: &str = include_str!("../../config/production.toml");

/// Variables with a name that other programs use too. For the same setting a later one wins.
const PLAIN_NAMES: [(&str, &str); 14] = [
    ("DEBUG", "log.level"),
    ("LOG_LEVEL", "log.level"),
    ("RUST_LOG", "log.level"),
    ("PORT", "server.port"),
    ("DATABASE_URL", "database.url"),
    ("REDIS_URL", "redis.url"),
    ("REDIS_HOST", "redis.host"),
    ("REDIS_PORT", "redis.port"),
    ("DB_POOL_SIZE", "database.max_connections"),
    ("RATE_LIMIT_ENABLED", "limits.enabled"),
    ("JWT_SECRET", "auth.secret_key"),
    ("SECRET_KEY", "auth.secret_key"),
    ("ENCRYPTION_KEY", "encryption.keys"),
    ("WEBHOOK_SECRET", "payments.webhook_secrets"),
];

/// Variables that similar programs use and that have no effect here, with the reason.
const WITHOUT_EFFECT: [(&str, &str); 3] = [
    ("SENTRY_DSN", "errors are not reported to other services yet"),
    ("DB_MAX_OVERFLOW", "the pool never grows beyond database.max_connections"),
    ("RATE_LIMIT_PER_MINUTE", "limits are set by class, as in BELLHOP__LIMITS__API"),
];

/// The origin of built-in values; messages do not mention it.
pub(super) const BUILT_IN: &str = "the built-in settings";

const PREFIX: &str = "BELLHOP__";
const FILE_SUFFIX: &str = "_FILE";

/// The value of one setting from one source. Not `Debug`: it may be a secret.
pub(super) struct Leaf {
    pub(super) value: Value,
    /// The name of the source, for messages.
    pub(super) origin: String,
}

/// The value of each setting that was given, by `section.name`; the last source counts.
pub(super) type Leaves = BTreeMap<String, Leaf>;

/// The settings of all sources, with the problems of reading them.
pub(super) struct Layers {
    pub(super) leaves: Leaves,
    pub(super) problems: Vec<SettingProblem>,
    /// A sentence for each value that is not wrong but has no effect.
    pub(super) notices: Vec<String>,
    /// Every setting with its default, which gives its name and type.
    known: BTreeMap<String, Value>,
}

/// Reads all sources in order. The leaves are existing settings only; their values may still be invalid.
pub(super) fn read(sources: &Sources, environment: Environment) -> Layers {
    let known = flatten(&Settings::default().to_table());
    let mut layers = Layers { leaves: Leaves::new(), problems: Vec::new(), notices: Vec::new(), known };
    let folder = sources.folder.as_deref();
    match folder {
        Some(folder) if folder.is_dir() => layers.note_unread_files(folder),
        Some(folder) => layers.problem("--config", format!("{} is not a folder", folder.display())),
        None => {}
    }
    let own = match environment {
        Environment::Development => DEVELOPMENT,
        Environment::Staging => STAGING,
        Environment::Production => PRODUCTION,
    };
    for (name, built_in) in [("default", DEFAULT), (environment.name(), own)] {
        layers.add_toml(built_in, BUILT_IN);
        if let Some(folder) = folder {
            layers.add_file(&folder.join(format!("{name}.toml")));
        }
    }
    for (name, key) in PLAIN_NAMES {
        layers.add_variable(sources, name, key);
    }
    layers.add_prefixed(sources);
    for (name, reason) in WITHOUT_EFFECT.iter().filter(|(name, _)| sources.variable(name).is_some()) {
        layers.notices.push(format!("{name} is set but has no effect: {reason}"));
    }
    for (key, text) in &sources.overrides {
        layers.add_text(key, text, "the command line");
    }
    layers
}

impl Layers {
    fn problem(&mut self, key: &str, message: impl Into<String>) {
        self.problems.push(SettingProblem { key: key.to_owned(), message: message.into() });
    }

    fn add_file(&mut self, path: &Path) {
        let origin = path.display().to_string();
        match fs::read_to_string(path) {
            Ok(text) => self.add_toml(&text, &origin),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => self.problem(&origin, format!("cannot be read: {error}")),
        }
    }

    fn add_toml(&mut self, text: &str, origin: &str) {
        match text.parse::<Table>() {
            // The parser's own text quotes the line, which may contain a secret.
            Err(error) => {
                let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
                let line = before.matches('\n').count() + 1;
                self.problem(origin, format!("line {line}: {}", error.message()));
            }
            Ok(table) => {
                for (key, value) in flatten(&table) {
                    self.add(&key, value, origin);
                }
            }
        }
    }

    fn add_prefixed(&mut self, sources: &Sources) {
        for (name, value) in sources.variables.iter().filter(|(_, value)| !value.is_empty()) {
            if !name.starts_with(PREFIX) {
                if names::has_our_prefix(name) && !names::is_foreign(name, value) {
                    let hint = names::closest(self.known.keys(), name).map(names::variable);
                    let hint = hint.map_or(String::new(), |meant| format!("; did you mean {meant}?"));
                    self.problem(name, format!("there is no such setting{hint}"));
                }
                continue;
            }
            let key = name[PREFIX.len()..].to_ascii_lowercase().replace("__", ".");
            let of_file = key.strip_suffix(&FILE_SUFFIX.to_ascii_lowercase()).filter(|key| is_secret(key));
            match of_file {
                // Read once, under the name without the suffix.
                Some(key) if sources.variable(&name[..name.len() - FILE_SUFFIX.len()]).is_none() => {
                    self.add_variable(sources, &name[..name.len() - FILE_SUFFIX.len()], key);
                }
                Some(_) => {}
                None => self.add_variable(sources, name, &key),
            }
        }
    }

    /// Adds the value of the variable `name` for the setting `key`; for a secret also from the file in `<name>_FILE`.
    fn add_variable(&mut self, sources: &Sources, name: &str, key: &str) {
        let file_name = format!("{name}{FILE_SUFFIX}");
        let path = sources.variable(&file_name).filter(|_| is_secret(key));
        match (sources.variable(name), path) {
            (None, None) => {}
            (Some(_), Some(_)) => self.problem(key, format!("given by both {name} and {file_name}")),
            (Some(text), None) => self.add_named(name, key, text, name),
            (None, Some(path)) => match fs::read_to_string(path) {
                Ok(text) => self.add_named(name, key, text.trim_end_matches(['\r', '\n']), &file_name),
                Err(error) => {
                    self.problem(key, format!("{file_name} names {path}, which cannot be read: {error}"))
                }
            },
        }
    }

    /// Adds the value of a variable, translated for those variables whose format differs from the setting's.
    fn add_named(&mut self, name: &str, key: &str, text: &str, origin: &str) {
        match name {
            "LOG_LEVEL" => self.add_log_level(text),
            // Kubernetes says so in every container of a service called redis.
            "REDIS_PORT" if text.contains("://") => {
                self.notices
                    .push(format!("{name} is set but has no effect: it is an address and not a port"));
            }
            "DEBUG" => match text.to_ascii_lowercase().as_str() {
                "true" | "1" | "yes" | "on" => self.add_text(key, "debug", origin),
                "false" | "0" | "no" | "off" => {}
                _ => self
                    .notices
                    .push("DEBUG is set but has no effect: it is neither true nor false".to_owned()),
            },
            "ENCRYPTION_KEY" if !text.contains(':') => self.add_text(key, &format!("k1:{text}"), origin),
            _ => self.add_text(key, text, origin),
        }
    }

    /// Adds a notice for each settings file in the folder that no environment reads.
    fn note_unread_files(&mut self, folder: &Path) {
        let Ok(files) = fs::read_dir(folder) else { return };
        let names = files.flatten().map(|file| file.file_name().to_string_lossy().into_owned());
        let mut unread: Vec<_> =
            names.filter(|name| name.ends_with(".toml") && !Sources::reads(name)).collect();
        unread.sort();
        for name in unread {
            let path = folder.join(name);
            self.notices.push(format!(
                "{} is read in no environment: name it default, development, staging or production",
                path.display()
            ));
        }
    }

    /// Adds `LOG_LEVEL`, which takes a level only, also under the names of other platforms.
    fn add_log_level(&mut self, text: &str) {
        let level = match text.to_ascii_lowercase().as_str() {
            "warning" => "warn".to_owned(),
            "critical" | "fatal" => "error".to_owned(),
            level @ ("trace" | "debug" | "info" | "warn" | "error" | "off") => level.to_owned(),
            _ => return self.problem("log.level", format!("LOG_LEVEL is '{text}', which is not a level")),
        };
        self.add_text("log.level", &level, "LOG_LEVEL");
    }

    /// Adds a text, converted to the type of the setting.
    fn add_text(&mut self, key: &str, text: &str, origin: &str) {
        let value = match self.known.get(key) {
            Some(Value::Integer(_)) => text.trim().parse().map(Value::Integer).map_err(|_| "a whole number"),
            Some(Value::Boolean(_)) => {
                text.trim().to_ascii_lowercase().parse().map(Value::Boolean).map_err(|_| "true or false")
            }
            Some(Value::Array(known)) => {
                let items = text.split([',', '\n']).map(str::trim).filter(|item| !item.is_empty());
                if matches!(known.first(), Some(Value::Integer(_))) {
                    let numbers: Result<Vec<_>, _> =
                        items.map(|item| item.parse().map(Value::Integer)).collect();
                    numbers.map(Value::Array).map_err(|_| "a list of whole numbers")
                } else {
                    Ok(Value::Array(items.map(|item| Value::String(item.to_owned())).collect()))
                }
            }
            _ => Ok(Value::String(text.to_owned())),
        };
        match value {
            Ok(value) => self.add(key, value, origin),
            Err(wanted) => self.problem(key, format!("'{text}' is not {wanted} (set by {origin})")),
        }
    }

    fn add(&mut self, key: &str, value: Value, origin: &str) {
        if self.known.contains_key(key) {
            self.leaves.insert(key.to_owned(), Leaf { value, origin: origin.to_owned() });
        } else {
            let hint = names::closest(self.known.keys(), key);
            let hint = hint.map_or(String::new(), |meant| format!("; did you mean {meant}?"));
            self.problem(key, format!("there is no such setting (set by {origin}){hint}"));
        }
    }
}

/// Every value of a table and its inner tables, by dotted path.
pub(super) fn flatten(table: &Table) -> BTreeMap<String, Value> {
    let mut flat = BTreeMap::new();
    for (key, value) in table {
        match value {
            Value::Table(inner) => {
                flat.extend(flatten(inner).into_iter().map(|(path, value)| (format!("{key}.{path}"), value)));
            }
            _ => {
                flat.insert(key.clone(), value.clone());
            }
        }
    }
    flat
}

/// Sets the value at a dotted path; without effect where a table of the path does not exist.
pub(super) fn set_path(table: &mut Table, path: &str, value: Value) {
    match path.split_once('.') {
        Some((section, rest)) => {
            if let Some(Value::Table(inner)) = table.get_mut(section) {
                set_path(inner, rest, value);
            }
        }
        None => {
            table.insert(path.to_owned(), value);
        }
    }
}

/// Every variable with a plain name, also those without effect: `.env.example` has to explain them.
#[cfg(test)]
pub(super) fn plain_names() -> impl Iterator<Item = &'static str> {
    PLAIN_NAMES.iter().map(|(name, _)| *name).chain(WITHOUT_EFFECT.iter().map(|(name, _)| *name))
}
