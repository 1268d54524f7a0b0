//! One of three nodes is killed with all of its sockets.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde::Serialize;

use crate::crowd::{self, Crowd, Seat};
use crate::figures::Times;
use crate::nodes::Nodes;
use crate::orders::{Orders, Placed};
use crate::world::World;

/// The node that is killed.
const VICTIM: usize = 0;

/// Load before the kill, and after it: longer than a lease of reachability, and than several rings.
const BEFORE: Duration = Duration::from_secs(15);
const AFTER: Duration = Duration::from_secs(30);

/// Bounds of what is to be shown.
const BACK_WITHIN_MS: f64 = 3_000.0;
const LATE_AT_MOST_MS: f64 = 3_000.0;
/// A lease of 15 s, and the time to tell of its end.
const PRESENCE_WITHIN_MS: f64 = 15_500.0;

/// Sizes of the load.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Plan {
    /// Sockets of the node that is killed.
    pub(crate) sockets: usize,
    /// Orders a second.
    pub(crate) pace: f64,
    /// Seconds between two rings of an order.
    pub(crate) ring_every_s: u64,
}

/// Results.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    plan: Plan,
    /// From the loss of a socket to the first frame of the next.
    back: Times,
    never_back: usize,
    missed: u64,
    repeated: u64,
    resyncs: u64,
    /// Clients that are not at the head of their room in the end.
    incomplete: usize,
    refused: BTreeMap<String, u64>,
    /// Rings of orders after the kill, from when each was due to the first client that heard it.
    rings_late: Times,
    fired: Fired,
    /// From the kill until a business all of whose devices were lost is told so.
    unreachable_told: Times,
    /// Such businesses that nobody was told of, and businesses whose devices came back and that are called unreachable in the end.
    never_told: usize,
    wrongly_unreachable: usize,
    orders: Placed,
}

/// A client of the victim for each place, the first of each business its device; and a witness of each business elsewhere. The
/// devices of every fourth business stay away.
fn seats(businesses: usize, sockets: usize, nodes: usize) -> Vec<Seat> {
    let of_victim = (0..sockets).map(|number| {
        let (business, rings) = (number % businesses, number < businesses);
        Seat { business, node: VICTIM, rings, stays_away: rings && stays_away(business) }
    });
    let witnesses = (0..businesses).map(|business| {
        let node = VICTIM + 1 + business % (nodes - 1);
        Seat { business, node, rings: false, stays_away: false }
    });
    of_victim.chain(witnesses).collect()
}

fn stays_away(business: usize) -> bool {
    business.is_multiple_of(4)
}

/// Deadlines that nodes have fired, and how many of them in time, by their own metric.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Fired {
    all: u64,
    within_2_s: u64,
    within_5_s: u64,
}

impl Fired {
    async fn of_survivors(nodes: &Nodes) -> Result<Self> {
        let mut fired = Self::default();
        for node in (0..nodes.all.len()).filter(|node| *node != VICTIM) {
            let text = nodes.metrics(node).await?;
            fired.all += within(&text, "+Inf");
            fired.within_2_s += within(&text, "2");
            fired.within_5_s += within(&text, "5");
        }
        Ok(fired)
    }

    fn since(self, before: Self) -> Self {
        Self {
            all: self.all - before.all,
            within_2_s: self.within_2_s - before.within_2_s,
            within_5_s: self.within_5_s - before.within_5_s,
        }
    }
}

/// Deadlines of all kinds that were fired within this bucket of the histogram.
fn within(metrics: &str, bucket: &str) -> u64 {
    let label = format!("le=\"{bucket}\"");
    let lines = metrics
        .lines()
        .filter(|line| line.starts_with("deadline_lateness_seconds_bucket{") && line.contains(&label));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>() as u64
}

