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

/// One pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Its cause.
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
