//! Verdict of a run: which figures level off, and which promises were kept.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use crate::ledger::Audit;
use crate::sampler::{CPU, DATABASE, Sample, WAL, points, series};
use crate::trend::{Bound, Level, Trend};

const MIB: f64 = 1024.0 * 1024.0;

/// Open sockets.
pub(crate) const SOCKETS: &str = "websocket_connections_active";

/// Open descriptors.
pub(crate) const DESCRIPTORS: &str = "process_open_fds";

/// Resident memory.
pub(crate) const MEMORY: &str = "process_resident_memory_bytes";

/// What a series may gain after the warm-up; `None` where growth is right: rows that are stored, CPU time that was
/// used, address space that is only reserved.
fn bound_of(series: &str) -> Option<Bound> {
    let name = series.split('{').next().unwrap_or_default();
    let amount = match name {
        DATABASE | CPU | "process_virtual_memory_bytes" => return None,
        // A log is emptied and filled again; its file stays as large as it once had to be.
        WAL => MIB,
        "process_threads" | "database_pool_connections" => 2.0,
        // Open or not.
        "database_circuit_open" => 0.5,
        depth if depth.ends_with("_depth") || depth.starts_with("password_hashes") => 1.0,
        bytes if bytes.ends_with("_bytes") => 2.0 * MIB,
        _ => 10.0,
    };
    Some(Bound { share: 0.05, amount })
}

/// A series and how it went.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) series: String,
    pub(crate) trend: Trend,
    bound: Option<Bound>,
}

impl Row {
    fn holds(&self) -> bool {
        self.bound.is_none_or(|bound| self.trend.levels_off(bound))
    }

    /// The row of a table: series, second quarter, last quarter, most, growth, allowed, verdict.
    fn cells(&self) -> [String; 7] {
        let bytes = self.series.ends_with("_bytes");
        let show = |value: f64| if bytes { format!("{:.1} MiB", value / MIB) } else { format!("{value:.1}") };
        let verdict = match (self.bound, self.holds()) {
            (None, _) => "not judged",
            (_, true) => "levels off",
            (_, false) => "GROWS",
        };
        [
            self.series.clone(),
            show(self.trend.second),
            show(self.trend.last),
            show(self.trend.most),
            show(self.trend.growth()),
            self.bound.map_or_else(String::new, |bound| show(self.trend.allowed(bound))),
            verdict.to_owned(),
        ]
    }
}

/// Descriptors that may be open after everybody has gone: ten more than before anybody came, for requests under way,
/// and three for each connection to the database made since (SQLite has three files).
pub(crate) fn may_keep(before: &Sample, after: &Sample) -> f64 {
    let pool = |sample: &Sample| {
        let named = |(name, _): &(&String, &f64)| name.starts_with("database_pool_connections");
        sample.values.iter().filter(named).map(|(_, count)| count).sum::<f64>()
    };
    before.of(DESCRIPTORS) + 10.0 + 3.0 * (pool(after) - pool(before)).max(0.0)
}

/// Counts of the clients.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counted {
    pub(crate) heard: u64,
    pub(crate) repeated: u64,
    pub(crate) missed: u64,
    pub(crate) resyncs: u64,
    /// Devices that did not stand at the head of their room at the end.
    pub(crate) behind: u64,
    pub(crate) faults: u64,
    pub(crate) audit: Audit,
    /// Counts of finished activities, by their name.
    pub(crate) done: BTreeMap<&'static str, u64>,
    /// Requests that were repeated.
    pub(crate) repeated_requests: u64,
}

/// The whole judgement of a run.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    /// Seconds under load.
    pub(crate) length: f64,
    rows: Vec<Row>,
    promises: Vec<(String, bool)>,
    pub(crate) counted: Counted,
    closes: BTreeMap<String, u64>,
    /// CPU of the hub in cores, on average under load.
    cores: f64,
}

impl Verdict {
    /// Judges the samples under load, those before anybody came and after everybody has gone, what the clients counted
    /// and which sockets the hub closed for which reasons.
    pub(crate) fn new(
        samples: &[Sample],
        [before, after]: [&Sample; 2],
        length: f64,
        counted: Counted,
        closes: BTreeMap<String, u64>,
    ) -> Self {
        // Medians of minutes, of less in a short run: twelve windows at least after the warm-up.
        let window = (length / 16.0).min(60.0);
        let names = series(samples);
        let rows: Vec<Row> = names
            .into_iter()
            .filter_map(|name| {
                let level = if name == MEMORY { Level::Floor } else { Level::Middle };
                let trend = Trend::fit(&points(samples, name), length, window, level)?;
                Some(Row { series: name.to_owned(), trend, bound: bound_of(name) })
            })
            .collect();
        let cpu = points(samples, CPU);
        let cores = match (cpu.first(), cpu.last()) {
            (Some((from, before)), Some((to, used))) if to > from => (used - before) / (to - from),
            _ => f64::NAN,
        };
        let mut verdict = Self { length, rows, promises: Vec::new(), counted, closes, cores };
        verdict.promises = verdict.promises(before, after);
        verdict
    }

