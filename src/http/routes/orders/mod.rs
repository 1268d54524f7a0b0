//! Orders: placing, listing, reading, transitions, their money, and their timeline.

pub(in crate::http::routes) mod access;
mod carried;
mod change;
pub(in crate::http::routes) mod fulfilment;
mod list;
mod payments;
mod place;
mod place_body;
mod place_refusal;
mod precondition;
mod read;
pub(in crate::http::routes) mod refunds;
mod ring;
mod timeline;
mod transition;

use crate::http::route_table::Mount;

/// Mounts the routes.
pub(in crate::http) fn routes(mount: &mut impl Mount) {
    mount
        .endpoint(place::place)
        .endpoint(list::list)
        .endpoint(read::read)
        .endpoint(change::change)
        .endpoint(fulfilment::fetch)
        .endpoint(payments::record)
        .endpoint(refunds::give_back)
        .endpoint(ring::ring)
        .endpoint(timeline::timeline)
        .endpoint(transition::change_status);
}
