//! Counts of answers and refusals, and latencies.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

/// Answers of one phase or one second.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// Microseconds of each answer that was wanted.
    latencies: Vec<u32>,
    /// Answers by status; 0 stands for none.
    statuses: BTreeMap<u16, u64>,
    /// Refusals for being too busy (429, 503) that did not say when to come again.
    pub(crate) without_advice: u64,
    /// Requests whose time had come while as many as allowed were under way.
    pub(crate) unsent: u64,
}

/// The figures of a [`Tally`]. Times are milliseconds.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figures {
    pub(crate) seconds: f64,
    pub(crate) wanted: u64,
    pub(crate) per_s: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) max_ms: f64,
    pub(crate) refused: u64,
    pub(crate) refusals_without_advice: u64,
    /// Neither wanted nor a refusal, by status; 0 stands for no answer.
    pub(crate) others: BTreeMap<u16, u64>,
    pub(crate) unsent: u64,
}

impl Tally {
    /// An answer; `wanted` is the status of success, and its latency counts.
    pub(crate) fn answered(&mut self, status: u16, retry_after: Option<u64>, wanted: u16, took: Duration) {
        *self.statuses.entry(status).or_default() += 1;
        if status == wanted {
            self.latencies.push(u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
        } else if is_refusal(status) && retry_after.is_none_or(|seconds| seconds == 0) {
            self.without_advice += 1;
        }
    }

    /// No answer came.
    pub(crate) fn failed(&mut self) {
        *self.statuses.entry(0).or_default() += 1;
    }

    /// Takes in another one.
    pub(crate) fn add(&mut self, other: &Self) {
        self.latencies.extend_from_slice(&other.latencies);
        for (status, count) in &other.statuses {
            *self.statuses.entry(*status).or_default() += count;
        }
        self.without_advice += other.without_advice;
        self.unsent += other.unsent;
    }

    pub(crate) fn wanted(&self) -> u64 {
        self.latencies.len() as u64
    }

    pub(crate) fn refused(&self) -> u64 {
        self.statuses.iter().filter(|(status, _)| is_refusal(**status)).map(|(_, count)| count).sum()
    }

    /// Everything but success and refusals.
    pub(crate) fn others(&self, wanted: u16) -> BTreeMap<u16, u64> {
        let other = |status: &u16| *status != wanted && !is_refusal(*status);
        self.statuses.iter().filter(|(s, _)| other(s)).map(|(status, count)| (*status, *count)).collect()
    }

    /// The latency that this share of the wanted answers kept below, milliseconds; not a number without any.
    pub(crate) fn quantile_ms(&self, share: f64) -> f64 {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        let index = ((sorted.len() as f64 * share) as usize).min(sorted.len().saturating_sub(1));
        sorted.get(index).map_or(f64::NAN, |us| f64::from(*us) / 1000.0)
    }

    /// The figures of `took`.
    pub(crate) fn figures(&self, wanted: u16, took: Duration) -> Figures {
        Figures {
            seconds: took.as_secs_f64(),
            wanted: self.wanted(),
            per_s: self.wanted() as f64 / took.as_secs_f64(),
            p50_ms: self.quantile_ms(0.5),
            p99_ms: self.quantile_ms(0.99),
            max_ms: self.quantile_ms(1.0),
            refused: self.refused(),
            refusals_without_advice: self.without_advice,
            others: self.others(wanted),
            unsent: self.unsent,
        }
    }
}

/// Too busy now, come again.
fn is_refusal(status: u16) -> bool {
    matches!(status, 429 | 503)
}

impl Figures {
    /// One line for people.
    #[allow(clippy::print_stdout)]
    pub(crate) fn print(&self, title: &str) {
        println!(
            "{title:<24} {:>8.0} /s   p50 {:>7.1} ms   p99 {:>7.1} ms   max {:>7.1} ms   refused {}, others {:?}",
            self.per_s, self.p50_ms, self.p99_ms, self.max_ms, self.refused, self.others
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn success_counts_with_its_latency_and_refusals_by_their_advice() {
        let mut tally = Tally::default();
        for ms in 1..=100 {
            tally.answered(201, None, 201, Duration::from_millis(ms));
        }
        tally.answered(503, Some(1), 201, Duration::from_millis(1));
        tally.answered(429, None, 201, Duration::from_millis(1));
        tally.answered(500, None, 201, Duration::from_millis(1));
        tally.failed();
        let figures = tally.figures(201, Duration::from_secs(2));
        assert_eq!((figures.wanted, figures.refused, figures.refusals_without_advice), (100, 2, 1));
        assert_eq!(figures.others, BTreeMap::from([(0, 1), (500, 1)]));
        assert!((figures.per_s - 50.0).abs() < f64::EPSILON && (figures.p99_ms - 100.0).abs() < f64::EPSILON);
    }
}
