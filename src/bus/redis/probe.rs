//! The probe: whether messages really arrive, however alive the connection looks. Pure; the time is passed in.

use std::time::{Duration, Instant};

/// Pause between two probes that came back.
const EVERY: Duration = Duration::from_secs(5);

/// A probe that takes longer is missed, and the next one follows at once.
const WITHIN: Duration = Duration::from_secs(2);

/// Probes missed in a row after which the connection is made anew: at most 5 + 2 + 2 s after the last message that arrived.
const MISSES: u32 = 2;

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NextStep {
    /// Send the probe with this number to every probe channel.
    Send(u64),
    /// Look again at this time.
    Wait(Instant),
    /// Make the connection anew.
    GiveUp,
}

/// The probes of one connection after the other.
#[derive(Debug)]
pub(super) struct Probe {
    /// Probe channels, of which each has to deliver.
    channels: u32,
    number: u64,
    /// The time at which it was sent and the channels that have not delivered it.
    under_way: Option<(Instant, u32)>,
    next: Option<Instant>,
    misses: u32,
    green: bool,
}

impl Probe {
    /// Probes through so many channels, 32 at most; nothing is known yet.
    pub(super) const fn new(channels: u32) -> Self {
        Self { channels, number: 0, under_way: None, next: None, misses: 0, green: false }
    }

    /// A connection begins or has ended: nothing is known, and the next probe is due at once.
    pub(super) fn restart(&mut self) {
        // Numbers go on, so that what the last connection still delivers counts for nothing.
        *self = Self { number: self.number, ..Self::new(self.channels) };
    }

    /// The next step.
    pub(super) fn on_time(&mut self, now: Instant) -> NextStep {
        if let Some((sent, _)) = self.under_way {
            if now < sent + WITHIN {
                return NextStep::Wait(sent + WITHIN);
            }
            self.under_way = None;
            self.green = false;
            self.misses += 1;
            self.next = None;
            if self.misses >= MISSES {
                return NextStep::GiveUp;
            }
        }
        match self.next {
            Some(next) if now < next => NextStep::Wait(next),
            _ => {
                self.number += 1;
                let all = u32::MAX >> (32 - self.channels.clamp(1, 32));
                self.under_way = Some((now, all));
                NextStep::Send(self.number)
            }
        }
    }

    /// A channel delivered a probe; the round trip, when it was the last one that had not.
    pub(super) fn arrived(&mut self, number: u64, channel: u32, now: Instant) -> Option<Duration> {
        let (sent, missing) = self.under_way.as_mut().filter(|_| number == self.number)?;
        *missing &= !(1_u32.checked_shl(channel).unwrap_or(0));
        if *missing != 0 {
            return None;
        }
        let trip = now.saturating_duration_since(*sent);
        self.next = Some(*sent + EVERY);
        (self.under_way, self.misses, self.green) = (None, 0, true);
        Some(trip)
    }

    /// Whether the last probe came back in time.
    pub(super) const fn is_green(&self) -> bool {
        self.green
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    #[test]
    fn probes_that_come_back_are_sent_every_five_seconds() {
        let (mut probe, start) = (Probe::new(1), Instant::now());
        assert!(!probe.is_green());
        for n in 0..3 {
            let now = start + S(5 * n);
            assert_eq!(probe.on_time(now), NextStep::Send(n + 1));
            assert_eq!(probe.on_time(now + S(1)), NextStep::Wait(now + S(2)));
            assert_eq!(probe.arrived(n + 1, 0, now + S(1)), Some(S(1)));
            assert!(probe.is_green());
            assert_eq!(probe.on_time(now + S(1)), NextStep::Wait(now + S(5)));
        }
    }

    #[test]
    fn silence_is_doubted_after_one_probe_and_given_up_after_two_within_ten_seconds() {
        let (mut probe, start) = (Probe::new(1), Instant::now());
        assert_eq!(probe.on_time(start), NextStep::Send(1));
        assert!(probe.arrived(1, 0, start).is_some());
        assert_eq!(probe.on_time(start + S(5)), NextStep::Send(2));
        assert_eq!(probe.on_time(start + S(7)), NextStep::Send(3));
        assert!(!probe.is_green());
        assert_eq!(probe.arrived(2, 0, start + S(8)), None, "an old one counts for nothing");
        assert_eq!(probe.on_time(start + S(9)), NextStep::GiveUp);
        probe.restart();
        assert_eq!(probe.on_time(start + S(9)), NextStep::Send(4));
    }

    #[test]
    fn every_channel_has_to_deliver() {
        let (mut probe, start) = (Probe::new(3), Instant::now());
        assert_eq!(probe.on_time(start), NextStep::Send(1));
        for channel in [0, 2, 2, 7, 40] {
            assert_eq!(probe.arrived(1, channel, start), None);
        }
        assert_eq!(probe.arrived(1, 1, start + S(1)), Some(S(1)));
    }
}