pub(crate) async fn run(nodes: Rc<Nodes>, world: Rc<World>, plan: Plan, run: &str) -> Result<Report> {
    let (began, businesses) = (Instant::now(), world.businesses.len());
    let mut crowd = Crowd::new(&nodes, &world, began);
    crowd.open(&seats(businesses, plan.sockets, nodes.all.len())).await?;
    let orders = Orders::begin(&nodes, &world, plan.pace, run);
    tokio::time::sleep(BEFORE).await;
    ensure!(crowd.at(VICTIM) == plan.sockets, "only {} of its sockets are open", crowd.at(VICTIM));
    let fired_before = Fired::of_survivors(&nodes).await?;
    let killed = crowd.now();
    nodes.kill(VICTIM).await?;
    tokio::time::sleep(AFTER).await;
    let fired = Fired::of_survivors(&nodes).await?.since(fired_before);
    let orders = orders.end().await?;
    let incomplete = crowd.incomplete().await?;
    let log = crowd.shared.log.borrow();
    let away = (0..businesses).filter(|business| stays_away(*business)).count();
    // Each ring is due a time after the one before.
    let every = Duration::from_secs(plan.ring_every_s);
    let late = log.rings.iter().filter_map(|((order, ring), heard)| {
        let due = *log.rings.get(&(order.clone(), ring.checked_sub(1)?))? + every;
        (due >= killed).then(|| heard.saturating_sub(due))
    });
    // The last word that anybody heard about each business, and the first after the kill that it cannot be reached.
    let mut last = BTreeMap::new();
    let mut told = BTreeMap::new();
    for (business, reachable, at) in &log.presence {
        last.insert(*business, *reachable);
        if !reachable && *at >= killed {
            told.entry(*business).or_insert(*at - killed);
        }
    }
    let lost: Vec<Duration> =
        told.iter().filter(|(business, _)| stays_away(**business)).map(|(_, after)| *after).collect();
    let wrongly = last.iter().filter(|(business, reachable)| !**reachable && !stays_away(**business));
    Ok(Report {
        plan,
        back: Times::of(log.away.iter().copied()),
        never_back: plan.sockets - away - log.away.len().min(plan.sockets - away),
        missed: log.missed,
        repeated: log.repeated,
        resyncs: log.resyncs,
        incomplete,
        refused: log.refused.clone(),
        rings_late: Times::of(late),
        fired,
        never_told: away - lost.len(),
        unreachable_told: Times::of(lost),
        wrongly_unreachable: wrongly.count(),
        orders,
    })
}

impl Report {
    #[allow(clippy::print_stdout)]
    pub(crate) fn print(&self) {
        let Self { plan, back, rings_late: late, unreachable_told: told, .. } = self;
        println!("kill -9 of a node with {} sockets", plan.sockets);
        println!(
            "back at another node: p50 {:.0} ms, p99 {:.0} ms, longest {:.0} ms; {} never; refused {:?}",
            back.p50_ms, back.p99_ms, back.max_ms, self.never_back, self.refused
        );
        println!(
            "events missed {}, repeated on the wire {}, resyncs {}, clients behind in the end {}",
            self.missed, self.repeated, self.resyncs, self.incomplete
        );
        println!(
            "rings of orders after the kill: {} heard, late p50 {:.0} ms, p99 {:.0} ms, longest {:.0} ms",
            late.count, late.p50_ms, late.p99_ms, late.max_ms
        );
        println!(
            "deadlines that the other nodes fired: {}, {} more than 2 s late, {} more than 5 s",
            self.fired.all,
            self.fired.all - self.fired.within_2_s,
            self.fired.all - self.fired.within_5_s
        );
        println!(
            "businesses that lost their devices: {} told after p50 {:.1} s, longest {:.1} s; {} not told; {} others wrongly called unreachable",
            told.count,
            told.p50_ms / 1e3,
            told.max_ms / 1e3,
            self.never_told,
            self.wrongly_unreachable
        );
        self.orders.print();
    }

    /// Fails when a bound is missed.
    pub(crate) fn judge(&self) -> Result<()> {
        self.orders.judge()?;
        let log = crowd::Log { missed: self.missed, ..crowd::Log::default() };
        crowd::judge(&log, self.incomplete)?;
        ensure!(self.never_back == 0 && self.back.p99_ms <= BACK_WITHIN_MS, "clients were away for too long");
        ensure!(self.rings_late.max_ms <= LATE_AT_MOST_MS, "a deadline was more than 3 s late");
        ensure!(
            self.never_told + self.wrongly_unreachable == 0
                && self.unreachable_told.max_ms <= PRESENCE_WITHIN_MS,
            "presence was not right within 15 s"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_of_every_kind_are_counted_by_their_bucket() {
        let text = "deadline_lateness_seconds_bucket{kind=\"accept\",le=\"2\"} 3\n\
                    deadline_lateness_seconds_bucket{kind=\"ring\",le=\"2\"} 4\n\
                    deadline_lateness_seconds_bucket{kind=\"ring\",le=\"+Inf\"} 5\n\
                    deadline_lateness_seconds_count{kind=\"ring\"} 5\n";
        assert_eq!((within(text, "2"), within(text, "+Inf")), (7, 5));
    }

    #[test]
    fn the_victim_holds_its_sockets_and_every_business_has_a_witness_elsewhere() {
        let seats = seats(10, 30, 3);
        assert_eq!(seats.iter().filter(|seat| seat.node == VICTIM).count(), 30);
        let witnessed = |business| seats.iter().any(|seat| seat.business == business && seat.node != VICTIM);
        assert!((0..10).all(witnessed));
        assert_eq!(seats.iter().filter(|seat| seat.rings).count(), 10);
    }
}
