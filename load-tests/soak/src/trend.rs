//! Whether a figure levels off: a robust line through its medians, and what it may still gain. Pure.

/// What the line, or the step between quarters, may gain from the end of the warm-up to the end of the run: a share of
/// the figure itself or an amount, whichever is larger.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bound {
    pub(crate) share: f64,
    pub(crate) amount: f64,
}

/// What stands for a window of samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// The middle one: spikes do not count.
    Middle,
    /// The least: for memory, where a password hash takes 19 MiB that the allocator keeps for some seconds. What leaks
    /// is never given back and raises the least as well.
    Floor,
}

/// How a figure went after the warm-up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Trend {
    /// Median of the windows of the second quarter of the run, the first after the warm-up.
    pub(crate) second: f64,
    /// The same of the last quarter.
    pub(crate) last: f64,
    /// The most that was sampled after the warm-up.
    pub(crate) most: f64,
    /// The Theil–Sen slope through the windows, times the time from the warm-up to the end.
    pub(crate) projected: f64,
}

impl Trend {
    /// Fits `points` of seconds and values, in order of time, of a run of `length` seconds whose first quarter does not
    /// count. Each `window` of so many seconds goes into the line by its level. `None` with fewer than four windows, or
    /// none in a quarter that is compared: nothing could be told.
    pub(crate) fn fit(points: &[(f64, f64)], length: f64, window: f64, level: Level) -> Option<Self> {
        let warm = length / 4.0;
        let counted: Vec<(f64, f64)> = points.iter().copied().filter(|(at, _)| *at >= warm).collect();
        let mut windows = Vec::new();
        let mut rest = counted.as_slice();
        while let Some((first, _)) = rest.first() {
            let end = warm + (((first - warm) / window).floor() + 1.0) * window;
            let count = rest.iter().take_while(|(at, _)| *at < end).count().max(1);
            let (these, others) = rest.split_at(count);
            let values = these.iter().map(|(_, value)| *value);
            let value = match level {
                Level::Middle => median(values)?,
                Level::Floor => values.fold(f64::INFINITY, f64::min),
            };
            windows.push((end - window / 2.0, value));
            rest = others;
        }
        if windows.len() < 4 {
            return None;
        }
        let slopes = windows.iter().enumerate().flat_map(|(index, (from, before))| {
            windows[index + 1..].iter().map(move |(to, after)| (after - before) / (to - from))
        });
        let within = |from: f64, to: f64| {
            median(windows.iter().filter(|(at, _)| (from..=to).contains(at)).map(|(_, value)| *value))
        };
        Some(Self {
            second: within(warm, length / 2.0)?,
            last: within(length * 0.75, f64::INFINITY)?,
            most: counted.iter().map(|(_, value)| *value).fold(f64::NEG_INFINITY, f64::max),
            projected: median(slopes)? * (length - warm),
        })
    }

    /// The larger of what the line projects and what lies between the quarters: a line misses a late step, quarters a
    /// slow climb.
    pub(crate) fn growth(&self) -> f64 {
        self.projected.max(self.last - self.second)
    }

    /// What it may gain.
    pub(crate) fn allowed(&self, bound: Bound) -> f64 {
        (self.second * bound.share).max(bound.amount)
    }

    /// Whether it gains no more than that.
    pub(crate) fn levels_off(&self, bound: Bound) -> bool {
        self.growth() <= self.allowed(bound)
    }
}

/// The middle value, the mean of the two middle ones; `None` of nothing.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle]),
        _ => Some((values[middle - 1] + values[middle]) / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: Bound = Bound { share: 0.05, amount: 2.0 };

    fn sampled_at(level: Level, value: impl Fn(f64) -> f64) -> Option<Trend> {
        let points: Vec<(f64, f64)> =
            (0..720).map(|n| f64::from(n) * 5.0).map(|at| (at, value(at))).collect();
        Trend::fit(&points, 3600.0, 60.0, level)
    }

    fn sampled(value: impl Fn(f64) -> f64) -> Option<Trend> {
        sampled_at(Level::Middle, value)
    }

    #[test]
    fn what_fills_up_in_the_warm_up_and_then_swings_levels_off() {
        let trend = sampled(|at| 100.0 + (at / 9.0).min(80.0) + (at * 0.7).sin() * 10.0).unwrap();
        assert!(trend.levels_off(BOUND), "{trend:?}");
        assert!((175.0..=185.0).contains(&trend.last) && trend.most > 189.0, "{trend:?}");
    }

    #[test]
    fn spikes_do_not_count_against_it() {
        let trend = sampled(|at| if at % 300.0 < 10.0 { 500.0 } else { 40.0 }).unwrap();
        assert!(trend.levels_off(BOUND) && trend.most == 500.0, "{trend:?}");
    }

    #[test]
    fn a_slow_leak_a_late_step_and_a_queue_that_grows_do_not_level_off() {
        let leak = sampled(|at| 40.0 + at / 3600.0 * 4.0 + (at * 0.7).sin()).unwrap();
        assert!(!leak.levels_off(BOUND), "{leak:?}");
        let step = sampled(|at| if at > 2600.0 { 45.0 } else { 40.0 }).unwrap();
        assert!(!step.levels_off(BOUND), "{step:?}");
        let queue = sampled(|at| at / 1000.0).unwrap();
        assert!(!queue.levels_off(Bound { share: 0.05, amount: 1.0 }), "{queue:?}");
    }

    #[test]
    fn the_floor_is_blind_to_what_comes_and_goes_and_sees_what_stays() {
        let hashing = |at: f64| if (at * 0.7).sin() > -0.5 { 20.0 } else { 0.0 };
        let steady = sampled_at(Level::Floor, |at| 60.0 + hashing(at)).unwrap();
        assert!(steady.levels_off(BOUND) && steady.second == 60.0, "{steady:?}");
        let leak = sampled_at(Level::Floor, |at| 60.0 + at / 600.0 + hashing(at)).unwrap();
        assert!(!leak.levels_off(BOUND), "{leak:?}");
    }

    #[test]
    fn too_few_samples_are_not_judged() {
        assert_eq!(Trend::fit(&[(0.0, 1.0), (60.0, 1.0), (120.0, 1.0)], 120.0, 60.0, Level::Middle), None);
        assert_eq!(Trend::fit(&[], 120.0, 60.0, Level::Middle), None);
    }
}
