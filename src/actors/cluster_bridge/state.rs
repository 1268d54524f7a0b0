//! The pure state of the bridge: how often it panicked lately.

use std::collections::VecDeque;
use std::time::Instant;

use super::settings::BridgeSettings;

/// What follows a panic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AfterPanic {
    /// It begins again.
    Rebuild,
    /// It panicked too often: something that comes again and again breaks it.
    StayOff,
}

/// The last panics, as many as are counted.
#[derive(Debug)]
pub(super) struct BridgeState {
    settings: BridgeSettings,
    panics: VecDeque<Instant>,
}

impl BridgeState {
    pub(super) const fn new(settings: BridgeSettings) -> Self {
        Self { settings, panics: VecDeque::new() }
    }

    pub(super) fn on_panic(&mut self, now: Instant) -> AfterPanic {
        self.panics.push_back(now);
        self.panics.retain(|at| now.saturating_duration_since(*at) < self.settings.within);
        if self.panics.len() >= self.settings.panics { AfterPanic::StayOff } else { AfterPanic::Rebuild }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn only_three_panics_in_one_minute_end_it() {
        let (start, s) = (Instant::now(), Duration::from_secs);
        let mut state = BridgeState::new(BridgeSettings::default());
        for (at, expected) in [
            (0, AfterPanic::Rebuild),
            (40, AfterPanic::Rebuild),
            (60, AfterPanic::Rebuild),
            (99, AfterPanic::StayOff),
        ] {
            assert_eq!(state.on_panic(start + s(at)), expected, "{at}");
        }
    }
}
