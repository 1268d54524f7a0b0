//! How large the body of each route may be, and how much all bodies together may hold while they arrive.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix_web::http::Method;
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

use crate::domain::address::AddressBlock;
use crate::http::response::problem::ApiError;
use crate::protocol::problem::ProblemCode;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Largest body of the routes that are not named: some fields of a line of text.
const OTHERS: usize = 16 * KIB;

/// Largest body by method and path below `/api/v1`; `*` is one id. Each has room for the largest values its fields take,
/// with every character escaped.
const BY_ROUTE: [(Method, &str, usize); 5] = [
    (Method::POST, "/auth/refresh", 2 * KIB),
    (Method::POST, "/auth/login", 4 * KIB),
    (Method::POST, "/auth/signup", 4 * KIB),
    (Method::POST, "/orders", 64 * KIB),
    (Method::POST, "/businesses/*/notifications", 32 * KIB),
];

/// So much of each body is not counted: nearly all are smaller, and neither wait for the large ones nor pay for a count.
const FREE: usize = 8 * KIB;

/// A body is counted in steps of this.
const STEP: usize = 16 * KIB;

/// What all bodies together may hold beyond [`FREE`].
const ALL: usize = 32 * MIB;

/// What the bodies of one address may hold beyond [`FREE`].
const OF_ONE: usize = 4 * MIB;

/// Largest body of a request.
pub(super) fn limit_of(method: &Method, path: &str) -> usize {
    let below = path.strip_prefix("/api/v1").unwrap_or_default();
    let is = |pattern: &str| {
        let (mut path, mut pattern) = (below.split('/'), pattern.split('/'));
        loop {
            match (path.next(), pattern.next()) {
                (None, None) => return true,
                (Some(part), Some(wanted)) if wanted == "*" || part == wanted => {}
                _ => return false,
            }
        }
    };
    let found = BY_ROUTE.iter().find(|(of, pattern, _)| of == method && is(pattern));
    found.map_or(OTHERS, |(_, _, limit)| *limit)
}

/// What the bodies under way hold on this node, as far as they have arrived.
#[derive(Debug)]
pub(in crate::http) struct BodyBudget(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    held: AtomicUsize,
    all: usize,
    of_one: usize,
    by_client: DashMap<AddressBlock, usize>,
}

/// What one body holds of the budget; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Holding {
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

    /// A body of which nothing has arrived.
    pub(super) fn open(&self, client: AddressBlock) -> Holding {
        Holding { counts: self.0.clone(), client, held: 0 }
    }
}

impl Holding {
    /// Counts a body that has so many bytes now.
    ///
    /// # Errors
    /// 503 when all bodies, or those of this client, hold as much as they may.
    pub(super) fn grow(&mut self, bytes: usize) -> Result<(), ApiError> {
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
            counts.give_back(self.client, more);
            return Err(refused());
        }
        self.held += more;
        Ok(())
    }
}

impl Counts {
    fn give_back(&self, client: AddressBlock, bytes: usize) {
        if let Entry::Occupied(mut held) = self.by_client.entry(client) {
            *held.get_mut() = held.get().saturating_sub(bytes);
            if *held.get() == 0 {
                held.remove();
            }
        }
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        if self.held > 0 {
            self.counts.held.fetch_sub(self.held, Ordering::AcqRel);
            self.counts.give_back(self.client, self.held);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_belongs_to_method_and_route() {
        assert_eq!(limit_of(&Method::POST, "/api/v1/auth/refresh"), 2 * KIB);
        assert_eq!(limit_of(&Method::POST, "/api/v1/orders"), 64 * KIB);
        assert_eq!(limit_of(&Method::POST, "/api/v1/businesses/biz_1/notifications"), 32 * KIB);
        for path in ["/api/v1/businesses/biz_1/menu/notifications", "/orders", "/api/v1/orders/x", "/", ""] {
            assert_eq!(limit_of(&Method::POST, path), OTHERS, "{path}");
        }
        assert_eq!(limit_of(&Method::PATCH, "/api/v1/orders"), OTHERS);
    }

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
        let mut others: Vec<Holding> = (2..4).map(|last| budget.open(client(last))).collect();
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
