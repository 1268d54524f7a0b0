//! The state of persistence: which commands wait, which go next, which are refused.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::batch_builder::BatchBuilder;
use super::limits::QueueLimits;
use super::queued_command::{Class, FairnessKey, Waiting};

/// The share of the newest batch in the mean of how long batches take: a change is seen within some ten of them.
const NEWEST_BATCH: u32 = 8;

/// The reason a command was not queued.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The queue is at its bound of commands or bytes.
    Full,
    /// New work would wait longer than `max_wait`: the oldest command already does, the queue is too long, or this key has
    /// used its share.
    TooLong,
}

/// One lane's queue: finishing work first, then acknowledgements, new work and alerts, oldest first.
pub(super) struct LaneQueue<T> {
    limits: QueueLimits,
    finishing: VecDeque<Waiting<T>>,
    acknowledging: VecDeque<Waiting<T>>,
    new_work: VecDeque<Waiting<T>>,
    alerting: VecDeque<Waiting<T>>,
    /// Of all but the alerts.
    bytes: usize,
    /// Those of new work among them.
    new_work_bytes: usize,
    alert_bytes: usize,
    /// Batches since the last one with an alert in it.
    without_alerts: usize,
    /// New work that waits, by key.
    of_key: HashMap<FairnessKey, Share>,
    /// A moving mean of how long a batch takes that was as large as it might be; zero before the first.
    batch_takes: Duration,
}

/// The part of the queue that is of one key.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    commands: usize,
    bytes: usize,
}

/// The size of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fill {
    /// As large as it might be: more waited.
    Full,
    /// Everything that waited, so many commands.
    Partial(usize),
}

impl<T> LaneQueue<T> {
    pub(super) fn new(limits: QueueLimits) -> Self {
        Self {
            limits,
            finishing: VecDeque::new(),
            acknowledging: VecDeque::new(),
            new_work: VecDeque::new(),
            alerting: VecDeque::new(),
            bytes: 0,
            new_work_bytes: 0,
            alert_bytes: 0,
            without_alerts: 0,
            of_key: HashMap::new(),
            batch_takes: Duration::ZERO,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len_without_alerts() + self.alerting.len()
    }

    fn len_without_alerts(&self) -> usize {
        self.finishing.len() + self.acknowledging.len() + self.new_work.len()
    }

    /// Queues a command, or gives it back with the reason.
    pub(super) fn push(&mut self, waiting: Waiting<T>, now: Instant) -> Result<(), (T, Refusal)> {
        if let Some(refusal) = self.refusal(&waiting, now) {
            return Err((waiting.payload, refusal));
        }
        if waiting.class == Class::Alerting {
            self.alert_bytes += waiting.bytes;
        } else {
            self.bytes += waiting.bytes;
        }
        match waiting.class {
            Class::Finishing => self.finishing.push_back(waiting),
            Class::Acknowledging => self.acknowledging.push_back(waiting),
            Class::Alerting => self.alerting.push_back(waiting),
            Class::NewWork => {
                self.new_work_bytes += waiting.bytes;
                let share = self.of_key.entry(waiting.key).or_default();
                share.commands += 1;
                share.bytes += waiting.bytes;
                self.new_work.push_back(waiting);
            }
        }
        Ok(())
    }

    fn refusal(&self, waiting: &Waiting<T>, now: Instant) -> Option<Refusal> {
        let full = match waiting.class {
            Class::Alerting => {
                self.alerting.len() >= self.limits.alerts()
                    || self.alert_bytes + waiting.bytes > self.limits.alert_bytes()
            }
            Class::Finishing | Class::Acknowledging | Class::NewWork => {
                self.len_without_alerts() >= self.limits.queue_commands
                    || self.bytes + waiting.bytes > self.limits.queue_bytes
            }
        };
        let is_new = waiting.class == Class::NewWork;
        if full || is_new && self.has_its_share_of_new_work(waiting.bytes) {
            return Some(Refusal::Full);
        }
        (is_new && self.is_too_long_for(waiting.key, now)).then_some(Refusal::TooLong)
    }

    fn has_its_share_of_new_work(&self, bytes: usize) -> bool {
        self.new_work.len() >= self.limits.new_work_commands()
            || self.new_work_bytes + bytes > self.limits.new_work_bytes()
    }

    /// The start of the oldest command's wait, alerts left out, for which nobody waits.
    pub(super) fn oldest(&self) -> Option<Instant> {
        [self.finishing.front(), self.acknowledging.front(), self.new_work.front()]
            .into_iter()
            .flatten()
            .map(|w| w.queued_at)
            .min()
    }

    /// The time the oldest command has waited.
    pub(super) fn age(&self, now: Instant) -> Duration {
        self.oldest().map_or(Duration::ZERO, |at| now.saturating_duration_since(at))
    }

    /// A key may fill half of what may wait, as it may half a batch, so that others get in beside one that is overrun.
    fn is_too_long_for(&self, key: FairnessKey, now: Instant) -> bool {
        let share = self.of_key.get(&key).copied().unwrap_or_default();
        let wait = self.age(now).max(self.expected()).max(2 * self.takes(share.commands, share.bytes));
        wait > self.limits.max_wait
    }

    fn takes(&self, commands: usize, bytes: usize) -> Duration {
        let batches = (commands as f64 / self.limits.batch_commands as f64)
            .max(bytes as f64 / self.limits.batch_bytes as f64);
        self.batch_takes.mul_f64(batches)
    }

    /// Expected time until everything that waits is done but the alerts, if batches go on taking as long as they did. The age of the oldest command alone
    /// tells too late: by the time it is too old, several times what could be done has been let in behind it, and by
    /// the time it is young again nothing waits any more.
    pub(super) fn expected(&self) -> Duration {
        let alone = self.takes(self.len_without_alerts(), self.bytes);
        // Alerts take a quarter of each batch meanwhile.
        if self.alerting.is_empty() { alone } else { alone * 4 / 3 }
    }

    /// A batch of this size was committed and took so long. Of a full one, a small one tells only how long it takes at
    /// most; one that was stuck says little about the next.
    pub(super) fn batch_took(&mut self, took: Duration, fill: Fill) {
        let took = match fill {
            Fill::Full => took.min(self.limits.max_wait),
            Fill::Partial(commands) => {
                let at_most = took.mul_f64(self.limits.batch_commands as f64 / commands.max(1) as f64);
                if at_most >= self.batch_takes {
                    return;
                }
                at_most
            }
        };
        let known = if self.batch_takes.is_zero() { took } else { self.batch_takes };
        self.batch_takes = (known * (NEWEST_BATCH - 1) + took) / NEWEST_BATCH;
    }

    /// Takes out every command whose caller has stopped waiting. None of them has been tried.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<T> {
        let mut expired = Vec::new();
        for queue in [&mut self.finishing, &mut self.acknowledging, &mut self.new_work, &mut self.alerting] {
            if queue.iter().all(|w| w.deadline > now) {
                continue;
            }
            for waiting in std::mem::take(queue) {
                if waiting.deadline > now {
                    queue.push_back(waiting);
                } else {
                    expired.push(waiting);
                }
            }
        }
        expired.into_iter().map(|waiting| self.gone(waiting)).collect()
    }

