//! Simulated customers and merchants against a real hub.

/// What the demo is told.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Folder for the data
    #[arg(skip)]
    pub data: Option<std::path::PathBuf>,
}

/// What became of the orders.
#[derive(Debug)]
pub struct Verdict;

impl Verdict {
    /// Whether none was lost or doubled.
    pub fn is_good(&self) -> bool {
        false
    }
}

/// Runs the demo.
pub async fn run(_: Options) -> Result<Verdict, std::io::Error> {
    Ok(Verdict)
}
