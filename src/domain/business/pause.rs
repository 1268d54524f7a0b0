//! Pauses of a business: each has a cause, and only what belongs to its cause ends it.

use serde::{Deserialize, Serialize};

use crate::domain::string_enum::string_enum;
use crate::domain::time::Timestamp;

string_enum! {
    /// The cause of a pause. A business has at most one pause of each.
    pub enum PauseCause {
        /// A member paused it, until a time.
        Manual = "manual",
        /// No device of it could ring for a while; ends when one can again.
        Unreachable = "unreachable",
        /// Orders in a row were not answered; ends in the morning, or by a member or an operator.
        Unanswered = "unanswered",
        /// An operator paused it; only operators end it.
        Operator = "operator",
    }
}

/// Something that can end a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PauseEnd {
    /// Its time has come.
    Time,
    /// A device of the business can ring again.
    Device,
    /// A member says so.
    Member,
    /// An operator says so.
    Operator,
}

impl PauseEnd {
    /// Every one, in the order of declaration.
    pub const ALL: [Self; 4] = [Self::Time, Self::Device, Self::Member, Self::Operator];
}

impl PauseCause {
    /// Whether a pause of this cause is ended by `end`. A pause has a time only where its cause gives it one.
    pub const fn ends_by(self, end: PauseEnd) -> bool {
        match (self, end) {
            (_, PauseEnd::Operator) | (Self::Manual | Self::Unanswered | Self::Operator, PauseEnd::Time) => {
                true
            }
            (Self::Unreachable, PauseEnd::Device) => true,
            (Self::Manual | Self::Unanswered | Self::Unreachable, PauseEnd::Member) => true,
            (Self::Unreachable, PauseEnd::Time) | (Self::Operator, PauseEnd::Member) => false,
            (Self::Manual | Self::Unanswered | Self::Operator, PauseEnd::Device) => false,
        }
    }
}

/// One pause of a business.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// The cause, which says what ends it.
    pub cause: PauseCause,
    /// When it began.
    pub since: Timestamp,
    /// When it ends by itself; `None`: not by time.
    pub until: Option<Timestamp>,
}

impl Pause {
    /// Whether it still holds at `now`.
    pub fn holds(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// The pauses of a business, at most one for each cause.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pauses(Vec<Pause>);

impl Pauses {
    /// These pauses; of two with one cause the last counts.
    pub fn new(pauses: impl IntoIterator<Item = Pause>) -> Self {
        let mut all = Self::default();
        for pause in pauses {
            all.put(pause);
        }
        all
    }

    /// Every pause, ended ones too.
    pub fn iter(&self) -> impl Iterator<Item = &Pause> {
        self.0.iter()
    }

    /// Those that hold at `now`.
    pub fn holding(&self, now: Timestamp) -> impl Iterator<Item = &Pause> {
        self.0.iter().filter(move |pause| pause.holds(now))
    }

    /// The pause of a cause, if it holds at `now`.
    pub fn of(&self, cause: PauseCause, now: Timestamp) -> Option<&Pause> {
        self.holding(now).find(|pause| pause.cause == cause)
    }

    /// Begins a pause, in place of one with the same cause.
    pub fn put(&mut self, pause: Pause) {
        self.remove(pause.cause);
        self.0.push(pause);
    }

    /// Ends the pause of this cause that holds at `now`, and tells whether there is none of it now: `false` where its cause does
    /// not end so, which changes nothing.
    pub fn end(&mut self, cause: PauseCause, end: PauseEnd, now: Timestamp) -> bool {
        let ends = self.of(cause, now).is_none() || cause.ends_by(end);
        if ends {
            self.remove(cause);
        }
        ends
    }

    /// Ends the pause of a cause.
    pub fn remove(&mut self, cause: PauseCause) {
        self.0.retain(|pause| pause.cause != cause);
    }

    /// The time at which the last pause that holds now ends by itself. `None`: nothing holds, or something has no end.
    pub fn until(&self, now: Timestamp) -> Option<Timestamp> {
        let ends: Option<Vec<Timestamp>> = self.holding(now).map(|pause| pause.until).collect();
        ends?.into_iter().max()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_000);
    const HOUR: Duration = Duration::from_secs(3600);

    fn all() -> Pauses {
        let pause = |cause| Pause { cause, since: NOW, until: Some(NOW.plus(HOUR)) };
        Pauses::new(PauseCause::ALL.map(pause))
    }

    #[test]
    fn a_pause_ends_by_what_belongs_to_its_cause_and_the_others_go_on() {
        use PauseCause::{Manual, Operator, Unanswered, Unreachable};
        for (end, ended) in [
            (PauseEnd::Device, [Unreachable].as_slice()),
            (PauseEnd::Member, &[Manual, Unreachable, Unanswered]),
            (PauseEnd::Operator, &PauseCause::ALL),
            (PauseEnd::Time, &[Manual, Unanswered, Operator]),
        ] {
            for cause in PauseCause::ALL {
                let mut pauses = all();
                assert_eq!(pauses.end(cause, end, NOW), ended.contains(&cause), "{cause} by {end:?}");
                let left = |other: &PauseCause| pauses.of(*other, NOW).is_some();
                for other in PauseCause::ALL {
                    assert_eq!(left(&other), other != cause || !ended.contains(&cause));
                }
            }
        }
    }

    #[test]
    fn a_business_is_paused_until_the_last_pause_ends_and_for_now_if_one_has_no_time() {
        let mut pauses = all();
        let later = Pause { cause: PauseCause::Manual, since: NOW, until: Some(NOW.plus(2 * HOUR)) };
        pauses.put(later);
        assert_eq!(pauses.until(NOW), later.until);
        assert_eq!(pauses.until(NOW.plus(HOUR)), later.until);
        assert_eq!(pauses.until(NOW.plus(2 * HOUR)), None);
        assert_eq!(pauses.holding(NOW.plus(2 * HOUR)).count(), 0);
        pauses.put(Pause { until: None, ..later });
        assert_eq!(pauses.until(NOW), None);
    }
}
