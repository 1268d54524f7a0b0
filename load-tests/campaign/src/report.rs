//! What a campaign came to, in words and figures.

use std::collections::BTreeMap;
use std::fmt;

use crate::cluster::Stopped;
use crate::history::{History, Seen, Violation};
use crate::plan::{Fault, Planned};

/// Entries of a history that are printed around a violation.
const QUOTED: usize = 12;

/// Everything of a campaign that is worth a line.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) seed: u64,
    pub(crate) minutes: f64,
    pub(crate) redis: bool,
    pub(crate) plan: Vec<Planned>,
    pub(crate) history: History,
    pub(crate) connections: u64,
    pub(crate) repeated_events: u64,
    pub(crate) resyncs: u64,
    pub(crate) repeated_requests: u64,
    pub(crate) strange: BTreeMap<String, u64>,
    pub(crate) late_ms: Vec<u32>,
    pub(crate) lost: [u64; 2],
    pub(crate) stops: Vec<Stopped>,
    pub(crate) ended: Vec<String>,
    /// Lines in the logs of the hubs.
    pub(crate) panics: Vec<String>,
    pub(crate) settled_s: f64,
    /// Businesses that are paused at the end.
    pub(crate) paused: i64,
}

impl Report {
    /// The broken promises.
    pub(crate) fn violations(&self) -> Vec<Violation> {
        self.history.violations()
    }

    /// The part of the history that shows a violation.
    pub(crate) fn evidence(&self, violation: &Violation) -> String {
        let mut lines = vec![format!("violation: {violation}")];
        if let Some(room) = violation.room() {
            lines.extend(self.room(room, violation));
        }
        for name in violation.names() {
            lines.extend(self.about(name));
        }
        lines.join("\n    ")
    }

    fn room(&self, room: &str, violation: &Violation) -> Vec<String> {
        let mut lines = Vec::new();
        let position = match violation {
            Violation::Skipped { got, .. } | Violation::OtherHistory { got, .. } => Some(*got),
            Violation::ResumedElsewhere { at, .. }
            | Violation::PositionWithTwoEvents { at, .. }
            | Violation::NeedlessResync { at, .. }
            | Violation::NotStored { at, .. } => Some(*at),
            _ => None,
        };
        let near = |at: &bellhop_client::Cursor| {
            position.is_none_or(|position| at.seq + 6 >= position.seq && at.seq <= position.seq + 6)
        };
        for stored in self.history.rooms.iter().filter(|stored| stored.room == room) {
            lines.push(format!("store: {room} head {}", stored.head));
            let close = stored.events.iter().rev().filter(|event| near(&event.at)).take(QUOTED);
            lines.extend(close.map(|event| format!("store: {} {} {}", event.at, event.id, event.kind)));
        }
        let client = match violation {
            Violation::NoStart { client, .. }
            | Violation::Skipped { client, .. }
            | Violation::OtherHistory { client, .. }
            | Violation::ResumedElsewhere { client, .. }
            | Violation::PositionWithTwoEvents { client, .. }
            | Violation::NotStored { client, .. }
            | Violation::NeedlessResync { client, .. }
            | Violation::NotToTheEnd { client, .. } => Some(client),
            _ => None,
        };
        let logs = self.history.clients.iter().filter(|log| log.room == room && Some(&log.client) == client);
        for log in logs {
            let is_near = |seen: &&Seen| match seen {
                Seen::Follows(at) | Seen::Resync(at) | Seen::Event { at, .. } => near(at),
            };
            let close: Vec<&Seen> = log.seen.iter().rev().filter(is_near).take(QUOTED).collect();
            lines.extend(close.iter().rev().map(|seen| format!("{}: {seen:?}", log.client)));
        }
        lines
    }

    /// The rows and answers that name an id or a key.
    fn about(&self, name: &str) -> Vec<String> {
        let History { wishes, confirmed, orders, payments, held, offers, deliveries, drivers, taken, .. } =
            &self.history;
        let mut lines: Vec<String> = Vec::new();
        let mut add = |text: String| {
            if text.contains(name) {
                lines.push(text);
            }
        };
        wishes.iter().for_each(|row| add(format!("{row:?}")));
        orders.iter().for_each(|row| add(format!("{row:?}")));
        confirmed.iter().for_each(|row| add(format!("{row:?}")));
        payments.iter().for_each(|row| add(format!("{row:?}")));
        held.iter().for_each(|row| add(format!("provider: {row:?}")));
        deliveries.iter().for_each(|row| add(format!("{row:?}")));
        offers.iter().for_each(|row| add(format!("{row:?}")));
        taken.iter().for_each(|row| add(format!("{row:?}")));
        drivers.iter().for_each(|row| add(format!("{row:?}")));
        lines.truncate(4 * QUOTED);
        lines
    }

