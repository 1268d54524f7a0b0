//! The signal that ends the process: a part without which an order could be lost must not die alone.

use std::sync::Arc;

use tokio::sync::watch;

/// Raised once, by the first part that must not die and did. Cheap to clone.
#[derive(Clone, Debug)]
pub struct FatalSignal(Arc<watch::Sender<Option<&'static str>>>);

impl Default for FatalSignal {
    fn default() -> Self {
        Self::new()
    }
}

impl FatalSignal {
    /// A signal that is not raised.
    pub fn new() -> Self {
        Self(Arc::new(watch::channel(None).0))
    }

    /// Raises the signal with the name of the part; only the first name is kept.
    pub fn raise(&self, what: &'static str) {
        self.0.send_if_modified(|slot| {
            let first = slot.is_none();
            if first {
                *slot = Some(what);
            }
            first
        });
    }

    /// Waits for the signal, and gives the name of the part that died.
    pub async fn raised(&self) -> &'static str {
        let mut receiver = self.0.subscribe();
        match receiver.wait_for(Option::is_some).await {
            Ok(what) => what.unwrap_or("an unnamed part"),
            // The sender lives as long as `self`.
            Err(_) => std::future::pending().await,
        }
    }

    /// Raises the signal when it is dropped without having been disarmed, as a panic does.
    pub fn guard(&self, what: &'static str) -> FatalGuard {
        FatalGuard { signal: Some(self.clone()), what }
    }
}

/// See [`FatalSignal::guard`].
#[derive(Debug)]
pub struct FatalGuard {
    signal: Option<FatalSignal>,
    what: &'static str,
}

impl FatalGuard {
    /// The part ended as it should; nothing is raised.
    pub fn disarm(mut self) {
        self.signal = None;
    }
}

impl Drop for FatalGuard {
    fn drop(&mut self) {
        if let Some(signal) = self.signal.take() {
            signal.raise(self.what);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_part_that_panics_raises_the_signal_and_one_that_ends_well_does_not() {
        let signal = FatalSignal::new();
        signal.guard("a part that ends well").disarm();
        let guard = signal.guard("a part that panics");
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _guard = guard;
            panic!("on purpose");
        }));
        assert!(panicked.is_err());
        assert_eq!(signal.raised().await, "a part that panics");
    }
}
