//! The reasons why a demo does not reach its end.

use std::io;

use bellhop_client::CallError;

use crate::app::{RunError, StartError};
use crate::config::ConfigError;

/// The reason why the demo did not reach its end.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The folder for the data could not be made.
    #[error("no folder for the data: {0}")]
    DataDir(io::Error),
    /// Several nodes have to share a database, and none is named.
    #[error(
        "several nodes share a Postgres: name it by --database or DATABASE_URL; scripts/cluster --servers-only starts one"
    )]
    NoSharedDatabase,
    /// The hub's settings were refused.
    #[error(transparent)]
    Settings(#[from] ConfigError),
    /// The hub did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The hub ended before the demo did, or badly.
    #[error("the hub ended: {0}")]
    Hub(#[from] RunError),
    /// The hub ended without a fault before it was told to.
    #[error("the hub ended early")]
    HubGone,
    /// It was told to end before it had begun.
    #[error("the demo was stopped before it began")]
    Interrupted,
    /// The system gave no thread, signal handler or HTTP client.
    #[error("the simulation could not be started: {0}")]
    Simulation(String),
    /// The scenario could not be built, or the lists at the end not be read.
    #[error(transparent)]
    Request(#[from] CallError),
}