    fn late(&self, percent: usize) -> u32 {
        let mut sorted = self.late_ms.clone();
        sorted.sort_unstable();
        let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
        sorted.get(at).copied().unwrap_or_default()
    }
}

/// The kind of a fault, without the hub that it happens to.
fn kind(fault: &Fault) -> String {
    match fault {
        Fault::Postgres(_, fault) => format!("Postgres: {}", bare(&format!("{fault:?}"))),
        Fault::Redis(_, fault) => format!("Redis: {}", bare(&format!("{fault:?}"))),
        Fault::Kill(_) => "killed".to_owned(),
        Fault::Stop(_) => "stopped".to_owned(),
        Fault::Freeze(_) => "frozen".to_owned(),
        Fault::RedisFlushed | Fault::RedisAway => fault.to_string(),
    }
}

fn bare(text: &str) -> &str {
    text.split('(').next().unwrap_or(text)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let History { clients, rooms, wishes, orders, held, deliveries, offers, taken, confirmed, .. } =
            &self.history;
        let acknowledged = wishes.iter().filter(|wish| !wish.orders.is_empty()).count();
        let mut refused: BTreeMap<&str, u64> = BTreeMap::new();
        for wish in wishes {
            if let Some(code) = &wish.refused {
                *refused.entry(code).or_default() += 1;
            }
        }
        let events: usize = clients
            .iter()
            .map(|log| log.seen.iter().filter(|seen| matches!(seen, Seen::Event { .. })).count())
            .sum();
        let captured: i64 = held.values().map(|held| held.captured_minor).sum();
        let returned: i64 = held.values().flat_map(|held| &held.returned).map(|(_, amount)| amount).sum();
        let mut ends: BTreeMap<&str, u64> = BTreeMap::new();
        orders.iter().for_each(|order| *ends.entry(&order.status).or_default() += 1);
        let mut faults: BTreeMap<String, u64> = BTreeMap::new();
        self.plan.iter().for_each(|planned| *faults.entry(kind(&planned.fault)).or_default() += 1);
        let accepted = offers.iter().filter(|offer| offer.state == "accepted").count();
        writeln!(
            f,
            "seed {}, {:.1} minutes, {} faults, Redis: {}",
            self.seed,
            self.minutes,
            self.plan.len(),
            self.redis
        )?;
        writeln!(f, "faults            {}", list(&faults))?;
        writeln!(
            f,
            "lost on the way   {} COMMITs or their answers, {} messages of Redis",
            self.lost[0], self.lost[1]
        )?;
        writeln!(
            f,
            "orders            {} wished, {acknowledged} acknowledged, {} stored; refused: {}",
            wishes.len(),
            orders.len(),
            list(&refused)
        )?;
        writeln!(f, "ends              {}", list(&ends))?;
        writeln!(f, "moves confirmed   {}", confirmed.len())?;
        writeln!(f, "money             {} payments, captured {captured}, given back {returned}", held.len())?;
        writeln!(
            f,
            "deliveries        {}, {} offers, {accepted} accepted, {} answers that said so",
            deliveries.len(),
            offers.len(),
            taken.len()
        )?;
        writeln!(
            f,
            "rooms             {} with {} events",
            rooms.len(),
            rooms.iter().map(|room| room.events.len()).sum::<usize>()
        )?;
        writeln!(
            f,
            "clients           {}, {} connections, {events} events, {} of them repeated, {} resyncs",
            clients.len(),
            self.connections,
            self.repeated_events,
            self.resyncs
        )?;
        writeln!(
            f,
            "event to socket   p50 {} ms, p99 {} ms, longest {} ms, faults included",
            self.late(50),
            self.late(99),
            self.late(100)
        )?;
        writeln!(f, "requests repeated {}", self.repeated_requests)?;
        let slowest = self.stops.iter().map(|stop| stop.took.as_secs_f64()).fold(0.0, f64::max);
        let unclean = self.stops.iter().filter(|stop| !stop.clean).count();
        writeln!(
            f,
            "stops             {}, the slowest in {slowest:.1} s, {unclean} not clean",
            self.stops.len()
        )?;
        writeln!(
            f,
            "ended by itself   {}",
            if self.ended.is_empty() { "none".to_owned() } else { self.ended.join(", ") }
        )?;
        writeln!(f, "panics            {}", self.panics.len())?;
        for line in self.panics.iter().take(QUOTED) {
            writeln!(f, "    {line}")?;
        }
        writeln!(f, "strange answers   {}", list(&self.strange))?;
        writeln!(f, "paused at the end {}", self.paused)?;
        write!(f, "all at an end     {:.0} s after the last order", self.settled_s)
    }
}

fn list<K: fmt::Display>(counts: &BTreeMap<K, u64>) -> String {
    if counts.is_empty() {
        return "none".to_owned();
    }
    counts.iter().map(|(what, count)| format!("{what} {count}")).collect::<Vec<_>>().join(", ")
}
