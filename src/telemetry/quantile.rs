//! Quantiles of a histogram.

use std::time::Duration;

use prometheus::Histogram;
use prometheus::core::Metric;

/// The quantile `q` (0 to 1) of a latency histogram, or of several with the same buckets together, computed like PromQL's `histogram_quantile`: linear within a bucket, and the
/// highest bound for values above it. `None` while nothing was observed, or when `q` is outside of 0 to 1.
pub fn quantile(histograms: &[&Histogram], q: f64) -> Option<Duration> {
    let metrics: Vec<_> = histograms.iter().map(|histogram| histogram.metric()).collect();
    let snapshots: Vec<_> = metrics.iter().map(|metric| metric.get_histogram()).collect();
    let count: u64 = snapshots.iter().map(|snapshot| snapshot.get_sample_count()).sum();
    if count == 0 || !(0.0..=1.0).contains(&q) {
        return None;
    }
    let rank = q * count as f64;
    let mut below = (0.0, 0.0);
    for (n, bucket) in snapshots.first()?.get_bucket().iter().enumerate() {
        let seen = snapshots.iter().filter_map(|snapshot| snapshot.get_bucket().get(n));
        let (bound, seen) =
            (bucket.upper_bound(), seen.map(|bucket| bucket.cumulative_count()).sum::<u64>() as f64);
        if bound.is_finite() && seen >= rank {
            let (floor, seen_below) = below;
            let inside = seen - seen_below;
            let share = if inside > 0.0 { (rank - seen_below) / inside } else { 0.0 };
            return Duration::try_from_secs_f64(floor + (bound - floor) * share).ok();
        }
        if bound.is_finite() {
            below = (bound, seen);
        }
    }
    Duration::try_from_secs_f64(below.0).ok()
}

#[cfg(test)]
mod tests {
    use prometheus::HistogramOpts;

    use super::*;

    fn histogram(values: &[f64]) -> Histogram {
        let opts = HistogramOpts::new("h", "help").buckets(vec![0.1, 0.2, 0.4]);
        let histogram = Histogram::with_opts(opts).unwrap();
        values.iter().for_each(|value| histogram.observe(*value));
        histogram
    }

    fn millis(histogram: &Histogram, q: f64) -> u128 {
        // Rounded, since sums of binary fractions end in …9999.
        (quantile(&[histogram], q).unwrap() + Duration::from_micros(1)).as_millis()
    }

    #[test]
    fn nothing_observed_has_no_quantile() {
        assert_eq!(quantile(&[&histogram(&[])], 0.5), None);
    }

    #[test]
    fn a_share_outside_of_0_to_1_has_no_quantile() {
        let one = histogram(&[0.1]);
        assert_eq!(quantile(&[&one], 1.1), None);
        assert_eq!(quantile(&[&one], -0.1), None);
        assert_eq!(quantile(&[&one], f64::NAN), None);
    }

    #[test]
    fn values_are_spread_evenly_over_their_bucket() {
        let four = histogram(&[0.15, 0.15, 0.15, 0.15]);
        assert_eq!(millis(&four, 0.25), 125);
        assert_eq!(millis(&four, 0.5), 150);
        assert_eq!(millis(&four, 1.0), 200);
    }

    #[test]
    fn the_rank_is_found_over_several_buckets() {
        let values = histogram(&[0.05, 0.05, 0.15, 0.3]);
        assert_eq!(millis(&values, 0.5), 100);
        assert_eq!(millis(&values, 0.75), 200);
        assert_eq!(millis(&values, 0.875), 300);
    }

    #[test]
    fn above_the_highest_bound_the_highest_bound_is_told() {
        assert_eq!(millis(&histogram(&[0.05, 9.0, 9.0]), 0.99), 400);
    }

    #[test]
    fn several_histograms_count_as_one() {
        let (one, other) = (histogram(&[0.05, 0.05]), histogram(&[0.15, 0.3]));
        let together = histogram(&[0.05, 0.05, 0.15, 0.3]);
        for q in [0.1, 0.5, 0.75, 1.0] {
            assert_eq!(quantile(&[&one, &other], q), quantile(&[&together], q));
        }
        assert_eq!(quantile(&[], 0.5), None);
    }
}
