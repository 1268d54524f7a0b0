//! A sliding window log: the requests of one subject, and what its quota says to one more.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Decision, Quota, Window, WindowKind};

/// Most slots of one log. Up to this many requests a window have a slot each; of more, those within one 60th of the window share
/// a slot.
const SLOTS: u32 = 60;

impl Window {
    /// Its length in whole milliseconds.
    pub fn length_ms(self) -> u64 {
        floor_ms(self.length)
    }

    /// Requests closer together than this many milliseconds share a slot; 0 when each has its own.
    pub fn slot_ms(self) -> u64 {
        if self.count <= SLOTS { 0 } else { self.length_ms().div_ceil(SLOTS.into()) }
    }
}

/// Requests that share a slot: the time of the latest, in milliseconds, and their number. All of them count until the latest
/// leaves the window, so that no window ever holds more than it may.
#[derive(Clone, Copy, Debug)]
struct Slot(u64);

impl Slot {
    const COUNT_BITS: u32 = 20;
    const MAX_COUNT: u64 = (1 << Self::COUNT_BITS) - 1;

    fn new(at: u64, count: u64) -> Self {
        Self(at << Self::COUNT_BITS | count)
    }

    fn at(self) -> u64 {
        self.0 >> Self::COUNT_BITS
    }

    fn count(self) -> u64 {
        self.0 & Self::MAX_COUNT
    }
}

/// The requests of one subject within one window: at most 62 slots of 8 bytes.
#[derive(Clone, Debug, Default)]
struct Log {
    slots: VecDeque<Slot>,
    consumed: u64,
    /// The time of the first request of the last slot, in milliseconds.
    began: u64,
}

impl Log {
    fn expire(&mut self, window: Window, now: u64) {
        let length = window.length_ms();
        while let Some(slot) = self.slots.front()
            && slot.at() + length <= now
        {
            self.consumed -= slot.count();
            self.slots.pop_front();
        }
    }

    /// The time until the oldest slot leaves the window; zero without a slot.
    fn until_one_back(&self, window: Window, now: u64) -> Duration {
        let oldest = self.slots.front().map_or(0, |slot| slot.at() + window.length_ms());
        Duration::from_millis(oldest.saturating_sub(now))
    }

    /// The time until so many have left the window that one more fits, which is more than one where the number has been lowered.
    fn until_one_fits(&self, window: Window, now: u64) -> Duration {
        let mut over = (self.consumed + 1).saturating_sub(window.count.into());
        for slot in &self.slots {
            over = over.saturating_sub(slot.count());
            if over == 0 {
                return Duration::from_millis((slot.at() + window.length_ms()).saturating_sub(now));
            }
        }
        Duration::ZERO
    }

    /// The number that could be consumed now. Call [`Self::expire`] before.
    fn remaining(&self, window: Window) -> u32 {
        u32::try_from(u64::from(window.count).saturating_sub(self.consumed)).unwrap_or(u32::MAX)
    }

    fn record(&mut self, window: Window, at: u64) {
        self.consumed += 1;
        // Threads read the clock before they have the lock, so times may arrive out of order.
        let at = self.slots.back().map_or(at, |last| at.max(last.at()));
        if let Some(last) = self.slots.back_mut()
            && at.saturating_sub(self.began) < window.slot_ms()
            && last.count() < Slot::MAX_COUNT
        {
            *last = Slot::new(at, last.count() + 1);
            return;
        }
        self.slots.push_back(Slot::new(at, 1));
        self.began = at;
    }

    fn refund(&mut self, at: u64) {
        let Some(index) = self.slots.iter().position(|slot| slot.at() >= at) else { return };
        let slot = self.slots[index];
        self.consumed -= 1;
        if slot.count() > 1 {
            self.slots[index] = Slot::new(slot.at(), slot.count() - 1);
            return;
        }
        self.slots.remove(index);
        if index == self.slots.len() {
            self.began = 0;
        }
    }
}

