//! A connection of the pool, with its age.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::storage::sql::connection::Connection;

#[derive(Debug)]
pub(super) struct Pooled {
    pub(super) connection: Connection,
    made: Instant,
    used: Instant,
    _counted: Counted,
}

impl Pooled {
    /// Counted in `open` until it is dropped.
    pub(super) fn new(connection: Connection, open: &Arc<AtomicU32>) -> Self {
        let now = Instant::now();
        Self { connection, made: now, used: now, _counted: Counted::new(open) }
    }

    pub(super) fn age(&self) -> Duration {
        self.made.elapsed()
    }

    /// Time since it was last given back.
    pub(super) fn unused_for(&self) -> Duration {
        self.used.elapsed()
    }

    pub(super) fn touch(&mut self) {
        self.used = Instant::now();
    }
}

/// Counts a connection for as long as it exists.
#[derive(Debug)]
struct Counted(Arc<AtomicU32>);

impl Counted {
    fn new(open: &Arc<AtomicU32>) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self(open.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
