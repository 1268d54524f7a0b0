//! Arguments, settings, telemetry, the application, an exit code.

use std::process::ExitCode;

use bellhop::cli::{self, Cli};
use clap::Parser as _;

/// Memory that levels off under a load that goes on, also that of SQLite: see docs/decisions/0016.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    cli::run(Cli::parse())
}
