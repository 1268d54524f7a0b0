//! Payments through the provider: begun by customers, and the messages by which it says what came of them.

mod initiate;
mod webhook;

use crate::http::route_table::Mount;

/// Mounts the routes.
pub(in crate::http) fn routes(mount: &mut impl Mount) {
    mount.endpoint(initiate::initiate).endpoint(webhook::receive);
}
