//! The environment the hub runs in.

use std::fmt::{self, Display};
use std::str::FromStr;

use thiserror::Error;

/// The environment decides which second settings file is read and how strict the checks are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Environment {
    /// A developer's machine: missing secrets are generated on the first start.
    #[default]
    Development,
    /// For testing a release: as strict about secrets as production, but `/metrics` is open and limits can be reset.
    Staging,
    /// For real orders: secrets must be set and strong.
    Production,
}

/// A text that is not the name of an environment.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("'{0}' is not development, staging or production")]
pub struct EnvironmentError(String);

impl Environment {
    /// The name, which is also the name of the settings file.
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