    fn promises(&self, before: &Sample, after: &Sample) -> Vec<(String, bool)> {
        let Counted { heard, repeated, missed, resyncs, behind, faults, audit, done, .. } = &self.counted;
        let stopped = done.iter().find(|(what, _)| what.contains("too slow")).map_or(0, |(_, count)| *count);
        let too_slow = self.closes.get("too_slow").copied().unwrap_or(0);
        let (sockets, descriptors) = (after.of(SOCKETS), after.of(DESCRIPTORS));
        let judged = self.rows.iter().filter(|row| row.bound.is_some()).count();
        vec![
            (format!("{judged} figures were sampled long enough to be judged"), judged >= 5),
            (
                format!("{heard} events by cursor: {missed} missed, {repeated} repeated, {resyncs} resyncs"),
                *heard > 0 && missed + repeated + resyncs == 0,
            ),
            (format!("{behind} devices were not at the head of their room at the end"), *behind == 0),
            (
                format!(
                    "{} orders acknowledged: {} lost, {} doubled",
                    audit.acknowledged, audit.lost, audit.doubled
                ),
                audit.acknowledged > 0 && audit.lost + audit.doubled == 0,
            ),
            (
                format!("{stopped} readers stopped reading, the hub closed {too_slow} as too slow"),
                too_slow >= stopped,
            ),
            (format!("{faults} answers or closes were others than documented"), *faults == 0),
            (format!("{sockets} sockets are left after everybody has gone"), sockets == 0.0),
            (
                format!(
                    "{} descriptors before anybody came, {descriptors} afterwards",
                    before.of(DESCRIPTORS)
                ),
                descriptors <= may_keep(before, after),
            ),
        ]
    }

    /// Whether everything holds.
    pub(crate) fn holds(&self) -> bool {
        self.rows.iter().all(Row::holds) && self.promises.iter().all(|(_, kept)| *kept)
    }

    /// The tables and lists as Markdown, which also reads well on a screen.
    pub(crate) fn markdown(&self) -> String {
        let mut text = String::new();
        let heads = ["", "second quarter", "last quarter", "most", "gains", "may gain", ""];
        let _ = writeln!(text, "| {} |\n| --- | ---: | ---: | ---: | ---: | ---: | --- |", heads.join(" | "));
        for row in &self.rows {
            let mut cells = row.cells();
            cells[0] = format!("`{}`", cells[0]);
            let _ = writeln!(text, "| {} |", cells.join(" | "));
        }
        text.push('\n');
        for (what, kept) in &self.promises {
            let _ = writeln!(text, "- {}{what}", if *kept { "" } else { "**BROKEN** " });
        }
        let _ = writeln!(
            text,
            "\nThe hub used {:.2} of a core on average. What was done meanwhile:\n",
            self.cores
        );
        for (what, count) in &self.counted.done {
            let _ = writeln!(text, "- {count} {what}");
        }
        let _ = writeln!(
            text,
            "- {} requests asked again after 503, 429 or a lost connection",
            self.counted.repeated_requests
        );
        let closes: Vec<String> = self
            .closes
            .iter()
            .filter(|(_, n)| **n > 0)
            .map(|(reason, n)| format!("`{reason}` {n}"))
            .collect();
        let _ = writeln!(text, "- sockets closed by the hub's count: {}", closes.join(", "));
        text
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.markdown())?;
        f.write_str(if self.holds() {
            "\nEverything levels off and every promise was kept."
        } else {
            "\nNOT all of it holds."
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(value: impl Fn(usize) -> f64) -> Vec<Sample> {
        let look = |n: usize| {
            let figures = [MEMORY, DESCRIPTORS, SOCKETS, "persistence_queue_depth", "mailbox_depth{actor=a}"];
            let mut values: BTreeMap<String, f64> =
                figures.iter().map(|name| ((*name).to_owned(), 100.0)).collect();
            values.insert(MEMORY.to_owned(), value(n) * MIB);
            values.insert(DATABASE.to_owned(), n as f64 * MIB);
            Sample { at: n as f64 * 5.0, values }
        };
        (0..120).map(look).collect()
    }

    fn counted() -> Counted {
        let audit = Audit { acknowledged: 5, ..Audit::default() };
        Counted { heard: 10, audit, ..Counted::default() }
    }

    fn quiet() -> Sample {
        let values = [(SOCKETS, 0.0), (DESCRIPTORS, 5.0)].map(|(name, value)| (name.to_owned(), value));
        Sample { at: 700.0, values: values.into() }
    }

    #[test]
    fn a_steady_run_holds_though_its_database_grows() {
        let quiet = quiet();
        let verdict = Verdict::new(&samples(|_| 40.0), [&quiet, &quiet], 600.0, counted(), BTreeMap::new());
        assert!(verdict.holds(), "{verdict}");
        assert!(verdict.markdown().contains("| `sqlite_file_bytes` |"));
    }

    #[test]
    fn memory_that_grows_and_every_broken_promise_is_a_failure() {
        let judge = |samples: &[Sample], after: &Sample, counted| {
            Verdict::new(samples, [&quiet(), after], 600.0, counted, BTreeMap::new()).holds()
        };
        let steady = samples(|_| 40.0);
        assert!(!judge(&samples(|n| 40.0 + n as f64 / 20.0), &quiet(), counted()));
        let mut leaked = quiet();
        leaked.values.insert(SOCKETS.to_owned(), 1.0);
        assert!(!judge(&steady, &leaked, counted()));
        leaked = quiet();
        leaked.values.insert(DESCRIPTORS.to_owned(), 30.0);
        assert!(!judge(&steady, &leaked, counted()));
        let lost = Audit { acknowledged: 5, lost: 1, doubled: 0 };
        let broken = [
            Counted { missed: 1, ..counted() },
            Counted { repeated: 1, ..counted() },
            Counted { resyncs: 1, ..counted() },
            Counted { behind: 1, ..counted() },
            Counted { faults: 1, ..counted() },
            Counted { audit: lost, ..counted() },
            Counted { heard: 0, ..counted() },
            Counted { done: BTreeMap::from([("closed as too slow", 1)]), ..counted() },
        ];
        for counted in broken {
            assert!(!judge(&steady, &quiet(), counted.clone()), "{counted:?}");
        }
        assert!(!judge(&steady[..2], &quiet(), counted()), "nothing was judged");
    }
}
