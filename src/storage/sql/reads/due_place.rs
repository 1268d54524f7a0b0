//! The place in the list of due orders behind which a page begins.

use crate::storage::ports::DuePlace;
use crate::storage::sql::statement::Arg;

/// The place as the two arguments of a statement, time and order; the beginning of the list without one.
pub(super) fn behind(after: Option<DuePlace>) -> [Arg; 2] {
    let place = after.map(|place| (place.due_at.as_micros(), place.order.to_string()));
    let (due_at, order) = place.unwrap_or((i64::MIN, String::new()));
    [Arg::Int(due_at), Arg::Text(order)]
}
