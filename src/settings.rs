//! What the settings of every module share: how a problem is named, how a range is checked, how a secret is shown.

use std::fmt::{self, Display};
use std::ops::RangeInclusive;

use secrecy::{ExposeSecret, SecretString};
use serde::Serializer;
use serde::ser::SerializeSeq;

/// Stands where a secret would be shown.
pub const REDACTED: &str = "[redacted]";

/// One thing that is wrong with one setting. The message never holds the value of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The setting as `section.name`, the way the files spell it.
    pub key: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.message)
    }
}

/// Collects the problems of one section, so that all are told at once.
#[derive(Debug)]
pub struct Checks {
    section: &'static str,
    problems: Vec<Problem>,
}

impl Checks {
    /// Starts with nothing found in `section`.
    pub fn of(section: &'static str) -> Self {
        Self { section, problems: Vec::new() }
    }

    /// Refuses a value outside of `allowed`, naming both bounds.
    pub fn range<T: PartialOrd + Display>(&mut self, name: &str, value: T, allowed: RangeInclusive<T>) {
        if !allowed.contains(&value) {
            let (least, most) = (allowed.start(), allowed.end());
            self.refuse(name, format!("{value} is not between {least} and {most}"));
        }
    }

    /// Records that `name` is wrong.
    pub fn refuse(&mut self, name: &str, message: impl Into<String>) {
        self.problems.push(Problem { key: format!("{}.{name}", self.section), message: message.into() });
    }

    /// What was found, in the order of the checks.
    pub fn found(self) -> Vec<Problem> {
        self.problems
    }
}

/// Serialises a secret as a placeholder, and one that is not set as an empty text.
pub fn redacted<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(placeholder(secret))
}

/// Serialises every secret of a list as a placeholder.
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
