//! Reads every source into one flat map, later sources over earlier ones.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use toml::{Table, Value};

use super::secrets::is_secret;
use super::{Environment, Problem, Settings, Sources};

const DEFAULT: &str = include_str!("../../config/default.toml");
const DEVELOPMENT: &str = include_str!("../../config/development.toml");
const STAGING: &str = include_str!("../../config/staging.toml");
const PRODUCTION: &str = include_str!("../../config/production.toml");

/// Variables with names of their own; a later one wins over an earlier one for the same setting.
const PLAIN_NAMES: [(&str, &str); 5] = [
    ("LOG_LEVEL", "log.level"),
    ("RUST_LOG", "log.level"),
    ("PORT", "server.port"),
    ("DATABASE_URL", "database.url"),
    ("SECRET_KEY", "auth.secret_key"),
];

/// Origin of what nobody set: such a value needs no pointer to where it was set.
pub(super) const BUILT_IN: &str = "the built-in settings";

const PREFIX: &str = "BELLHOP__";
const FILE_SUFFIX: &str = "_FILE";

/// One setting that some source gave. Not `Debug`: it may be a secret.
pub(super) struct Leaf {
    pub(super) value: Value,
    /// The source, for messages.
    pub(super) origin: String,
}

/// `section.name` to what was given last.
pub(super) type Leaves = BTreeMap<String, Leaf>;

/// What the sources gave, and what could not be read.
pub(super) struct Layers {
    pub(super) leaves: Leaves,
    pub(super) problems: Vec<Problem>,
    /// Every setting there is, with its default: tells names and types.
    known: BTreeMap<String, Value>,
}

/// Reads all sources in order. Only keys that exist come back as leaves; their values may still not fit.
pub(super) fn read(sources: &Sources, environment: Environment) -> Layers {
    let known = flatten(&Settings::default().to_table());
    let mut layers = Layers { leaves: Leaves::new(), problems: Vec::new(), known };
    let folder = sources.folder.as_deref();
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        layers.problem("--config", format!("{} is not a folder", folder.display()));
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
    for (key, text) in &sources.overrides {
        layers.add_text(key, text, "the command line");
    }
    layers
}

impl Layers {
    fn problem(&mut self, key: &str, message: impl Into<String>) {
        self.problems.push(Problem { key: key.to_owned(), message: message.into() });
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
            // The parser's own display quotes the line, which may hold a secret.
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
        let named =
            sources.variables.range(PREFIX.to_owned()..).take_while(|(name, _)| name.starts_with(PREFIX));
        for (name, _) in named.filter(|(_, value)| !value.is_empty()) {
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

    /// Adds what the variable `name` says of `key`, or for a secret what the file says that `<name>_FILE` names.
    fn add_variable(&mut self, sources: &Sources, name: &str, key: &str) {
        let file_name = format!("{name}{FILE_SUFFIX}");
        let path = sources.variable(&file_name).filter(|_| is_secret(key));
        match (sources.variable(name), path) {
            (None, None) => {}
            (Some(_), Some(_)) => self.problem(key, format!("given by both {name} and {file_name}")),
            (Some(text), None) if name == "LOG_LEVEL" => self.add_log_level(text),
            (Some(text), None) => self.add_text(key, text, name),
            (None, Some(path)) => match fs::read_to_string(path) {
                Ok(text) => self.add_text(key, text.trim_end_matches(['\r', '\n']), &file_name),
                Err(error) => {
                    self.problem(key, format!("{file_name} names {path}, which cannot be read: {error}"))
                }
            },
        }
    }

    /// `LOG_LEVEL` takes a level and nothing else, also by the names other platforms use.
    fn add_log_level(&mut self, text: &str) {
        let level = match text.to_ascii_lowercase().as_str() {
            "warning" => "warn".to_owned(),
            "critical" | "fatal" => "error".to_owned(),
            level @ ("trace" | "debug" | "info" | "warn" | "error" | "off") => level.to_owned(),
            _ => return self.problem("log.level", format!("LOG_LEVEL is '{text}', which is not a level")),
        };
        self.add_text("log.level", &level, "LOG_LEVEL");
    }

    /// Adds a text, read as what the default of `key` is.
    fn add_text(&mut self, key: &str, text: &str, origin: &str) {
        let value = match self.known.get(key) {
            Some(Value::Integer(_)) => text.trim().parse().map(Value::Integer).map_err(|_| "a whole number"),
            Some(Value::Boolean(_)) => text.trim().parse().map(Value::Boolean).map_err(|_| "true or false"),
            Some(Value::Array(_)) => {
                let items = text.split([',', '\n']).map(str::trim).filter(|item| !item.is_empty());
                Ok(Value::Array(items.map(|item| Value::String(item.to_owned())).collect()))
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
            self.problem(key, format!("there is no such setting (set by {origin})"));
        }
    }
}

/// Every value that is no table, by its dotted path.
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

/// Sets the value at a dotted path whose tables exist.
pub(super) fn put(table: &mut Table, path: &str, value: Value) {
    match path.split_once('.') {
        Some((section, rest)) => {
            if let Some(Value::Table(inner)) = table.get_mut(section) {
                put(inner, rest, value);
            }
        }
        None => {
            table.insert(path.to_owned(), value);
        }
    }
}
