//! The settings of all modules, read from files, the environment and the command line.
//!
//! For each setting the last source wins:
//! 1. `config/default.toml` and `config/<environment>.toml`, which are built in, each overridden by the file of the same name in
//!    `./config` or `--config DIR`;
//! 2. plain names that other tools use too: `PORT`, `DATABASE_URL`, `SECRET_KEY`, `RUST_LOG`, `LOG_LEVEL` and others;
//! 3. `BELLHOP__SECTION__NAME`;
//! 4. the command line.
//!
//! A secret can also come from a file: `BELLHOP__AUTH__SECRET_KEY_FILE`, `DATABASE_URL_FILE` and so on. An empty variable
//! counts as not set. All problems are reported together; an unknown variable that begins with `BELLHOP_` is one.

mod environment;
mod error;
mod layers;
mod load;
mod model;
mod names;
mod secrets;
mod sources;
mod validation;

pub use crate::settings::SettingProblem;
pub use environment::Environment;
pub use error::ConfigError;
pub use model::{Provenance, Settings};
pub(crate) use secrets::FILE as SECRETS_FILE;
pub use sources::{MissingSecrets, Sources};

#[cfg(test)]
mod tests;
