//! The idempotency keys of requests under way. The store decides which request is a repetition; this only keeps
//! duplicates from working side by side, so that each finds the first answer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;

use crate::http::response::problem::ApiError;
use crate::protocol::problem::ProblemCode;

/// Longest time a duplicate waits for the first answer.
pub(in crate::http) const WAIT: Duration = Duration::from_secs(10);

/// Keys in use at once on this node; each is a request that holds a connection, so this is never the first bound hit.
const MAX_KEYS: usize = 16_384;

/// Scope and key.
type Key = (String, String);
type KeyLocks = Mutex<HashMap<Key, Arc<tokio::sync::Mutex<()>>>>;

/// The keys in use on this node. One request at a time works on each scope and key, in the order they came.
#[derive(Clone, Debug, Default)]
pub(in crate::http) struct InFlightKeys(Arc<KeyLocks>);

/// The right to work on a key; dropping it lets the next request in.
#[derive(Debug)]
pub(in crate::http) struct KeyGuard {
    /// Whether another request of this node worked on the key before; its answer may be stored by now.
    pub(in crate::http) waited: bool,
    /// Declared before the entry: the lock has to be open before the entry is judged.
    _open: OwnedMutexGuard<()>,
    _entry: KeyEntry,
}

/// A request's share of an entry. The last share to be dropped removes the entry.
#[derive(Debug)]
struct KeyEntry {
    keys: InFlightKeys,
    key: Key,
    lock: Arc<tokio::sync::Mutex<()>>,
}

impl InFlightKeys {
    /// Waits up to `patience` until no other request works on this key.
    ///
    /// # Errors
    /// 409 `request_in_flight` when the time is over, 503 when too many keys are in use.
    pub(in crate::http) async fn enter(
        &self,
        scope: &str,
        key: &str,
        patience: Duration,
    ) -> Result<KeyGuard, ApiError> {
        let entry = self.entry((scope.to_owned(), key.to_owned()))?;
        if let Ok(open) = Arc::clone(&entry.lock).try_lock_owned() {
            return Ok(KeyGuard { waited: false, _open: open, _entry: entry });
        }
        match tokio::time::timeout(patience, Arc::clone(&entry.lock).lock_owned()).await {
            Ok(open) => Ok(KeyGuard { waited: true, _open: open, _entry: entry }),
            Err(_) => {
                Err(ApiError::new(ProblemCode::InFlight, "Ask again for its answer with the same key.")
                    .retry_after(Duration::from_secs(1)))
            }
        }
    }

    fn entry(&self, key: Key) -> Result<KeyEntry, ApiError> {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= MAX_KEYS && !keys.contains_key(&key) {
            return Err(ApiError::new(
                ProblemCode::Unavailable,
                "Too many requests at once; nothing happened.",
            ));
        }
        let lock = Arc::clone(keys.entry(key.clone()).or_default());
        Ok(KeyEntry { keys: self.clone(), key, lock })
    }
}

impl Drop for KeyEntry {
    fn drop(&mut self) {
        let mut keys = self.keys.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The map's share and ours: nobody else holds or awaits this key, and nobody can begin to while `keys` is held.
        if Arc::strong_count(&self.lock) == 2 {
            keys.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(20);

    fn in_use(keys: &InFlightKeys) -> usize {
        keys.0.lock().unwrap().len()
    }

    #[tokio::test]
    async fn one_request_works_on_a_key_and_the_next_follows_when_it_is_done() {
        let keys = InFlightKeys::default();
        let first = keys.enter("user", "key", SOON).await.unwrap();
        assert!(!first.waited);
        let refused = keys.enter("user", "key", SOON).await.unwrap_err();
        assert_eq!(refused.code(), ProblemCode::InFlight);
        drop(keys.enter("user", "another", SOON).await.unwrap());
        let second = tokio::spawn({
            let keys = keys.clone();
            async move { keys.enter("user", "key", WAIT).await.map(|guard| guard.waited) }
        });
        tokio::task::yield_now().await;
        drop(first);
        assert!(second.await.unwrap().unwrap());
        assert_eq!(in_use(&keys), 0);
    }

    #[tokio::test]
    async fn a_waiter_that_goes_away_leaves_nothing_behind() {
        let keys = InFlightKeys::default();
        let first = keys.enter("user", "key", SOON).await.unwrap();
        {
            let waiter = keys.enter("user", "key", WAIT);
            tokio::pin!(waiter);
            assert!(futures_util::poll!(waiter.as_mut()).is_pending());
        }
        drop(first);
        assert_eq!(in_use(&keys), 0);
    }
}
