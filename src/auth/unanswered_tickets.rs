//! Tickets whose redemption had no answer, so that the client that was told to try again is let in.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use uuid::Uuid;

use super::token::TICKET_LIFETIME;

/// Tickets remembered at once, 40 bytes each; the client of a further one has to get a new ticket.
const MOST: usize = 4_096;

/// Tickets that the store was asked to redeem without an answer; nothing was opened with them. Of this node only, since a
/// client tries again within seconds.
#[derive(Debug, Default)]
pub struct UnansweredTickets(Mutex<HashMap<Uuid, Instant>>);

impl UnansweredTickets {
    /// Notes a ticket that may have been redeemed.
    pub fn insert(&self, ticket: Uuid, now: Instant) {
        let mut tickets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tickets.len() >= MOST {
            tickets.retain(|_, since| now.saturating_duration_since(*since) < TICKET_LIFETIME);
        }
        if tickets.len() < MOST {
            tickets.insert(ticket, now);
        }
    }

    /// Removes a ticket; true if it was one of these.
    pub fn remove(&self, ticket: Uuid) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&ticket).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_in_doubt_is_given_back_once_and_a_flood_of_them_is_bounded() {
        let (tickets, now) = (UnansweredTickets::default(), Instant::now());
        tickets.insert(Uuid::from_u128(1), now);
        assert!(tickets.remove(Uuid::from_u128(1)));
        assert!(!tickets.remove(Uuid::from_u128(1)));
        (0..=MOST as u128).for_each(|n| tickets.insert(Uuid::from_u128(n), now));
        assert!(!tickets.remove(Uuid::from_u128(MOST as u128)));
        tickets.insert(Uuid::from_u128(1 << 64), now + TICKET_LIFETIME);
        assert!(tickets.remove(Uuid::from_u128(1 << 64)) && !tickets.remove(Uuid::from_u128(7)));
    }
}