/// The requests of one subject, as far as they count for a [`Quota`]. Times are since an origin of the owner's choice and never go
/// back.
#[derive(Clone, Debug, Default)]
pub struct Usage {
    short: Log,
    /// Allocated for a quota with two windows only.
    long: Option<Box<Log>>,
}

impl Usage {
    /// Consumes one, or says how long to wait. The second value is the window that decided: the one with the least left, or with the
    /// longest wait.
    pub fn consume(&mut self, quota: &Quota, now: Duration) -> (Decision, WindowKind) {
        if let Some(refused) = self.check(quota, now) {
            return refused;
        }
        let at = ceil_ms(now);
        self.short.record(quota.short, at);
        let left = |log: &Log, window| Decision::Admitted {
            remaining: log.remaining(window),
            reset: log.until_one_back(window, at),
        };
        if let (Some(log), Some(window)) = (&mut self.long, quota.long) {
            log.record(window, at);
            if log.remaining(window) < self.short.remaining(quota.short) {
                return (left(log, window), WindowKind::Long);
            }
        }
        (left(&self.short, quota.short), WindowKind::Short)
    }

    /// The refusal that [`Self::consume`] would return now, or `None`. Consumes nothing.
    pub fn check(&mut self, quota: &Quota, now: Duration) -> Option<(Decision, WindowKind)> {
        let now = floor_ms(now);
        let wait = |log: &mut Log, window| {
            log.expire(window, now);
            (log.remaining(window) == 0).then(|| log.until_one_fits(window, now))
        };
        let short = wait(&mut self.short, quota.short);
        let long = quota.long.and_then(|window| wait(self.long.get_or_insert_default(), window));
        match (short, long) {
            (None, None) => None,
            (Some(short), long) if long.is_none_or(|long| long <= short) => {
                Some((Decision::Refused { wait: short }, WindowKind::Short))
            }
            (_, long) => Some((Decision::Refused { wait: long.unwrap_or_default() }, WindowKind::Long)),
        }
    }

    /// Gives back one that was consumed at `at`; without effect when it has left the window.
    pub fn refund(&mut self, at: Duration) {
        self.short.refund(ceil_ms(at));
        if let Some(log) = &mut self.long {
            log.refund(ceil_ms(at));
        }
    }

    /// The consumed share of the quota, in thousandths of the fuller window. At 0 the usage can be dropped.
    pub fn fullness(&mut self, quota: &Quota, now: Duration) -> u64 {
        let now = floor_ms(now);
        let share = |log: &mut Log, window: Window| {
            log.expire(window, now);
            (log.consumed * 1000).div_ceil(window.count.into())
        };
        let short = share(&mut self.short, quota.short);
        let long = self.long.as_mut().zip(quota.long).map_or(0, |(log, window)| share(log, window));
        short.max(long)
    }

    /// The number of requests in the short window now.
    pub fn count(&mut self, quota: &Quota, now: Duration) -> u32 {
        self.short.expire(quota.short, floor_ms(now));
        u32::try_from(self.short.consumed).unwrap_or(u32::MAX)
    }

    /// Records one in the short window without asking; in a full window it replaces the oldest.
    pub fn record(&mut self, quota: &Quota, now: Duration) {
        self.short.expire(quota.short, floor_ms(now));
        if self.short.remaining(quota.short) == 0 {
            self.short.refund(0);
        }
        self.short.record(quota.short, ceil_ms(now));
    }

    /// The time of the latest request that is remembered.
    pub fn last(&self) -> Option<Duration> {
        self.short.slots.back().map(|slot| Duration::from_millis(slot.at()))
    }

    /// The number of slots that memory is held for, 8 bytes each.
    pub fn slots(&self) -> usize {
        self.short.slots.capacity() + self.long.as_ref().map_or(0, |log| log.slots.capacity())
    }
}

/// Whole milliseconds, rounded up: a request recorded so never leaves its window early.
fn ceil_ms(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

fn floor_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
