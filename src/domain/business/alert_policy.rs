//! How the orders of a business ring, and what is known of its answers.

use crate::domain::ids::UserId;
use crate::domain::string_enum::string_enum;
use crate::domain::time::Timestamp;

string_enum! {
    /// The evidence by which a business counts as reachable.
    #[derive(Default)]
    pub enum Reach {
        /// A device that can ring.
        #[default]
        Devices = "devices",
        /// A webhook endpoint that has not failed for five minutes.
        Webhook = "webhook",
        /// Either of them.
        Any = "any",
        /// Nothing: it is never paused as unreachable.
        Off = "off",
    }
}

/// The alert settings of a business and the facts that alerts depend on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertPolicy {
    /// Its own time to answer an order, seconds, 120–1200.
    pub accept_s: Option<u16>,
    /// Its own pause between rings, seconds, 5–60.
    pub ring_every_s: Option<u16>,
    /// Whether its orders are accepted after the first acknowledgement of a device.
    pub auto_accept: bool,
    /// The evidence that it is reachable.
    pub reach: Reach,
    /// Calls and mail are silent until then; devices ring.
    pub muted_until: Option<Timestamp>,
    /// When one of its devices first said that it can ring. `None`: never, so it is not paused as unreachable.
    pub can_ring_since: Option<Timestamp>,
    /// The customers of the orders that ran out since the last answer, each once, in the order of the ends.
    pub unanswered: Vec<UserId>,
    /// The last telephone call for waiting orders.
    pub called_at: Option<Timestamp>,
    /// The last mail for waiting orders.
    pub mailed_at: Option<Timestamp>,
    /// When it last opened, a pause ended, or it began to rely on its devices. `None`: not since it exists.
    pub opened_at: Option<Timestamp>,
}

impl AlertPolicy {
    /// Whether calls and mail are silent at `now`.
    pub fn is_muted(&self, now: Timestamp) -> bool {
        self.muted_until.is_some_and(|until| now < until)
    }
}
