//! Loads several hubs on one database while they are killed or replaced, and says what clients noticed.

mod crowd;
mod fanout;
mod figures;
mod frame;
mod kill;
mod latency;
mod nodes;
mod orders;
#[path = "../../sockets/src/process.rs"]
mod process;
mod publish;
mod rolling;
mod world;

use std::path::PathBuf;
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail, ensure};
use clap::{Parser, Subcommand};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::LocalSet;

use nodes::Nodes;
use world::World;

/// Seconds between two rings of an order: as few as the hub allows, so that there is much to be late.
const RING_EVERY_S: u64 = 5;

/// Hubs, and what to do with them. They find their database in `DATABASE_URL`, and a bus in `REDIS_URL`.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Options {
    /// The hub's program
    #[arg(long, global = true, default_value = "target/release/bellhop")]
    binary: PathBuf,
    /// A folder for what the hubs share, and for their logs
    #[arg(long, global = true, default_value = "cluster-load")]
    folder: PathBuf,
    /// Hubs
    #[arg(long, global = true, default_value_t = 3)]
    nodes: usize,
    /// Businesses, each with a room
    #[arg(long, global = true, default_value_t = 100)]
    businesses: usize,
    /// Print one JSON object
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    mode: Mode,
}

#[derive(Debug, Subcommand)]
enum Mode {
    /// One node is killed with all of its sockets
    Kill {
        /// Its sockets
        #[arg(long, default_value_t = 3_000)]
        sockets: usize,
        /// Orders a second
        #[arg(long, default_value_t = 20.0)]
        pace: f64,
    },
    /// All nodes are replaced by those of another release, and then by those of the first one again
    Rolling {
        /// The program of the other release
        #[arg(long)]
        other: PathBuf,
        /// Sockets of all nodes
        #[arg(long, default_value_t = 3_000)]
        sockets: usize,
        /// Orders a second
        #[arg(long, default_value_t = 20.0)]
        pace: f64,
    },
    /// Events on their way from one node to the sockets of another
    Latency {
        /// Sockets of each room
        #[arg(long, default_value_t = 10)]
        hearers: usize,
        /// Events a second
        #[arg(long, default_value_t = 100.0)]
        pace: f64,
        /// Times that it is measured
        #[arg(long, default_value_t = 5)]
        rounds: usize,
        /// Seconds of each
        #[arg(long, default_value_t = 10)]
        seconds: u64,
    },
    /// Deliveries as fast as they go with one node, two and so on, and the cost of idle rooms
    Fanout {
        /// Sockets of all nodes
        #[arg(long, default_value_t = 3_000)]
        sockets: usize,
        /// Seconds of each
        #[arg(long, default_value_t = 8)]
        seconds: u64,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let options = Options::parse();
    ensure!((1..=10).contains(&options.nodes), "1 to 10 nodes");
    ensure!((1..=1000).contains(&options.businesses), "1 to 1000 businesses");
    std::fs::create_dir_all(&options.folder)?;
    let mut ended = signal(SignalKind::terminate())?;
    let local = LocalSet::new();
    // Hubs are killed when they are dropped, so also when this program is told to end.
    tokio::select! {
        done = local.run_until(run(options)) => done,
        _ = ended.recv() => bail!("told to end"),
        _ = tokio::signal::ctrl_c() => bail!("told to end"),
    }
}

fn hubs(options: &Options, count: usize) -> Result<Nodes> {
    let ring_every = RING_EVERY_S.to_string();
    let environment = [
        ("BELLHOP__LIMITS__ENABLED", "false"),
        ("BELLHOP__SESSIONS__MAX_PER_USER", "10000"),
        ("BELLHOP__SESSIONS__MAX_PER_IP", "100000"),
        ("BELLHOP__AUTH__ACCESS_TTL_S", "7200"),
        ("BELLHOP__ALERTS__RING_EVERY_S", ring_every.as_str()),
        ("RUST_LOG", "warn"),
    ];
    Nodes::new(count, &options.folder, &environment)
}

async fn run(options: Options) -> Result<()> {
    // Part of every idempotency key: those of an earlier run must not answer this one.
    let run = format!("{:x}", SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis());
    let json = options.json;
    if let Mode::Fanout { sockets, seconds } = options.mode {
        return fan_out(&options, fanout::Plan { sockets, seconds }).await;
    }
    let nodes = Rc::new(hubs(&options, options.nodes)?);
    nodes.start_all(&options.binary).await?;
    let world = Rc::new(World::make(&nodes.all[0].client, options.businesses, 60).await?);
    match options.mode {
        Mode::Kill { sockets, pace } => {
            ensure!(options.nodes > 1 && sockets >= options.businesses, "two nodes, a socket a business");
            let plan = kill::Plan { sockets, pace, ring_every_s: RING_EVERY_S };
            let report = kill::run(nodes.clone(), world, plan, &run).await?;
            finish(&report, json, kill::Report::print);
            report.judge()?;
        }
        Mode::Rolling { other, sockets, pace } => {
            ensure!(options.nodes > 1, "somebody has to be there meanwhile");
            let plan = rolling::Plan { sockets, pace, releases: [options.binary, other] };
            let report = rolling::run(nodes.clone(), world, plan, &run).await?;
            finish(&report, json, rolling::Report::print);
            report.judge()?;
        }
        Mode::Latency { hearers, pace, rounds, seconds } => {
            let plan = latency::Plan { hearers, pace, rounds, seconds };
            let report = latency::run(nodes.clone(), world, plan).await?;
            finish(&report, json, latency::Report::print);
            report.judge()?;
        }
        Mode::Fanout { .. } => unreachable!("it has hubs of its own"),
    }
    nodes.stop_all().await
}

async fn fan_out(options: &Options, plan: fanout::Plan) -> Result<()> {
    let mut rows = Vec::new();
    for count in 1..=options.nodes {
        let nodes = Rc::new(hubs(options, count)?);
        nodes.start_all(&options.binary).await?;
        let world = Rc::new(World::make(&nodes.all[0].client, options.businesses, 0).await?);
        rows.push(fanout::burst(nodes.clone(), world, plan).await?);
        nodes.stop_all().await?;
    }
    let idle = fanout::one_idle(hubs(options, 1)?, &options.binary).await?;
    finish(&(rows, idle), options.json, |(rows, idle)| fanout::print(rows, idle));
    Ok(())
}

#[allow(clippy::print_stdout)]
fn finish<R: Serialize>(report: &R, json: bool, print: impl FnOnce(&R)) {
    if json {
        println!("{}", serde_json::to_string(report).expect("numbers become JSON"));
    } else {
        print(report);
    }
}
