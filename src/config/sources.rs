//! The sources of settings. Only [`Sources::process`] looks at the process.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Environment, SettingProblem};

/// The variables that name the environment; the first one that is set counts.
const ENVIRONMENT_NAMES: [&str; 2] = ["BELLHOP_ENV", "ENVIRONMENT"];

/// The sources of settings besides the built-in files. Not `Debug`: variables contain secrets.
#[derive(Clone, Default)]
pub struct Sources {
    /// Environment variables. An empty one counts as not set.
    pub variables: BTreeMap<String, String>,
    /// The folder whose `default.toml` and `<environment>.toml` override the built-in ones. Either may be absent.
    pub folder: Option<PathBuf>,
    /// Settings from the command line, by `section.name`.
    pub overrides: BTreeMap<String, String>,
    /// The treatment of missing secrets in development.
    pub secrets: MissingSecrets,
}

/// The treatment of missing secrets in development.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissingSecrets {
    /// Generate them and keep them in the data folder.
    #[default]
    Generate,
    /// Leave them empty: a command that only reads writes no file.
    LeaveEmpty,
}

impl Sources {
    /// The variables of this process, and `folder` (`--config DIR`) or else `./config` if it exists.
    pub fn process(folder: Option<PathBuf>) -> Self {
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| {
                Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
            })
            .collect();
        let beside = || Some(PathBuf::from("config")).filter(|path| path.is_dir());
        Self { variables, folder: folder.or_else(beside), ..Self::default() }
    }

    /// The built-in settings only, with files kept in `data`. Tests start from these and go through the usual loading.
    pub fn bare(data: &Path) -> Self {
        Self::default().with("data.dir", data.to_string_lossy())
    }

    /// Sets one setting, such as `server.port`, over every other source. Items of a list are separated by commas.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.overrides.insert(key.to_owned(), value.into());
        self
    }

    /// Leaves missing secrets empty, for commands that only read.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.secrets = MissingSecrets::LeaveEmpty;
        self
    }

    /// Whether some environment reads a file of this name in the folder.
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

    /// The environment. For an unknown name it is development, with a problem, so that further problems are found.
    pub(super) fn environment(&self) -> (Environment, Vec<SettingProblem>) {
        let named = ENVIRONMENT_NAMES.into_iter().find_map(|name| Some((name, self.variable(name)?)));
        match named.map(|(name, value)| (name, value.parse::<Environment>())) {
            None => (Environment::default(), Vec::new()),
            Some((_, Ok(environment))) => (environment, Vec::new()),
            Some((name, Err(error))) => {
                let problem = SettingProblem { key: name.to_owned(), message: error.to_string() };
                (Environment::default(), vec![problem])
            }
        }
    }
}
