//! Shared parts of the modules' settings: problems, range checks, and redaction of secrets.

use std::fmt::{self, Display};
use std::ops::RangeInclusive;

use secrecy::{ExposeSecret, SecretString};
use serde::Serializer;
use serde::ser::SerializeSeq;

/// The placeholder for a secret in output.
pub const REDACTED: &str = "[redacted]";

/// One problem of one setting. The message never contains the value of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingProblem {
    /// The setting as `section.name`, as in the files.
    pub key: String,
    /// The problem, and a valid value or range.
    pub message: String,
}

impl Display for SettingProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.message)
    }
}

/// The problems of one section, collected so that all are reported at once.
#[derive(Debug)]
pub struct Checks {
    section: &'static str,
    problems: Vec<SettingProblem>,
}

impl Checks {
    /// Checks of `section`, without a problem so far.
    pub fn of(section: &'static str) -> Self {
        Self { section, problems: Vec::new() }
    }

    /// Adds a problem, with both bounds, if the value is outside of `allowed`.
    pub fn range<T: PartialOrd + Display>(&mut self, name: &str, value: T, allowed: RangeInclusive<T>) {
        if !allowed.contains(&value) {
            let (least, most) = (allowed.start(), allowed.end());
            self.refuse(name, format!("{value} is not between {least} and {most}"));
        }
    }

    /// Adds a problem of the setting `name`.
    pub fn refuse(&mut self, name: &str, message: impl Into<String>) {
        self.problems
            .push(SettingProblem { key: format!("{}.{name}", self.section), message: message.into() });
    }

    /// The problems, in the order of the checks.
    pub fn found(self) -> Vec<SettingProblem> {
        self.problems
    }
}

/// Serialises a secret as [`REDACTED`], or as an empty text if it is not set.
pub fn redacted<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(placeholder(secret))
}

/// Serialises every secret of a list as [`REDACTED`].
pub fn redacted_list<S: Serializer>(secrets: &[SecretString], serializer: S) -> Result<S::Ok, S::Error> {
    let mut list = serializer.serialize_seq(Some(secrets.len()))?;
    for secret in secrets {
        list.serialize_element(placeholder(secret))?;
    }
    list.end()
}

fn placeholder(secret: &SecretString) -> &'static str {
    if secret.expose_secret().is_empty() { "" } else { REDACTED }
}
