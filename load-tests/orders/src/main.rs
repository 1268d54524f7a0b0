//! Places and reads orders as fast as a hub takes them, or faster, and says what became of each request.

mod closed;
mod devices;
mod drivers;
mod flood;
mod hub;
mod neighbours;
mod open;
mod overload;
mod paced;
#[path = "../../sockets/src/process.rs"]
mod process;
mod room_frame;
mod tally;

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use clap::{Parser, Subcommand};
use serde::Serialize;
use tokio::task::LocalSet;

use devices::Devices;
use hub::Hub;
use open::Second;
use process::Server;
use tally::Figures;

/// Which hub, with which data, and what to do with it.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Options {
    /// Address of the hub, host:port on loopback
    #[arg(long, global = true, default_value = "127.0.0.1:8000")]
    address: SocketAddr,
    /// Processes of the hub, whose memory and CPU are read, separated by commas
    #[arg(long, global = true, value_delimiter = ',')]
    pids: Vec<u32>,
    /// Businesses that orders go to, each with a menu of 20 items
    #[arg(long, global = true, default_value_t = 100)]
    businesses: usize,
    /// Customers who place the orders
    #[arg(long, global = true, default_value_t = 20)]
    customers: usize,
    /// Items of an order
    #[arg(long, global = true, default_value_t = 2)]
    items: usize,
    /// Print one JSON object
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    mode: Mode,
}

#[derive(Debug, Subcommand)]
enum Mode {
    /// Clients place one order after the other
    Place {
        /// Clients at once
        #[arg(long, default_value_t = 32)]
        clients: usize,
        /// For how long
        #[arg(long, default_value_t = 20)]
        seconds: u64,
        /// One device for each business acknowledges and accepts every order
        #[arg(long)]
        answered: bool,
    },
    /// Clients read one order after the other
    Read {
        /// Clients at once
        #[arg(long, default_value_t = 32)]
        clients: usize,
        /// For how long
        #[arg(long, default_value_t = 10)]
        seconds: u64,
        /// Different orders that are read
        #[arg(long, default_value_t = 10_000)]
        different: usize,
    },
    /// Orders come faster than the hub can take them, then as usual
    Overload {
        /// Orders a second that the hub can take, as `place` found it
        #[arg(long)]
        capacity: f64,
        /// Times the capacity
        #[arg(long, default_value_t = 3.0)]
        factor: f64,
        /// Share of the capacity that comes before and after
        #[arg(long, default_value_t = 0.4)]
        normal: f64,
        /// For how long
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        /// Seconds before, and again after
        #[arg(long, default_value_t = 20)]
        around: u64,
        /// Most orders under way at once; one that is due beyond it counts as unsent
        #[arg(long, default_value_t = 4096)]
        bound: usize,
    },
    /// Orders at a moderate pace, without and with a flood of sign-ins beside
    LoginFlood {
        /// Orders a second
        #[arg(long, default_value_t = 100.0)]
        pace: f64,
        /// Clients that sign in again and again
        #[arg(long, default_value_t = 128)]
        logins: usize,
        /// Seconds of each phase
        #[arg(long, default_value_t = 15)]
        seconds: u64,
        /// Times that both phases alternate
        #[arg(long, default_value_t = 3)]
        rounds: usize,
        /// Most orders under way at once
        #[arg(long, default_value_t = 1024)]
        bound: usize,
    },
    /// Orders beside drivers who are on, without and with a position of each every second
    Drivers {
        /// Drivers with an open socket
        #[arg(long, default_value_t = 1_000)]
        drivers: usize,
        /// Orders a second
        #[arg(long, default_value_t = 20.0)]
        pace: f64,
        /// Seconds of each phase
        #[arg(long, default_value_t = 20)]
        seconds: u64,
        /// Times that both phases alternate
        #[arg(long, default_value_t = 2)]
        rounds: u32,
    },
    /// Shops on several hubs with a normal evening, without and with a flood of one more shop beside
    Neighbours {
        /// Hubs with limits, separated by commas; `--address` is one without, on the same database
        #[arg(long, value_delimiter = ',', required = true)]
        hubs: Vec<SocketAddr>,
        /// Orders a second at all the other shops
        #[arg(long, default_value_t = 25.0)]
        orders: f64,
        /// Reads a second of their customers
        #[arg(long, default_value_t = 100.0)]
        reads: f64,
        /// Orders a second at the flooded shop, and reads a second of each of its three devices
        #[arg(long, default_value_t = 50.0)]
        flood: f64,
        /// People who order at the flooded shop
        #[arg(long, default_value_t = 150)]
        flooders: usize,
        /// Seconds of each phase
        #[arg(long, default_value_t = 10)]
        seconds: u64,
        /// Times that both phases alternate
        #[arg(long, default_value_t = 2)]
        rounds: u32,
    },
}

/// A closed loop and what it cost.
#[derive(Debug, Serialize)]
struct Loop {
    clients: usize,
    #[serde(flatten)]
    figures: Figures,
    /// Different orders, where they are read.
    #[serde(skip_serializing_if = "Option::is_none")]
    different: Option<usize>,
    /// Orders that devices accepted while others were placed, and answers that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    answers: Option<(u64, u64)>,
    /// CPU of the hub for each answer, microseconds.
    cpu_us: f64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let options = Options::parse();
    ensure!(options.address.ip().is_loopback(), "load goes to loopback only");
    ensure!((1..=1000).contains(&options.businesses), "1 to 1000 businesses");
    ensure!((1..=1000).contains(&options.customers), "1 to 1000 customers");
    ensure!((1..=20).contains(&options.items), "1 to 20 items");
    LocalSet::new().run_until(run(options)).await
}

