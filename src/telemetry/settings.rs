//! Settings of logging.

use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

use crate::settings::{Checks, SettingProblem};

/// The settings of telemetry.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Section `[log]` of the settings files.
    pub log: LogSettings,
}

/// Section `[log]`: the level and the format of the log.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSettings {
    /// A level, or directives in `RUST_LOG` syntax such as `info,bellhop=debug`.
    pub level: String,
    /// Columns for people, or JSON for programs.
    pub format: LogFormat,
}

/// The shape of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Several columns, coloured on a terminal.
    Pretty,
    /// One JSON object a line.
    Json,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Json }
    }
}

impl Settings {
    /// Every problem of these settings.
    pub fn problems(&self) -> Vec<SettingProblem> {
        let mut checks = Checks::of("log");
        if let Err(error) = EnvFilter::try_new(&self.log.level) {
            checks.refuse("level", format!("not a level or filter: {error}"));
        }
        checks.found()
    }
}
