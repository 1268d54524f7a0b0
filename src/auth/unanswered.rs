//! Tickets that may have been taken without anybody hearing of it, so that whoever was told to come again is let in.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use uuid::Uuid;

use super::token::TICKET_LIFETIME;

/// Tickets remembered at once, 40 bytes each. Beyond it a ticket stays in doubt, and a new one has to be taken.
const MOST: usize = 4_096;

/// Which tickets the store was asked to take without an answer: nothing was opened with them. Of this node only, since a
/// client comes again within seconds.
#[derive(Debug, Default)]
pub struct UnansweredTickets(Mutex<HashMap<Uuid, Instant>>);

impl UnansweredTickets {
    /// Nobody knows whether the ticket was taken.
    pub fn insert(&self, ticket: Uuid, now: Instant) {
        let mut tickets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tickets.len() >= MOST {
            tickets.retain(|_, since| now.saturating_duration_since(*since) < TICKET_LIFETIME);
        }
        if tickets.len() < MOST {
            tickets.insert(ticket, now);
        }
    }

    /// Whether a ticket that was taken was so without an answer; true once.
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