async fn run(options: Options) -> Result<()> {
    // Part of every idempotency key: those of an earlier run must not answer this one.
    let run = format!("{:x}", SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis());
    if let Mode::Neighbours { hubs, orders, reads, flood, flooders, seconds, rounds } = options.mode {
        ensure!(hubs.iter().all(|hub| hub.ip().is_loopback()), "load goes to loopback only");
        ensure!((1..=10_000).contains(&flooders) && rounds > 0, "1 to 10000 people, one round at least");
        let (shops, customers) = (options.businesses, options.customers);
        let plan =
            neighbours::Plan { hubs, shops, customers, flooders, orders, reads, flood, seconds, rounds };
        let report = neighbours::run(options.address, plan, &run).await?;
        finish(&report, options.json, neighbours::Report::print);
        return report.judge();
    }
    load(options, &run).await
}

/// Loads one hub.
async fn load(options: Options, run: &str) -> Result<()> {
    let hub = Hub::prepare(options.address, options.customers, options.businesses, options.items);
    let hub = Rc::new(hub.await.context("the hub could not be prepared")?);
    let server = Server::new(options.pids);
    let json = options.json;
    match options.mode {
        Mode::Place { clients, seconds, answered } => {
            let devices = if answered { Some(hub.devices().await?) } else { None };
            let before = server.read()?;
            let figures = closed::place(&hub, clients, Duration::from_secs(seconds), run).await?;
            let mut report = Loop::new(clients, figures, None, &before, &server)?;
            report.answers = devices.as_ref().map(Devices::counts);
            finish(&report, json, |report| report.print("orders placed"));
        }
        Mode::Read { clients, seconds, different } => {
            let orders = closed::orders(&hub, different).await?;
            let before = server.read()?;
            let figures = closed::read(&hub, &orders, clients, Duration::from_secs(seconds)).await?;
            finish(&Loop::new(clients, figures, Some(orders.len()), &before, &server)?, json, |report| {
                report.print("orders read");
            });
        }
        Mode::Overload { capacity, factor, normal, seconds, around, bound } => {
            ensure!(capacity >= 1.0 && capacity * factor <= 100_000.0, "1 to 100000 orders a second");
            ensure!((1..=20_000).contains(&bound), "1 to 20000 orders at once");
            let plan = overload::Plan { capacity, factor, normal, seconds, around, bound };
            let report = overload::run(&hub, plan, &server, run, |s| watch(s, json)).await?;
            finish(&report, json, overload::Report::print);
        }
        Mode::LoginFlood { pace, logins, seconds, rounds, bound } => {
            ensure!((1..=4096).contains(&logins), "1 to 4096 sign-ins at once");
            let plan = flood::Plan { pace, logins, seconds, rounds, bound };
            let report = flood::run(&hub, plan, &server, run).await?;
            finish(&report, json, flood::Report::print);
        }
        Mode::Drivers { drivers, pace, seconds, rounds } => {
            ensure!((1..=10_000).contains(&drivers) && rounds > 0, "1 to 10000 drivers, one round at least");
            let plan = drivers::Plan { drivers, pace, seconds, rounds };
            let report = drivers::run(&hub, plan, &server, run).await?;
            finish(&report, json, drivers::Report::print);
            report.judge()?;
        }
        Mode::Neighbours { .. } => unreachable!("it loads several hubs"),
    }
    Ok(())
}

impl Loop {
    fn new(
        clients: usize,
        figures: Figures,
        different: Option<usize>,
        before: &process::Usage,
        server: &Server,
    ) -> Result<Self> {
        let cpu = server.read()?.cpu - before.cpu;
        let cpu_us = cpu.as_secs_f64() * 1e6 / figures.wanted.max(1) as f64;
        Ok(Self { clients, figures, different, answers: None, cpu_us })
    }

    #[allow(clippy::print_stdout)]
    fn print(&self, title: &str) {
        self.figures.print(title);
        if let Some(different) = self.different {
            println!("different orders {different}");
        }
        if let Some((accepted, failed)) = self.answers {
            println!("accepted by devices {accepted}, failed {failed}");
        }
        println!("CPU of the hub {:.0} µs for each", self.cpu_us);
    }
}

/// Seconds go to people as they pass; machines get them all at the end.
#[allow(clippy::print_stdout)]
fn watch(second: &Second, json: bool) {
    if !json {
        println!(
            "sent {:>6}  placed {:>6}  refused {:>6}  others {:>4}  unsent {:>5}  under way {:>5}  p99 {:>7.1} ms  {:>4} MiB",
            second.sent,
            second.placed,
            second.refused,
            second.others,
            second.unsent,
            second.under_way,
            second.p99_ms,
            second.rss_kib / 1024
        );
    }
}

#[allow(clippy::print_stdout)]
fn finish<R: Serialize>(report: &R, json: bool, print: impl FnOnce(&R)) {
    if json {
        println!("{}", serde_json::to_string(report).expect("numbers become JSON"));
    } else {
        print(report);
    }
}
