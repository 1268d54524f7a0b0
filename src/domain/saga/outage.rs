//! Times without the hub.

use crate::domain::time::Timestamp;

use super::clocks::Clocks;
use super::facts::Grace;

/// The signs of life of all nodes together, as the store keeps them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignsOfLife {
    /// The last commit of any node that says so; `None` before the first.
    pub alive_at: Option<Timestamp>,
    /// The grace after the last outage.
    pub grace: Option<Grace>,
}

impl SignsOfLife {
    /// Notes a commit at `now`, and gives the grace that it begins: it is the first one after an outage. Such a commit decides
    /// by that grace already.
    pub fn commit(&mut self, now: Timestamp, clocks: &Clocks) -> Option<Grace> {
        let was_away = self.alive_at.replace(now).is_some_and(|alive| now.since(alive) > clocks.outage);
        let grace = was_away.then(|| Grace { outage_ended_at: now, until: now.plus(clocks.grace) });
        self.grace = grace.or(self.grace);
        grace
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_hub_that_was_away_longer_than_a_moment_gives_everybody_time() {
        let clocks = Clocks::default();
        let at = |seconds: i64| Timestamp::from_unix_seconds(1_000 + seconds);
        let mut life = SignsOfLife::default();
        assert_eq!(life.commit(at(0), &clocks), None, "it begins");
        assert_eq!(life.commit(at(60), &clocks), None, "not longer than the limit");
        let grace = Grace { outage_ended_at: at(121), until: at(241) };
        assert_eq!(life.commit(at(121), &clocks), Some(grace));
        assert_eq!((life.commit(at(122), &clocks), life.grace), (None, Some(grace)));
        assert_eq!(life.commit(at(100), &clocks), None, "a clock that was set back");
        let second = Grace { outage_ended_at: at(700), until: at(700).plus(Duration::from_secs(120)) };
        assert_eq!((life.commit(at(700), &clocks), life.grace), (Some(second), Some(second)));
    }
}
