//! The rules of the limits, pure: a sliding window log for quotas, which hold in any window of their length, and a leaky
//! bucket where a burst beyond a steady rate is right. Time is passed in.

pub mod table;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Most slots of one log. Up to so many requests a window are remembered each by itself; of more, those that come
/// within the 60th part of the window share a slot.
const SLOTS: u32 = 60;

/// At most `count` requests in any time of this `length`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// At least 1.
    pub count: u32,
    /// At least a millisecond.
    pub length: Duration,
}

impl Window {
    /// `count` requests in any `length`; both are taken as at least 1.
    pub fn new(count: u32, length: Duration) -> Self {
        Self { count: count.max(1), length: length.max(Duration::from_millis(1)) }
    }

    /// The same window for `times` as many requests.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { count: self.count.saturating_mul(times), ..self }
    }

    fn length_ms(self) -> u64 {
        down(self.length)
    }

    /// How far apart two requests in one slot may be, milliseconds.
    fn slot_ms(self) -> u64 {
        if self.count <= SLOTS { 0 } else { self.length_ms().div_ceil(SLOTS.into()) }
    }
}

/// One window, or a short and a long one that hold together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The first.
    pub short: Window,
    /// The other, if there is one.
    pub long: Option<Window>,
}

impl From<Window> for Quota {
    fn from(short: Window) -> Self {
        Self { short, long: None }
    }
}

impl Quota {
    /// Both windows for `times` as many requests.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { short: self.short.times(times), long: self.long.map(|long| long.times(times)) }
    }
}

/// Which of a quota's windows something is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// [`Quota::short`].
    Short,
    /// [`Quota::long`].
    Long,
}

/// What consuming came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It was consumed.
    Admitted {
        /// How many more could be consumed now.
        remaining: u32,
        /// Until one more comes back.
        reset: Duration,
    },
    /// Nothing was consumed.
    Refused {
        /// Until one can be consumed.
        wait: Duration,
    },
}

/// Requests that share a slot: the time of the last of them, in milliseconds, and how many there are. All of them count
/// until the last one leaves the window, so that no window ever holds more than it may.
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

/// Requests of one subject within one window: at most 62 slots of 8 bytes.
#[derive(Clone, Debug, Default)]
struct Log {
    slots: VecDeque<Slot>,
    spent: u64,
    /// The first request of the last slot.
    began: u64,
}

impl Log {
    fn expire(&mut self, window: Window, now: u64) {
        let length = window.length_ms();
        while let Some(slot) = self.slots.front()
            && slot.at() + length <= now
        {
            self.spent -= slot.count();
            self.slots.pop_front();
        }
    }

    /// Until the oldest slot leaves the window; nothing where there is none.
    fn until_one_back(&self, window: Window, now: u64) -> Duration {
        let oldest = self.slots.front().map_or(0, |slot| slot.at() + window.length_ms());
        Duration::from_millis(oldest.saturating_sub(now))
    }

    /// What could be consumed now, after [`Self::expire`].
    fn remaining(&self, window: Window) -> u32 {
        u32::try_from(u64::from(window.count).saturating_sub(self.spent)).unwrap_or(u32::MAX)
    }

