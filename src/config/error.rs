//! The refusal of settings, with every problem.

use std::fmt::{self, Display};

use thiserror::Error;

use super::SettingProblem;

/// Settings that cannot be used. The process ends with [`ConfigError::EXIT_CODE`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct ConfigError {
    /// Every problem; never empty.
    pub problems: Vec<SettingProblem>,
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
