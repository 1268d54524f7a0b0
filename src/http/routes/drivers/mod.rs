//! What drivers say about themselves, what they are asked, and what they carry.

mod deliveries;
mod me;
mod offers;
mod standing;

use crate::http::route_table::Mount;

/// Mounts the routes.
pub(in crate::http) fn routes(mount: &mut impl Mount) {
    mount
        .endpoint(me::read)
        .endpoint(me::change)
        .endpoint(standing::set_status)
        .endpoint(standing::set_location)
        .endpoint(offers::list)
        .endpoint(offers::accept)
        .endpoint(offers::decline)
        .endpoint(deliveries::list);
}
