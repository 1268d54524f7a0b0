//! The signal that ends the process: a part without which an order could be lost must not die alone.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::watch;

use super::pulse::{Pulse, Silence};

/// Raised once, by the first part that must not die and did. Cheap to clone.
#[derive(Clone, Debug)]
pub struct FatalSignal(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    raised: watch::Sender<Option<&'static str>>,
    /// Parts that give signs of life, with what was seen of each: as many as there are threads and writers.
    parts: Mutex<Vec<(&'static str, Pulse, Silence)>>,
}

/// A [`FatalSignal`] for whoever is not to keep it.
#[derive(Debug)]
pub(super) struct WeakSignal(Weak<Shared>);

impl WeakSignal {
    pub(super) fn upgrade(&self) -> Option<FatalSignal> {
        self.0.upgrade().map(FatalSignal)
    }
}

impl Default for FatalSignal {
    fn default() -> Self {
        Self::new()
    }
}

impl FatalSignal {
    /// A signal that is not raised.
    pub fn new() -> Self {
        Self(Arc::new(Shared { raised: watch::channel(None).0, parts: Mutex::default() }))
    }

    /// Raises the signal with the name of the part; only the first name is kept.
    pub fn raise(&self, what: &'static str) {
        self.0.raised.send_if_modified(|slot| {
            let first = slot.is_none();
            if first {
                *slot = Some(what);
            }
            first
        });
    }

    /// Waits for the signal, and gives the name of the part that died.
    pub async fn raised(&self) -> &'static str {
        let mut receiver = self.0.raised.subscribe();
        match receiver.wait_for(Option::is_some).await {
            Ok(what) => what.unwrap_or("an unnamed part"),
            // The sender lives as long as `self`.
            Err(_) => std::future::pending().await,
        }
    }

    /// Raises the signal when it is dropped without having been disarmed, as a panic does.
    pub fn guard(&self, what: &'static str) -> FatalGuard {
        FatalGuard { signal: Some(self.clone()), what, pulse: self.pulse(what) }
    }

    /// The pulse of a part; one that has begun to beat and stops raises the signal, until it is dropped.
    pub fn pulse(&self, what: &'static str) -> Pulse {
        let pulse = Pulse::default();
        let mut parts = self.0.parts.lock().unwrap_or_else(PoisonError::into_inner);
        parts.push((what, pulse.clone(), Silence::default()));
        pulse
    }

    /// Looks at each part once: the number of looks in a row that found no sign of life.
    pub(super) fn look_at_parts(&self) -> Vec<(&'static str, u32)> {
        let mut parts = self.0.parts.lock().unwrap_or_else(PoisonError::into_inner);
        parts.retain(|(_, pulse, _)| pulse.is_shared());
        parts.iter_mut().map(|(what, pulse, silence)| (*what, silence.look(pulse))).collect()
    }

    pub(super) fn downgrade(&self) -> WeakSignal {
        WeakSignal(Arc::downgrade(&self.0))
    }

    #[cfg(test)]
    pub(super) fn is_raised(&self) -> bool {
        self.0.raised.borrow().is_some()
    }
}

/// See [`FatalSignal::guard`].
#[derive(Debug)]
pub struct FatalGuard {
    signal: Option<FatalSignal>,
    what: &'static str,
    pulse: Pulse,
}

impl FatalGuard {
    /// The part is alive.
    pub fn beat(&self) {
        self.pulse.beat();
    }

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
