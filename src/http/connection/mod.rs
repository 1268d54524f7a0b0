//! TCP connections before and around their requests: one request at a time, a deadline for each state, a bound on the
//! memory a connection holds, and refusals that look like all others (decision 0017).

mod acceptor;
mod address_places;
mod chunks;
mod exchange;
mod head;
mod refusal;
mod shared;
mod stream;

pub use acceptor::{Acceptor, AcceptorConfig};
pub use exchange::{Answer, Exchange, reporting};
pub(in crate::http) use exchange::{awaits_continue, end_with_client};
pub use refusal::REFUSALS;
pub use stream::Connection;
