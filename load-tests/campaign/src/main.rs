//! Runs several hubs, Postgres and Redis through kills, stops and faults of networks, and proves from what every client saw and what the store
//! and the payment provider hold that nothing was lost, doubled or out of order.

mod campaign;
mod cluster;
mod history;
mod hub_process;
mod listener;
mod nodes;
mod plan;
mod provider;
mod proxy;
mod report;
mod riders;
mod stored;
mod town;
mod trade;
mod wire;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use clap::Parser;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tokio::task::LocalSet;

use campaign::{Wanted, say};
use cluster::ServerUrl;

/// Violations that are printed with what shows them.
const SHOWN: usize = 20;

/// Which hub on which servers, for how long, with which faults.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Options {
    /// The program of the hub
    #[arg(long)]
    hub: PathBuf,
    /// A Postgres without TLS where databases may be created
    #[arg(long, env = "BELLHOP_TEST_POSTGRES", hide_env_values = true)]
    postgres: String,
    /// A Redis without TLS that is nobody else's, since it is flushed; without it the hubs run without one
    #[arg(long, env = "BELLHOP_TEST_REDIS", hide_env_values = true)]
    redis: Option<String>,
    /// How many hubs
    #[arg(long, default_value_t = 3)]
    nodes: usize,
    /// How long things go wrong
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// The faults follow from it
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Orders a second, on average
    #[arg(long, default_value_t = 8.0)]
    orders_per_second: f64,
    /// Keeps data and logs of the hubs there, and the history of a run that broke a promise
    #[arg(long)]
    folder: PathBuf,
    /// Prints no line for each fault
    #[arg(long)]
    quiet: bool,
}

fn main() -> Result<ExitCode> {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, play(options))
}

#[expect(clippy::print_stdout, reason = "the report is what this is for")]
async fn play(options: Options) -> Result<ExitCode> {
    std::fs::create_dir_all(&options.folder)?;
    let postgres = ServerUrl::parse(&options.postgres).await?;
    let redis = match options.redis.as_deref().filter(|url| !url.is_empty()) {
        Some(url) => Some(ServerUrl::parse(url).await?),
        None => None,
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    let database = format!("bellhop_campaign_{}_{now}", options.seed);
    create(&postgres, &database).await?;
    let wanted = Wanted {
        program: options.hub.canonicalize().context("the program of the hub")?,
        postgres,
        database,
        redis,
        folder: options.folder.canonicalize().context("the folder")?,
        nodes: options.nodes,
        minutes: options.minutes,
        seed: options.seed,
        pace: options.orders_per_second,
        quiet: options.quiet,
    };
    let report = tokio::select! {
        report = campaign::run(&wanted) => report,
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
    };
    // Kept where it may have to be looked at.
    let violations = report.as_ref().map(report::Report::violations);
    if violations.as_ref().is_ok_and(Vec::is_empty) {
        drop_database(&wanted).await?;
    } else {
        say(&format!(
            "the database {} and the logs in {} are kept",
            wanted.database,
            wanted.folder.display()
        ));
    }
    let report = report?;
    println!("{report}");
    let violations = report.violations();
    for violation in violations.iter().take(SHOWN) {
        println!("{}", report.evidence(violation));
    }
    println!("violations        {}", violations.len());
    if violations.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let file = options.folder.join("history.json");
    std::fs::write(&file, serde_json::to_vec(&report.history)?)?;
    println!("the history is in {}; seed {}", file.display(), options.seed);
    Ok(ExitCode::FAILURE)
}

async fn create(postgres: &ServerUrl, database: &str) -> Result<()> {
    let mut admin = PgConnection::connect(&postgres.whole()).await.context("the Postgres of the campaign")?;
    admin.execute(AssertSqlSafe(format!("CREATE DATABASE {database}"))).await?;
    Ok(())
}

async fn drop_database(wanted: &Wanted) -> Result<()> {
    let mut admin = PgConnection::connect(&wanted.postgres.whole()).await?;
    admin.execute(AssertSqlSafe(format!("DROP DATABASE {} WITH (FORCE)", wanted.database))).await?;
    Ok(())
}
