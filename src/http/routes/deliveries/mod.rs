//! Deliveries: read by those who work on them, moved by their drivers' steps, given and taken by operators.

mod hands;
mod search;
mod steps;
mod view;

use crate::http::route_table::Mount;

pub(in crate::http::routes) use view::{answer_with, view_of};

/// Mounts the routes.
pub(in crate::http) fn routes(mount: &mut impl Mount) {
    mount
        .endpoint(view::read)
        .endpoint(search::extend)
        .endpoint(steps::report)
        .endpoint(hands::assign)
        .endpoint(hands::unassign)
        .endpoint(search::bring_yourself);
}
