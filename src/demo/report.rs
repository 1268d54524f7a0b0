//! What the run came to: the table at the end.

use std::fmt::{self, Display};
use std::time::Duration;

use crate::telemetry::{Metrics, quantile};

use super::ledger::{Audit, Ledger, Totals};

/// What the run came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// Orders answered with 201.
    pub placed: u64,
    /// Of them, those that rang on every device of their business.
    pub rung: u64,
    /// Of them, those that every device of their business acknowledged.
    pub acked: u64,
    /// Of them, those that ended: delivered, rejected or cancelled.
    pub completed: u64,
    /// Orders answered with 201 that the hub does not list, that did not ring everywhere or did not end. Must be 0.
    pub lost: u64,
    /// Second orders for one idempotency key, and events that a device got twice in spite of its cursor. Must be 0.
    pub doubled: u64,
    /// Events that a device never got and was not told of. Must be 0.
    pub missed: u64,
    /// Orders that customers could not place in spite of all patience.
    pub refused: u64,
    /// Answers and frames that should not have been, and the last of them.
    pub odd: (u64, Option<String>),
    /// From commit to a device's acknowledgement, as the hub measured it; absent when nothing was acknowledged.
    pub commit_to_ack: Option<Quantiles>,
    /// How long the hub was up.
    pub lasted: Duration,
}

/// The usual three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantiles {
    /// The median.
    pub p50: Duration,
    /// 95 of 100 were faster.
    pub p95: Duration,
    /// 99 of 100 were faster.
    pub p99: Duration,
}

impl Quantiles {
    /// From commit to a device's acknowledgement so far.
    pub(super) fn commit_to_ack(metrics: &Metrics) -> Option<Self> {
        let at = |q| quantile(&metrics.event_ack_seconds, q);
        Some(Self { p50: at(0.5)?, p95: at(0.95)?, p99: at(0.99)? })
    }
}

impl Verdict {
    pub(super) fn new(books: &Ledger, audit: Audit, metrics: &Metrics, lasted: Duration) -> Self {
        let Totals { placed, rung, acked, completed, settled: _ } = books.totals();
        let (refused, odd, last) = books.odd();
        Self {
            placed,
            rung,
            acked,
            completed,
            lost: audit.lost,
            doubled: audit.doubled,
            missed: audit.missed,
            refused,
            odd: (odd, last.map(str::to_owned)),
            commit_to_ack: Quantiles::commit_to_ack(metrics),
            lasted,
        }
    }

    /// Whether orders were placed and completed and none was lost or doubled, nor any event of one.
    pub fn is_good(&self) -> bool {
        self.placed > 0 && self.completed > 0 && self.lost == 0 && self.doubled == 0 && self.missed == 0
    }
}

/// Milliseconds as people read them.
pub(super) fn millis(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1_000.0)
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, value: &dyn Display) -> fmt::Result {
    writeln!(f, "  {name:<38} {value:>10}")
}

impl Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        row(f, "orders placed", &self.placed)?;
        row(f, "  rung on every device", &self.rung)?;
        row(f, "  acknowledged by every device", &self.acked)?;
        row(f, "  completed", &self.completed)?;
        row(f, "lost (must be 0)", &self.lost)?;
        row(f, "doubled (must be 0)", &self.doubled)?;
        row(f, "events missed (must be 0)", &self.missed)?;
        match self.commit_to_ack {
            Some(Quantiles { p50, p95, p99 }) => {
                row(f, "commit to acknowledgement, p50", &millis(p50))?;
                row(f, "                           p95", &millis(p95))?;
                row(f, "                           p99", &millis(p99))?;
            }
            None => row(f, "commit to acknowledgement", &"none")?,
        }
        if self.refused > 0 {
            row(f, "orders refused to customers", &self.refused)?;
        }
        if let (count @ 1.., Some(last)) = &self.odd {
            row(f, "unexpected answers", count)?;
            writeln!(f, "    the last: {last}")?;
        }
        row(f, "seconds", &format!("{:.1}", self.lasted.as_secs_f64()))?;
        writeln!(f, "{}", if self.is_good() { "nothing lost, nothing doubled" } else { "NOT GOOD" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Verdict {
        let ms = Duration::from_millis;
        Verdict {
            placed: 400,
            rung: 400,
            acked: 400,
            completed: 400,
            lost: 0,
            doubled: 0,
            missed: 0,
            refused: 0,
            odd: (0, None),
            commit_to_ack: Some(Quantiles { p50: ms(3), p95: ms(7), p99: ms(12) }),
            lasted: Duration::from_secs(23),
        }
    }

    #[test]
    fn it_is_good_only_when_something_was_done_and_nothing_lost_or_doubled() {
        assert!(good().is_good());
        assert!(!Verdict { placed: 0, completed: 0, ..good() }.is_good());
        assert!(!Verdict { completed: 0, ..good() }.is_good());
        assert!(!Verdict { lost: 1, ..good() }.is_good());
        assert!(!Verdict { doubled: 1, ..good() }.is_good());
        assert!(!Verdict { missed: 1, ..good() }.is_good());
    }

    #[test]
    fn the_table_names_what_is_counted() {
        let table = good().to_string();
        for line in ["orders placed", "lost (must be 0)", "doubled (must be 0)", "p99", "12.0 ms"] {
            assert!(table.contains(line), "{table}");
        }
        assert!(!table.contains("refused") && !table.contains("unexpected"), "{table}");
        let odd = Verdict { odd: (2, Some("POST /orders: 500".to_owned())), lost: 1, ..good() };
        assert!(
            odd.to_string().contains("the last: POST /orders: 500") && odd.to_string().contains("NOT GOOD")
        );
    }
}
