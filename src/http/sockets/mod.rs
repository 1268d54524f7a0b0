//! Sockets: what comes before a session. Upgrade requests by-pass the web application and its middleware, so path,
//! origin, credentials and limits are looked at here.

mod admission;
mod upgrade;

pub use admission::{Admission, Permit, TooManySockets};
pub use upgrade::{PATTERNS, SocketGate, WorkerGate};
pub(super) use upgrade::{is_socket, upgrade_missing};
