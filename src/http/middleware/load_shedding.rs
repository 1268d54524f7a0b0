//! Refusal of new orders while the writers are overloaded.

use crate::http::app_state::AppState;
use crate::http::response::problem::ApiError;

/// Marks the answer to a request that was shed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shed;

/// Refuses a request for a route that sheds, before anything is done for it: most of what a refusal costs would be checks
/// of its token and body.
///
/// # Errors
/// 503 while the writers take no new work.
pub(super) fn check_load(app: &AppState) -> Result<(), ApiError> {
    app.persistence.takes_new_work().map_err(|overloaded| {
        app.metrics.order_creation_errors_total.inc();
        overloaded.into()
    })
}
