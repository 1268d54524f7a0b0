//! A room's events over plain HTTP, for clients that cannot hold a socket; cursors are those of the sockets.

mod ack;
mod poll;
mod stream;
mod subscribe;

use crate::http::route_table::Mount;

/// Mounts the routes.
pub(in crate::http) fn routes(mount: &mut impl Mount) {
    mount.endpoint(poll::poll).endpoint(stream::stream).endpoint(ack::acknowledge);
}
