//! Quantiles of times.

use std::time::Duration;

use serde::Serialize;

/// The spread of some times, milliseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Times {
    pub(crate) count: usize,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) max_ms: f64,
}

impl Times {
    pub(crate) fn of(times: impl IntoIterator<Item = Duration>) -> Self {
        let mut sorted: Vec<Duration> = times.into_iter().collect();
        sorted.sort_unstable();
        let at = |share: f64| {
            // The smallest time that so large a share does not exceed.
            let index = ((sorted.len() as f64 * share).ceil() as usize).saturating_sub(1);
            sorted.get(index).map_or(0.0, |time| time.as_secs_f64() * 1e3)
        };
        Self { count: sorted.len(), p50_ms: at(0.5), p99_ms: at(0.99), max_ms: at(1.0) }
    }
}

/// The middle one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// The most moments that lie within one second.
pub(crate) fn most_in_a_second(mut moments: Vec<Duration>) -> usize {
    moments.sort_unstable();
    let mut from = 0;
    let mut most = 0;
    for (index, moment) in moments.iter().enumerate() {
        while *moment - moments[from] >= Duration::from_secs(1) {
            from += 1;
        }
        most = most.max(index - from + 1);
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn quantiles_are_times_that_occurred() {
        let times = Times::of((1..=200).map(ms));
        assert_eq!((times.count, times.p50_ms, times.p99_ms, times.max_ms), (200, 100.0, 198.0, 200.0));
        assert_eq!(Times::of([]).count, 0);
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
    }

    #[test]
    fn a_second_begins_anywhere() {
        assert_eq!(most_in_a_second(vec![]), 0);
        assert_eq!(most_in_a_second([0, 900, 1_100, 1_300, 1_899, 2_100].map(ms).to_vec()), 4);
        assert_eq!(most_in_a_second([0, 1_000, 2_000].map(ms).to_vec()), 1);
    }
}