    fn record(&mut self, window: Window, at: u64) {
        self.spent += 1;
        // Threads read their clocks before they have the lock.
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
        self.spent -= 1;
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

/// What one subject has consumed of a [`Quota`]. Times are since an origin that its owner chose; they never go back.
#[derive(Clone, Debug, Default)]
pub struct Usage {
    short: Log,
    /// Made when the quota has a second window.
    long: Option<Box<Log>>,
}

impl Usage {
    /// Consumes one, or says how long to wait; and which window leaves the least, or the longest wait.
    pub fn spend(&mut self, quota: &Quota, now: Duration) -> (Decision, Which) {
        if let Some(refused) = self.check(quota, now) {
            return refused;
        }
        let at = up(now);
        self.short.record(quota.short, at);
        let left = |log: &Log, window| Decision::Admitted {
            remaining: log.remaining(window),
            reset: log.until_one_back(window, at),
        };
        if let (Some(log), Some(window)) = (&mut self.long, quota.long) {
            log.record(window, at);
            if log.remaining(window) < self.short.remaining(quota.short) {
                return (left(log, window), Which::Long);
            }
        }
        (left(&self.short, quota.short), Which::Short)
    }

    /// How long the next one would have to wait; `None` when it would not. Consumes nothing.
    pub fn check(&mut self, quota: &Quota, now: Duration) -> Option<(Decision, Which)> {
        let now = down(now);
        let wait = |log: &mut Log, window| {
            log.expire(window, now);
            (log.remaining(window) == 0).then(|| log.until_one_back(window, now))
        };
        let short = wait(&mut self.short, quota.short);
        let long = quota.long.and_then(|window| wait(self.long.get_or_insert_default(), window));
        match (short, long) {
            (None, None) => None,
            (Some(short), long) if long.is_none_or(|long| long <= short) => {
                Some((Decision::Refused { wait: short }, Which::Short))
            }
            (_, long) => Some((Decision::Refused { wait: long.unwrap_or_default() }, Which::Long)),
        }
    }

    /// Gives back what was consumed at this time. What is not remembered any more is not given back.
    pub fn refund(&mut self, at: Duration) {
        self.short.refund(up(at));
        if let Some(log) = &mut self.long {
            log.refund(up(at));
        }
    }

    /// How much of the quota is consumed now, in thousandths of the fuller window; 0 is worth no memory.
    pub fn fullness(&mut self, quota: &Quota, now: Duration) -> u64 {
        let now = down(now);
        let share = |log: &mut Log, window: Window| {
            log.expire(window, now);
            (log.spent * 1000).div_ceil(window.count.into())
        };
        let short = share(&mut self.short, quota.short);
        let long = self.long.as_mut().zip(quota.long).map_or(0, |(log, window)| share(log, window));
        short.max(long)
    }

    /// How many requests the short window holds now.
    pub fn spent(&mut self, quota: &Quota, now: Duration) -> u32 {
        self.short.expire(quota.short, down(now));
        u32::try_from(self.short.spent).unwrap_or(u32::MAX)
    }

    /// Records one in the short window whether or not there is one left: where there is none, in the place of the oldest.
    pub fn record(&mut self, quota: &Quota, now: Duration) {
        self.short.expire(quota.short, down(now));
        if self.short.remaining(quota.short) == 0 {
            self.short.refund(0);
        }
        self.short.record(quota.short, up(now));
    }

    /// The time of the last one that is remembered.
    pub fn last(&self) -> Option<Duration> {
        self.short.slots.back().map(|slot| Duration::from_millis(slot.at()))
    }

    /// Slots that memory is held for, 8 bytes each.
    pub fn slots(&self) -> usize {
        self.short.slots.capacity() + self.long.as_ref().map_or(0, |log| log.slots.capacity())
    }
}

/// Whole milliseconds, rounded so that a request never leaves its window early.
fn up(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

fn down(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A steady rate with a burst: the generic cell rate algorithm. A window may hold the burst and what comes back besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeakyBucket {
    /// At least 1.
    pub burst: u32,
    /// How long one takes to come back.
    pub interval: Duration,
}

impl LeakyBucket {
    /// `count` in each `window`, of which at most `burst` at once. All are taken as at least 1.
    pub fn new(count: u32, window: Duration, burst: u32) -> Self {
        Self { burst: burst.max(1), interval: (window / count.max(1)).max(Duration::from_micros(1)) }
    }

    /// Consumes one, or says how long to wait. `full_at`, when everything is back, is all there is to remember; in the
    /// past nothing is consumed.
    ///
    /// # Errors
    /// How long to wait.
    pub fn spend(self, full_at: &mut Instant, now: Instant) -> Result<(), Duration> {
        let limit = now + self.interval.saturating_mul(self.burst);
        let next = (*full_at).max(now) + self.interval;
        if next > limit {
            return Err(next - limit);
        }
        *full_at = next;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
