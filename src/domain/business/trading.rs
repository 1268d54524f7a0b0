//! Whether a business takes orders: as people say it, and as everybody sees it.

use crate::domain::string_enum::string_enum;
use crate::domain::time::Timestamp;

use super::pause::{Pause, PauseCause};
use super::{Business, BusinessState};

string_enum! {
    /// Whether a business takes orders, in one word.
    pub enum TradingWord {
        /// It takes orders.
        Open = "open",
        /// It takes orders and needs longer.
        Busy = "busy",
        /// It takes none for now.
        Paused = "paused",
        /// It takes none.
        Closed = "closed",
    }
}

/// The capacity in which somebody changes whether a business takes orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hand {
    /// A member of the business.
    Member,
    /// An operator of the hub.
    Operator,
}

impl Hand {
    /// The cause of the pauses that this hand begins.
    pub const fn cause(self) -> PauseCause {
        match self {
            Self::Member => PauseCause::Manual,
            Self::Operator => PauseCause::Operator,
        }
    }

    /// Whether this hand ends pauses of a cause.
    pub const fn ends(self, cause: PauseCause) -> bool {
        match (self, cause) {
            (Self::Operator, _) => true,
            (Self::Member, PauseCause::Operator) => false,
            (Self::Member, PauseCause::Manual | PauseCause::Unreachable | PauseCause::Unanswered) => true,
        }
    }
}

/// What somebody says about taking orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TradingChange {
    /// Orders are taken.
    Open,
    /// Orders are taken and need so many minutes more.
    Busy {
        /// Minutes added to the preparation time.
        extra_minutes: u16,
    },
    /// No orders for a while; `None`, for operators only, is until somebody ends it.
    Paused {
        /// When it ends by itself.
        until: Option<Timestamp>,
    },
    /// No orders until somebody opens it.
    Closed,
}

impl Business {
    /// Whether it takes orders at `now`, in one word.
    pub fn trading(&self, now: Timestamp) -> TradingWord {
        match self.state.at(now) {
            BusinessState::Closed => TradingWord::Closed,
            _ if self.holding_pauses(now).next().is_some() => TradingWord::Paused,
            BusinessState::Busy { .. } => TradingWord::Busy,
            BusinessState::Open | BusinessState::Paused { .. } => TradingWord::Open,
        }
    }

    /// The minutes that a busy business adds, while that is what it shows.
    pub fn extra_minutes(&self, now: Timestamp) -> Option<u16> {
        match self.state {
            BusinessState::Busy { extra_minutes } if self.trading(now) == TradingWord::Busy => {
                Some(extra_minutes)
            }
            _ => None,
        }
    }

    /// When it takes orders again by itself, while it is paused; `None` where a pause has no end.
    pub fn paused_until(&self, now: Timestamp) -> Option<Timestamp> {
        let is_paused = self.trading(now) == TradingWord::Paused;
        let ends: Option<Vec<Timestamp>> = self.holding_pauses(now).map(|pause| pause.until).collect();
        ends.filter(|_| is_paused)?.into_iter().max()
    }

    /// The pauses that hold at `now`. A pause that an older release stored as a state is one by hand.
    pub fn holding_pauses(&self, now: Timestamp) -> impl Iterator<Item = Pause> {
        self.old_pause()
            .filter(move |pause| pause.holds(now))
            .into_iter()
            .chain(self.pauses.holding(now).copied())
    }

    fn old_pause(&self) -> Option<Pause> {
        let BusinessState::Paused { until } = self.state else { return None };
        Some(Pause { cause: PauseCause::Manual, since: self.updated_at, until: Some(until) })
    }

    /// Keeps pauses beside the state, and only those that hold: so the state of an older release is taken in before a change.
    pub fn settle_pauses(&mut self, now: Timestamp) {
        self.pauses = super::Pauses::new(self.holding_pauses(now));
        if self.old_pause().is_some() {
            self.state = BusinessState::Open;
        }
    }

    /// Does what somebody says about taking orders. A state ends the pauses of the hand that says it; a pause leaves the state as it
    /// is, but a business that a member pauses while it is closed opens with it. Operators never open a closed one by a pause.
    pub fn trade(&mut self, change: TradingChange, hand: Hand, now: Timestamp) {
        self.settle_pauses(now);
        let state = match change {
            TradingChange::Open => BusinessState::Open,
            TradingChange::Busy { extra_minutes } => BusinessState::Busy { extra_minutes },
            TradingChange::Closed => BusinessState::Closed,
            TradingChange::Paused { until } => {
                if hand == Hand::Member && self.state == BusinessState::Closed {
                    self.state = BusinessState::Open;
                }
                self.pauses.put(Pause { cause: hand.cause(), since: now, until });
                return;
            }
        };
        self.state = state;
        self.pauses.remove(PauseCause::Manual);
        self.pauses.remove(hand.cause());
    }

    /// Ends the pause of a cause. With that of unanswered orders their count begins anew.
    pub fn end_pause(&mut self, cause: PauseCause, now: Timestamp) {
        self.settle_pauses(now);
        self.pauses.remove(cause);
        if cause == PauseCause::Unanswered {
            self.alerts.unanswered.clear();
        }
    }
}

#[cfg(test)]
mod tests;
