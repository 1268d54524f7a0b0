//! Where an order stands in a list.

use crate::storage::sql::rows::AFTER_ALL;

/// A place in a list: smaller is further down.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) at: i64,
    pub(super) id: String,
}

impl Place {
    /// Above every order.
    pub(super) fn top() -> Self {
        Self { at: i64::MAX, id: AFTER_ALL.to_owned() }
    }
}
