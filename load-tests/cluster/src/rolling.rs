//! All nodes are replaced, one after the other, by another release, and then by the first one again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde::Serialize;

use crate::crowd::{self, Crowd, Seat};
use crate::figures::{Times, most_in_a_second};
use crate::nodes::Nodes;
use crate::orders::{Orders, Placed};
use crate::world::World;

/// Time with load before the first node, and after each.
const BETWEEN: Duration = Duration::from_secs(5);

/// A hub spreads its clients over a second for each thousand, within these bounds.
const LEAST_SPREAD_S: f64 = 5.0;
const MOST_SPREAD_S: f64 = 20.0;

/// Times its share of the clients that come back in a second, which another node may get.
const MOST_OF_A_SHARE: f64 = 1.5;

/// Sizes of the load.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Plan {
    /// Sockets of all nodes.
    pub(crate) sockets: usize,
    /// Orders a second.
    pub(crate) pace: f64,
    /// The release that runs first, and the one it is replaced by and then replaces.
    pub(crate) releases: [PathBuf; 2],
}

/// One node's replacement.
#[derive(Debug, Serialize)]
struct Replacement {
    node: usize,
    to: PathBuf,
    sockets: usize,
    exit_s: f64,
    start_s: f64,
    /// The most sockets that another node took in a second, and what it may take.
    taken_in_a_second: usize,
    may_take: f64,
}

/// Results.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    plan: Plan,
    replacements: Vec<Replacement>,
    /// From the end of a socket to the first frame of the next.
    away: Times,
    missed: u64,
    repeated: u64,
    resyncs: u64,
    incomplete: usize,
    refused: BTreeMap<String, u64>,
    orders: Placed,
}

pub(crate) async fn run(nodes: Rc<Nodes>, world: Rc<World>, plan: Plan, run: &str) -> Result<Report> {
    let (began, businesses) = (Instant::now(), world.businesses.len());
    let mut crowd = Crowd::new(&nodes, &world, began);
    let seat = |number: usize| {
        let business = number / nodes.all.len() % businesses;
        Seat { business, node: number % nodes.all.len(), rings: number < businesses, stays_away: false }
    };
    crowd.open(&(0..plan.sockets).map(seat).collect::<Vec<_>>()).await?;
    let orders = Orders::begin(&nodes, &world, plan.pace, run);
    let mut replacements = Vec::new();
    for release in [&plan.releases[1], &plan.releases[0]] {
        for node in 0..nodes.all.len() {
            tokio::time::sleep(BETWEEN).await;
            replacements.push(replace(&nodes, &crowd, node, release).await?);
        }
    }
    tokio::time::sleep(BETWEEN).await;
    let orders = orders.end().await?;
    let incomplete = crowd.incomplete().await?;
    let log = crowd.shared.log.borrow();
    Ok(Report {
        plan,
        replacements,
        away: Times::of(log.away.iter().copied()),
        missed: log.missed,
        repeated: log.repeated,
        resyncs: log.resyncs,
        incomplete,
        refused: log.refused.clone(),
        orders,
    })
}

async fn replace(nodes: &Nodes, crowd: &Crowd, node: usize, release: &Path) -> Result<Replacement> {
    let (sockets, from) = (crowd.at(node), crowd.now());
    let exit = nodes.stop(node).await?;
    let started = nodes.start(node, release).await?;
    // Clients that were told last are on their way.
    tokio::time::sleep(BETWEEN).await;
    let log = crowd.shared.log.borrow();
    let taken = |by: usize| {
        let moments = log.opened.iter().filter(|(at, when)| *at == by && *when >= from);
        most_in_a_second(moments.map(|(_, when)| *when).collect())
    };
    let spread = (sockets as f64 / 1e3).clamp(LEAST_SPREAD_S, MOST_SPREAD_S);
    Ok(Replacement {
        node,
        to: release.to_path_buf(),
        sockets,
        exit_s: exit.as_secs_f64(),
        start_s: started.as_secs_f64(),
        taken_in_a_second: (0..nodes.all.len()).filter(|by| *by != node).map(taken).max().unwrap_or_default(),
        may_take: MOST_OF_A_SHARE * sockets as f64 / spread,
    })
}

impl Report {
    #[allow(clippy::print_stdout)]
    pub(crate) fn print(&self) {
        println!("rolling update and back, {} sockets", self.plan.sockets);
        for one in &self.replacements {
            println!(
                "node {} with {:>5} sockets: exit {:>5.1} s, start {:.1} s, another took {:>4} in a second (may take {:.0}) -> {}",
                one.node,
                one.sockets,
                one.exit_s,
                one.start_s,
                one.taken_in_a_second,
                one.may_take,
                one.to.display()
            );
        }
        println!(
            "away between two sockets: p50 {:.0} ms, p99 {:.0} ms, longest {:.0} ms; refused {:?}",
            self.away.p50_ms, self.away.p99_ms, self.away.max_ms, self.refused
        );
        println!(
            "events missed {}, repeated on the wire {}, resyncs {}, clients behind in the end {}",
            self.missed, self.repeated, self.resyncs, self.incomplete
        );
        self.orders.print();
    }

    /// Fails when a bound is missed.
    pub(crate) fn judge(&self) -> Result<()> {
        self.orders.judge()?;
        self.orders.judge_answers()?;
        let log = crowd::Log { missed: self.missed, ..crowd::Log::default() };
        crowd::judge(&log, self.incomplete)?;
        // A single socket of a second more is no flood.
        let floods = |one: &&Replacement| one.taken_in_a_second as f64 > one.may_take.max(1.0);
        ensure!(
            !self.replacements.iter().any(|one| floods(&one)),
            "a node took too many sockets in a second"
        );
        Ok(())
    }
}
