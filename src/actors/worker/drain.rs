//! The order in which the clients of a node that stops are told to come back.

use std::time::Duration;

use super::subscriber::SubscriberKey;

/// How a node that stops tells its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrainPlan {
    /// Time over which the clients of a thread come back, each at a moment of its own.
    pub spread: Duration,
    /// Time within which all have been told. Those whose moment is later are told then how long it is until it comes.
    pub told_within: Duration,
}

/// Clients that are not told yet. Each is served until its moment, so that it can be on another node right after.
#[derive(Debug)]
pub(super) struct Departures {
    told_within: Duration,
    /// The next one last.
    waiting: Vec<(Duration, SubscriberKey)>,
}

impl Departures {
    /// Moments for these clients, evenly over the spread: the middle of each one's share, so that even a single client
    /// does not come at once.
    pub(super) fn new(plan: DrainPlan, clients: impl ExactSizeIterator<Item = SubscriberKey>) -> Self {
        let count = u32::try_from(clients.len().max(1)).unwrap_or(u32::MAX);
        let moment = |index: u32| plan.spread.mul_f64((f64::from(index) + 0.5) / f64::from(count));
        let mut waiting: Vec<_> = (0u32..).map(moment).zip(clients).collect();
        waiting.reverse();
        Self { told_within: plan.told_within, waiting }
    }

    /// The next client to tell when so much of the drain has passed, with the time it has to stay away.
    pub(super) fn next(&mut self, elapsed: Duration) -> Option<(SubscriberKey, Duration)> {
        let (moment, client) = *self.waiting.last()?;
        if moment > elapsed && elapsed < self.told_within {
            return None;
        }
        self.waiting.pop();
        Some((client, moment.saturating_sub(elapsed)))
    }

    /// Whether all have been told.
    pub(super) fn are_over(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn told(departures: &mut Departures, elapsed: Duration) -> Vec<(SubscriberKey, Duration)> {
        std::iter::from_fn(|| departures.next(elapsed)).collect()
    }

    #[test]
    fn each_client_is_told_at_its_moment_and_comes_back_at_once() {
        let plan = DrainPlan { spread: 4 * SECOND, told_within: 4 * SECOND };
        let mut departures = Departures::new(plan, [7, 8].into_iter());
        assert_eq!(told(&mut departures, SECOND / 2), []);
        assert_eq!(told(&mut departures, SECOND), [(7, Duration::ZERO)]);
        assert!(!departures.are_over());
        assert_eq!(told(&mut departures, 3 * SECOND), [(8, Duration::ZERO)]);
        assert!(departures.are_over());
    }

    #[test]
    fn a_node_without_time_tells_all_at_once_when_to_come_back() {
        let plan = DrainPlan { spread: 4 * SECOND, told_within: Duration::ZERO };
        let mut departures = Departures::new(plan, [7, 8].into_iter());
        assert_eq!(told(&mut departures, Duration::ZERO), [(7, SECOND), (8, 3 * SECOND)]);
    }

    proptest! {
        #[test]
        fn in_no_second_more_come_back_than_their_even_share(
            count in 0u64..3_000,
            spread_ms in 1u64..20_000,
            within_ms in 0u64..20_000,
        ) {
            let spread = Duration::from_millis(spread_ms);
            let plan = DrainPlan { spread, told_within: Duration::from_millis(within_ms) };
            let mut departures = Departures::new(plan, (0..count).collect::<Vec<_>>().into_iter());
            let (mut elapsed, mut back) = (Duration::ZERO, Vec::new());
            while !departures.are_over() {
                let after = told(&mut departures, elapsed);
                back.extend(after.iter().map(|(_, after)| elapsed + *after));
                elapsed += Duration::from_millis(50);
            }
            prop_assert_eq!(back.len() as u64, count);
            back.sort_unstable();
            prop_assert!(back.last().is_none_or(|last| *last <= spread + Duration::from_millis(50)));
            let share = (count as f64 / spread.as_secs_f64()).min(count as f64);
            for (index, from) in back.iter().enumerate() {
                let within = back[index..].iter().take_while(|at| **at < *from + SECOND).count();
                // A look every 50 ms, and whole clients.
                prop_assert!(within as f64 <= share * 1.05 + 2.0, "{} of {}", within, share);
            }
        }
    }
}
