//! What settings are read from. Nothing here looks at the process except [`Sources::process`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Environment, Problem};

/// Names of the environment that say which environment this is; the first one set counts.
const ENVIRONMENT_NAMES: [&str; 2] = ["BELLHOP_ENV", "ENVIRONMENT"];

/// What settings are read from, besides the files that are built in. Not `Debug`: variables hold secrets.
#[derive(Clone, Default)]
pub struct Sources {
    /// Environment variables. An empty one counts as not set.
    pub variables: BTreeMap<String, String>,
    /// Folder whose `default.toml` and `<environment>.toml` are laid over the built-in ones. Either may be absent.
    pub folder: Option<PathBuf>,
    /// Settings from the command line, `section.name` to text.
    pub overrides: BTreeMap<String, String>,
    /// What becomes of secrets that development has not made yet.
    pub secrets: MissingSecrets,
}

/// What becomes of secrets that development has not made yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissingSecrets {
    /// They are made and kept in the data folder.
    #[default]
    Make,
    /// They stay empty: whoever only looks writes nothing.
    LeaveEmpty,
}

impl Sources {
    /// The environment of this process and `folder` (`--config DIR`), or `./config` where there is one.
    pub fn process(folder: Option<PathBuf>) -> Self {
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| {
                Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
            })
            .collect();
        let beside = || Some(PathBuf::from("config")).filter(|path| path.is_dir());
        Self { variables, folder: folder.or_else(beside), ..Self::default() }
    }

    /// Only what is built in, with files kept in `data`: what tests start from, and go on through the usual door.
    pub fn bare(data: &Path) -> Self {
        Self::default().with("data.dir", data.to_string_lossy())
    }

    /// Sets one setting (`server.port`), over every other source. A list is separated by commas.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.overrides.insert(key.to_owned(), value.into());
        self
    }

    /// Leaves missing secrets empty instead of making them, for commands that only look.
    #[must_use]
    pub fn only_looking(mut self) -> Self {
        self.secrets = MissingSecrets::LeaveEmpty;
        self
    }

    /// Whether a file of this name in the folder is read in some environment.
    pub(super) fn reads(name: &str) -> bool {
        name.strip_suffix(".toml").is_some_and(|name| {
            name == "default"
                || name.parse::<Environment>().is_ok_and(|environment| environment.name() == name)
        })
    }

    /// The value of a variable that is set and not empty.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Which environment is meant. When the name is none, development is assumed for finding further problems.
    pub(super) fn environment(&self) -> (Environment, Vec<Problem>) {
        let named = ENVIRONMENT_NAMES.into_iter().find_map(|name| Some((name, self.variable(name)?)));
        match named.map(|(name, value)| (name, value.parse::<Environment>())) {
            None => (Environment::default(), Vec::new()),
            Some((_, Ok(environment))) => (environment, Vec::new()),
            Some((name, Err(error))) => {
                let problem = Problem { key: name.to_owned(), message: error.to_string() };
                (Environment::default(), vec![problem])
            }
        }
    }
}
