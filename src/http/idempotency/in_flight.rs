//! Requests that happen once however often they are sent (requirement 3.2). The store decides; the gate here only
//! keeps duplicates from working side by side, so that each finds the first answer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::HttpRequest;
use tokio::sync::OwnedMutexGuard;

use crate::protocol::problem::ProblemCode;

use crate::http::response::problem::ApiError;

/// Carries the key.
pub const HEADER: &str = "idempotency-key";

/// Marks an answer that was given before.
pub const REPLAYED: &str = "idempotency-replayed";

/// The longest key.
pub const MAX_KEY_CHARS: usize = 64;

/// How long a duplicate waits for the first answer.
pub const WAIT: Duration = Duration::from_secs(10);

/// Keys in use at once on this node; each is a request that holds a connection, so this is never the first bound hit.
const MAX_KEYS: usize = 16_384;

/// Whether `text` can be a key: 1 to 64 visible ASCII characters.
pub fn is_key(text: &str) -> bool {
    (1..=MAX_KEY_CHARS).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

/// The key in the header, if there is one.
///
/// # Errors
/// 422 for a header that is no key or comes twice.
pub fn key_of(request: &HttpRequest) -> Result<Option<String>, ApiError> {
    let mut values = request.headers().get_all(HEADER);
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => match value.to_str() {
            Ok(text) if is_key(text) => Ok(Some(text.to_owned())),
            _ => Err(ApiError::invalid_field("Idempotency-Key", "expected 1 to 64 visible ASCII characters")),
        },
        (Some(_), Some(_)) => Err(ApiError::invalid_field("Idempotency-Key", "must be given once")),
    }
}

type Key = (String, String);
type Waiting = Mutex<HashMap<Key, Arc<tokio::sync::Mutex<()>>>>;

/// Lets one request at a time through for each scope and key, in the order they came.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<Waiting>);

/// Whether a request came first with its key, as far as this node knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Nobody worked on the key when it came.
    First,
    /// It has waited for another one, whose answer may be kept by now.
    After,
}

/// The right to work on a key; dropping it lets the next one in.
#[derive(Debug)]
pub struct Passage {
    /// Whether it had to be waited for.
    pub turn: Turn,
    /// Before `place`: the lock has to be open before the entry is judged.
    _open: OwnedMutexGuard<()>,
    _place: Place,
}

/// A request's share of an entry. The last to go takes the entry along.
#[derive(Debug)]
struct Place {
    gate: Gate,
    key: Key,
    lock: Arc<tokio::sync::Mutex<()>>,
}

impl Gate {
    /// Waits up to `patience` until no other request works on this key.
    ///
    /// # Errors
    /// 409 `request_in_flight` when the wait was in vain, 503 when too many keys are in use.
    pub async fn enter(&self, scope: &str, key: &str, patience: Duration) -> Result<Passage, ApiError> {
        let place = self.place((scope.to_owned(), key.to_owned()))?;
        if let Ok(open) = Arc::clone(&place.lock).try_lock_owned() {
            return Ok(Passage { turn: Turn::First, _open: open, _place: place });
        }
        match tokio::time::timeout(patience, Arc::clone(&place.lock).lock_owned()).await {
            Ok(open) => Ok(Passage { turn: Turn::After, _open: open, _place: place }),
            Err(_) => {
                Err(ApiError::new(ProblemCode::InFlight, "Ask again for its answer with the same key.")
                    .retry_after(Duration::from_secs(1)))
            }
        }
    }

    fn place(&self, key: Key) -> Result<Place, ApiError> {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= MAX_KEYS && !keys.contains_key(&key) {
            return Err(ApiError::new(
                ProblemCode::Unavailable,
                "Too many requests at once; nothing happened.",
            ));
        }
        let lock = Arc::clone(keys.entry(key.clone()).or_default());
        Ok(Place { gate: self.clone(), key, lock })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut keys = self.gate.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The map's share and ours: nobody else holds or awaits this key, and nobody can begin to while `keys` is held.
        if Arc::strong_count(&self.lock) == 2 {
            keys.remove(&self.key);
        }
    }
}

/// 422: the key belongs to another request.
pub(in crate::http) fn key_reused() -> ApiError {
    ApiError::new(ProblemCode::IdempotencyMismatch, "Take a new key for a new request.")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(20);

    fn in_use(gate: &Gate) -> usize {
        gate.0.lock().unwrap().len()
    }

    #[tokio::test]
    async fn one_request_works_on_a_key_and_the_next_follows_when_it_is_done() {
        let gate = Gate::default();
        let first = gate.enter("user", "key", SOON).await.unwrap();
        assert_eq!(first.turn, Turn::First);
        let refused = gate.enter("user", "key", SOON).await.unwrap_err();
        assert_eq!(refused.code(), ProblemCode::InFlight);
        drop(gate.enter("user", "another", SOON).await.unwrap());
        let second = tokio::spawn({
            let gate = gate.clone();
            async move { gate.enter("user", "key", WAIT).await.map(|passage| passage.turn) }
        });
        tokio::task::yield_now().await;
        drop(first);
        assert_eq!(second.await.unwrap().unwrap(), Turn::After);
        assert_eq!(in_use(&gate), 0);
    }

    #[tokio::test]
    async fn a_waiter_that_goes_away_leaves_nothing_behind() {
        let gate = Gate::default();
        let first = gate.enter("user", "key", SOON).await.unwrap();
        {
            let waiter = gate.enter("user", "key", WAIT);
            tokio::pin!(waiter);
            assert!(futures_util::poll!(waiter.as_mut()).is_pending());
        }
        drop(first);
        assert_eq!(in_use(&gate), 0);
    }

    #[test]
    fn keys_are_visible_ascii_and_bounded() {
        assert!(is_key("a-Key_1!"));
        assert!(is_key(&"k".repeat(64)));
        for bad in ["", "a b", "schlüssel", "a\n", &"k".repeat(65)] {
            assert!(!is_key(bad), "{bad:?}");
        }
    }
}
