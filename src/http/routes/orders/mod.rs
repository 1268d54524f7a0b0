//! Orders: placing, listing, reading, transitions, and their timeline.

mod access;
mod change;
mod list;
mod place;
mod place_body;
mod place_refusal;
mod precondition;
mod read;
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
        .endpoint(ring::ring)
        .endpoint(timeline::timeline)
        .endpoint(transition::change_status);
}
