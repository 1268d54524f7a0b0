//! Upgrades of requests to sockets. They by-pass the web application and its middleware, so path, origin, credentials and
//! limits are checked here.

mod admission;
mod credentials;
mod handshake;
mod path;
mod refusal;
mod shared_places;
mod upgrade;

pub use admission::{Admission, Permit, TooManySockets};
pub(super) use handshake::upgrade_missing;
pub use path::PATTERNS;
pub(super) use path::is_socket;
pub use upgrade::{Upgrader, WorkerUpgrader};
