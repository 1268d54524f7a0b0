//! A bound on what all request bodies together hold while they arrive.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

use crate::domain::address::AddressBlock;
use crate::http::response::problem::ApiError;
use crate::protocol::problem::ProblemCode;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Bytes of each body that are not counted: nearly all are smaller, and neither wait for the large ones nor pay for a count.
const FREE: usize = 8 * KIB;

/// Bytes of one counting step.
const STEP: usize = 16 * KIB;

/// Bytes that all bodies together may hold beyond [`FREE`].
const ALL: usize = 32 * MIB;

/// Bytes that the bodies of one address may hold beyond [`FREE`].
const OF_ONE: usize = 4 * MIB;

/// The bytes of request bodies that have arrived on this node and are not handled yet.
#[derive(Debug)]
pub(in crate::http) struct BodyBudget(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    held: AtomicUsize,
    all: usize,
    of_one: usize,
    by_client: DashMap<AddressBlock, usize>,
}

/// The share of the budget that one body holds; given back when it is dropped.
#[derive(Debug)]
pub(in crate::http) struct BodyShare {
    counts: Arc<Counts>,
    client: AddressBlock,
    held: usize,
}

impl Default for BodyBudget {
    fn default() -> Self {
        Self::new(ALL, OF_ONE)
    }
}

impl BodyBudget {
    fn new(all: usize, of_one: usize) -> Self {
        let held = AtomicUsize::new(0);
        Self(Arc::new(Counts { held, all, of_one, by_client: DashMap::new() }))
    }

    /// The share of a body of which nothing has arrived.
    pub(in crate::http) fn open(&self, client: AddressBlock) -> BodyShare {
        BodyShare { counts: self.0.clone(), client, held: 0 }
    }
}

impl BodyShare {
    /// Counts a body that has this many bytes now.
    ///
    /// # Errors
    /// 503 when all bodies, or those of this client, hold as much as they may.
    pub(in crate::http) fn grow(&mut self, bytes: usize) -> Result<(), ApiError> {
        if bytes <= FREE + self.held {
            return Ok(());
        }
        let more = (bytes - FREE - self.held).next_multiple_of(STEP);
        let counts = &self.counts;
        let within = |held: usize, most: usize| held.checked_add(more).filter(|sum| *sum <= most);
        let refused = || {
            ApiError::new(ProblemCode::Unavailable, "Too many large bodies arrive at once; nothing happened.")
        };
        {
            let mut of_client = counts.by_client.entry(self.client).or_insert(0);
            // The step is smaller than a share, so nobody is left here with nothing.
            *of_client = within(*of_client, counts.of_one).ok_or_else(refused)?;
        }
        let taken =
            counts.held.fetch_update(Ordering::AcqRel, Ordering::Acquire, |held| within(held, counts.all));
        if taken.is_err() {
            counts.release(self.client, more);
            return Err(refused());
        }
        self.held += more;
        Ok(())
    }
}

impl Counts {
    fn release(&self, client: AddressBlock, bytes: usize) {
        if let Entry::Occupied(mut held) = self.by_client.entry(client) {
            *held.get_mut() = held.get().saturating_sub(bytes);
            if *held.get() == 0 {
                held.remove();
            }
        }
    }
}

impl Drop for BodyShare {
    fn drop(&mut self) {
        if self.held > 0 {
            self.counts.held.fetch_sub(self.held, Ordering::AcqRel);
            self.counts.release(self.client, self.held);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_bodies_share_what_there_is_and_small_ones_are_always_taken() {
        let client = |last: u8| AddressBlock::of([192, 0, 2, last].into());
        let budget = BodyBudget::new(4 * STEP, 2 * STEP);
        let mut first = budget.open(client(1));
        first.grow(FREE).unwrap();
        assert_eq!(budget.0.held.load(Ordering::Relaxed), 0);
        first.grow(FREE + 1).unwrap();
        first.grow(FREE + STEP).unwrap();
        assert_eq!(budget.0.held.load(Ordering::Relaxed), STEP);
        first.grow(FREE + 2 * STEP).unwrap();
        let mut second = budget.open(client(1));
        assert_eq!(second.grow(FREE + 1).unwrap_err().code(), ProblemCode::Unavailable, "its share");
        second.grow(FREE).unwrap();
        let mut others: Vec<BodyShare> = (2..4).map(|last| budget.open(client(last))).collect();
        others.iter_mut().for_each(|body| body.grow(FREE + STEP).unwrap());
        assert!(budget.open(client(9)).grow(FREE + 1).is_err(), "all there is");
        assert_eq!(budget.0.by_client.len(), 3, "who was refused is not kept");
        drop(first);
        budget.open(client(9)).grow(FREE + 1).unwrap();
        drop((second, others));
        assert!(budget.0.by_client.is_empty());
        assert_eq!(budget.0.held.load(Ordering::Relaxed), 0);
    }
}
