//! The way of an event from the node that commits it to a socket of another one.

use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde::Serialize;
use tokio::task::JoinSet;

use crate::crowd::{self, Crowd, Seat};
use crate::figures::{Times, median};
use crate::nodes::Nodes;
use crate::publish::publish;
use crate::world::World;

/// Time until the last deliveries of a round have come.
const SETTLE: Duration = Duration::from_secs(2);

/// What is to be shown, and what still has to be.
const WANTED_MS: f64 = 25.0;
const BOUND_MS: f64 = 50.0;

/// Sizes of the load.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Plan {
    /// Sockets in each room, all of them at one node.
    pub(crate) hearers: usize,
    /// Events a second, in all rooms together.
    pub(crate) pace: f64,
    pub(crate) rounds: usize,
    pub(crate) seconds: u64,
}

/// One round.
#[derive(Debug, Serialize)]
struct Round {
    /// From the store's time of the event, taken before its commit.
    from_store: Times,
    /// From the request of the publisher.
    from_sent: Times,
}

/// Results.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    plan: Plan,
    rooms: usize,
    other_node: Vec<Round>,
    same_node: Vec<Round>,
    missed: u64,
    incomplete: usize,
}

pub(crate) async fn run(nodes: Rc<Nodes>, world: Rc<World>, plan: Plan) -> Result<Report> {
    let (began, rooms) = (Instant::now(), world.businesses.len());
    let mut crowd = Crowd::new(&nodes, &world, began);
    let seat = |number| Seat { business: number % rooms, node: 0, rings: false, stays_away: false };
    crowd.open(&(0..rooms * plan.hearers).map(seat).collect::<Vec<_>>()).await?;
    let (mut other_node, mut same_node) = (Vec::new(), Vec::new());
    // The first one warms everything up.
    for number in 0..=plan.rounds {
        let (other, same) = (
            round(&nodes, &world, &crowd, nodes.all.len() - 1, plan).await?,
            round(&nodes, &world, &crowd, 0, plan).await?,
        );
        if number > 0 {
            other_node.push(other);
            same_node.push(same);
        }
    }
    let incomplete = crowd.incomplete().await?;
    let missed = crowd.shared.log.borrow().missed;
    Ok(Report { plan, rooms, other_node, same_node, missed, incomplete })
}

async fn round(
    nodes: &Rc<Nodes>,
    world: &Rc<World>,
    crowd: &Crowd,
    through: usize,
    plan: Plan,
) -> Result<Round> {
    crowd.time_events(true);
    let mut ticks = tokio::time::interval(Duration::from_secs_f64(1.0 / plan.pace));
    let mut under_way = JoinSet::new();
    for number in 0..(plan.pace * plan.seconds as f64) as usize {
        ticks.tick().await;
        let (nodes, world, sent) = (nodes.clone(), world.clone(), crowd.now());
        under_way.spawn_local(async move {
            let business = &world.businesses[number % world.businesses.len()];
            publish(&nodes.all[through].client, business, sent).await
        });
        while let Some(published) = under_way.try_join_next() {
            published??;
        }
    }
    while let Some(published) = under_way.join_next().await {
        published??;
    }
    tokio::time::sleep(SETTLE).await;
    crowd.time_events(false);
    let mut log = crowd.shared.log.borrow_mut();
    let from_sent = Times::of(std::mem::take(&mut log.from_sent));
    Ok(Round { from_store: Times::of(std::mem::take(&mut log.from_store)), from_sent })
}

impl Report {
    fn median_p99(rounds: &[Round]) -> f64 {
        median(rounds.iter().map(|round| round.from_store.p99_ms).collect())
    }

    #[allow(clippy::print_stdout)]
    pub(crate) fn print(&self) {
        let deliveries = self.plan.pace * self.plan.hearers as f64;
        println!("{deliveries:.0} deliveries a second to sockets of one node, {} rooms", self.rooms);
        for (title, rounds) in
            [("committed by another node", &self.other_node), ("by the same", &self.same_node)]
        {
            println!(
                "{title}: median of p99 {:.1} ms from the store's time of the event",
                Self::median_p99(rounds)
            );
            for Round { from_store: store, from_sent: sent } in rounds {
                println!(
                    "  {:>6} deliveries: p50 {:>6.1} p99 {:>6.1} max {:>6.1} ms; from the request p50 {:>6.1} p99 {:>6.1} ms",
                    store.count, store.p50_ms, store.p99_ms, store.max_ms, sent.p50_ms, sent.p99_ms
                );
            }
        }
        println!("events missed {}, clients behind in the end {}", self.missed, self.incomplete);
    }

    /// Fails when an event was missed or the bound is.
    #[allow(clippy::print_stderr)]
    pub(crate) fn judge(&self) -> Result<()> {
        let log = crowd::Log { missed: self.missed, ..crowd::Log::default() };
        crowd::judge(&log, self.incomplete)?;
        let p99 = Self::median_p99(&self.other_node);
        if p99 > WANTED_MS {
            eprintln!("p99 {p99:.1} ms is over the {WANTED_MS} ms that are aimed at");
        }
        ensure!(p99 <= BOUND_MS, "p99 {p99:.1} ms is over {BOUND_MS} ms");
        Ok(())
    }
}