    /// Counts a command out.
    fn gone(&mut self, waiting: Waiting<T>) -> T {
        if waiting.class == Class::Alerting {
            self.alert_bytes -= waiting.bytes;
            return waiting.payload;
        }
        self.bytes -= waiting.bytes;
        if waiting.class == Class::NewWork {
            self.new_work_bytes -= waiting.bytes;
        }
        if waiting.class == Class::NewWork
            && let Entry::Occupied(mut of_key) = self.of_key.entry(waiting.key)
        {
            of_key.get_mut().commands -= 1;
            of_key.get_mut().bytes -= waiting.bytes;
            if of_key.get().commands == 0 {
                of_key.remove();
            }
        }
        waiting.payload
    }

    /// Takes the next batch: class by class, each key in order and with at most half a batch while others
    /// wait. Alerts come last and have a quarter of it to themselves. Takes at least one command if any waits, however large.
    pub(super) fn take_batch(&mut self) -> Vec<T> {
        let (most, bytes) = (self.limits.batch_commands, self.limits.batch_bytes);
        let half = (most / 2).max(1);
        let kept = self.kept_for_alerts();
        let kept_bytes = if kept > 0 { bytes / 4 } else { 0 };
        let mut taken = BatchBuilder::new(most - kept, bytes - kept_bytes);
        for queue in [&mut self.finishing, &mut self.acknowledging, &mut self.new_work] {
            taken.fill_from(queue, half);
        }
        let left = bytes.saturating_sub(taken.bytes()).max(kept_bytes);
        let mut alerts = BatchBuilder::new(most - taken.commands.len(), left);
        // One command that is as large as a batch leaves room for no others, but for those it is kept for.
        if kept > 0 || left > 0 {
            alerts.fill_from(&mut self.alerting, half);
        }
        self.without_alerts =
            if alerts.commands.is_empty() { self.without_alerts.saturating_add(1) } else { 0 };
        taken.commands.append(&mut alerts.commands);
        taken.commands.into_iter().map(|waiting| self.gone(waiting)).collect()
    }

    /// Places of the next batch that only alerts take: a quarter, and one of every fourth batch where a batch has fewer than four.
    fn kept_for_alerts(&self) -> usize {
        let quarter = self.limits.batch_commands / 4;
        let kept = if quarter > 0 { quarter } else { usize::from(self.without_alerts >= 3) };
        kept.min(self.alerting.len())
    }
}

#[cfg(test)]
mod tests;
