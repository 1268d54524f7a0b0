//! Where the hub runs.

use std::fmt::{self, Display};
use std::str::FromStr;

use thiserror::Error;

/// Picks the second settings file and how strict the checks are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Environment {
    /// One's own machine: secrets are made on the first start.
    #[default]
    Development,
    /// As strict about secrets as production, for trying a release; `/metrics` answers everybody, and limits can be reset.
    Staging,
    /// Secrets must be given and strong.
    Production,
}

/// The text names no environment.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("'{0}' is not development, staging or production")]
pub struct EnvironmentError(String);

impl Environment {
    /// The name, as in the name of the settings file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Staging => "staging",
            Self::Production => "production",
        }
    }
}

impl Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Environment {
    type Err = EnvironmentError;

    fn from_str(text: &str) -> Result<Self, EnvironmentError> {
        let all = [Self::Development, Self::Staging, Self::Production];
        let named = all.into_iter().find(|environment| text.eq_ignore_ascii_case(environment.name()));
        named.ok_or_else(|| EnvironmentError(text.to_owned()))
    }
}
