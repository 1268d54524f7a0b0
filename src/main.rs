//! The binary: it parses the arguments, runs the command and returns its exit code.

use std::process::ExitCode;

use bellhop::cli::{self, Cli};
use clap::Parser as _;

/// jemalloc keeps memory level under a constant load, that of SQLite included: see docs/decisions/0016.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    cli::run(Cli::parse())
}
