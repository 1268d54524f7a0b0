//! Signs of life: a part gives them, and whoever looks from time to time notices when they stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Time between two signs of life of a thread.
const BEAT_EVERY: Duration = Duration::from_millis(500);

/// Signs of life of one part: it beats, others compare. Clones are of the same part.
#[derive(Clone, Debug, Default)]
pub struct Pulse(Arc<Beats>);

#[derive(Debug, Default)]
struct Beats {
    count: AtomicU64,
    is_replaced: AtomicBool,
}

impl Pulse {
    /// A sign of life.
    pub fn beat(&self) {
        self.0.count.fetch_add(1, Ordering::Relaxed);
    }

    /// Another one has taken the place of this part, which ends when it gets to it.
    pub(super) fn replace(&self) {
        self.0.is_replaced.store(true, Ordering::Relaxed);
    }

    /// Whether another one has taken the place of this part.
    pub(super) fn is_replaced(&self) -> bool {
        self.0.is_replaced.load(Ordering::Relaxed)
    }

    /// Beats twice a second for as long as the thread that this runs on gets to it.
    pub async fn of_this_thread(self) {
        loop {
            self.beat();
            tokio::time::sleep(BEAT_EVERY).await;
        }
    }

    /// Whether anybody but the one who asks still has it.
    pub(super) fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }
}

/// What somebody who looks at a pulse from time to time has seen. It counts looks and no time: a process that was stopped for a
/// while, or a machine that slept, is not taken for one that stands still.
#[derive(Debug, Default)]
pub(super) struct Silence {
    beats: u64,
    looks: u32,
}

impl Silence {
    /// Looks once; the number of looks in a row that found no sign of life. A part that has never given one has not begun.
    pub(super) fn look(&mut self, pulse: &Pulse) -> u32 {
        let beats = pulse.0.count.load(Ordering::Relaxed);
        let is_silent = beats == self.beats && beats > 0;
        self.looks = if is_silent { self.looks.saturating_add(1) } else { 0 };
        self.beats = beats;
        self.looks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_counted_in_looks_from_the_first_sign_of_life_on() {
        let (pulse, mut silence) = (Pulse::default(), Silence::default());
        assert_eq!([(); 3].map(|()| silence.look(&pulse)), [0; 3], "it has not begun");
        pulse.beat();
        assert_eq!([(); 3].map(|()| silence.look(&pulse)), [0, 1, 2]);
        pulse.clone().beat();
        assert_eq!([(); 2].map(|()| silence.look(&pulse)), [0, 1], "it was only slow");
    }
}
