//! Arguments, settings, telemetry, the application, an exit code.

use std::process::ExitCode;

use bellhop::cli::{self, Cli};
use clap::Parser as _;

/// Sockets are many small allocations on a few threads, which the system's allocator spreads over the memory.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::run(Cli::parse())
}
