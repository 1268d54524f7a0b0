//! The holds of the hub as this node last read them.

use std::sync::{Arc, PoisonError, RwLock};

use crate::domain::hold::{HeldAction, Hold};
use crate::domain::ids::BusinessId;
use crate::domain::time::Timestamp;

/// Holds in memory, read again every second, so that one that another node has set counts within two. While the store is away the
/// last ones count until they end. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct CurrentHolds(Arc<RwLock<Arc<[Hold]>>>);

impl CurrentHolds {
    /// Puts what was read in the place of what was known.
    pub fn replace(&self, holds: impl IntoIterator<Item = Hold>) {
        let holds = holds.into_iter().collect();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = holds;
    }

    /// Whether there are none of `what`, without asking where.
    pub fn is_free(&self, what: HeldAction) -> bool {
        self.all().iter().all(|hold| hold.what != what)
    }

    /// The hold that stops `what` for a business of this zone at `now`; of several the last to end.
    pub fn over(&self, what: HeldAction, business: BusinessId, zone: &str, now: Timestamp) -> Option<Hold> {
        let all = self.all();
        let stops = |hold: &&Hold| hold.what == what && now < hold.until && hold.scope.covers(business, zone);
        all.iter().filter(stops).max_by_key(|hold| hold.until).cloned()
    }

    fn all(&self) -> Arc<[Hold]> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::hold::HoldScope;

    #[test]
    fn a_hold_stops_its_action_in_its_scope_until_it_ends() {
        let (here, there) = (BusinessId::generate(), BusinessId::generate());
        let at = Timestamp::from_unix_seconds;
        let hold = |scope, until| Hold {
            what: HeldAction::NewOrders,
            scope,
            until: at(until),
            reason: "x".to_owned(),
        };
        let holds = CurrentHolds::default();
        assert!(holds.is_free(HeldAction::NewOrders));
        holds.replace([hold(HoldScope::Business(here), 100), hold(HoldScope::Zone("north".to_owned()), 200)]);
        let until =
            |what, business, zone, now| holds.over(what, business, zone, at(now)).map(|hold| hold.until);
        assert_eq!(until(HeldAction::NewOrders, here, "south", 99), Some(at(100)));
        assert_eq!(until(HeldAction::NewOrders, here, "south", 100), None);
        assert_eq!(until(HeldAction::NewOrders, here, "north", 99), Some(at(200)), "the last to end");
        assert_eq!(until(HeldAction::NewOrders, there, "south", 99), None);
        assert_eq!(until(HeldAction::Refunds, here, "north", 99), None);
        assert!(!holds.is_free(HeldAction::NewOrders) && holds.is_free(HeldAction::AutoPause));
    }
}
