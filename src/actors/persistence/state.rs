//! The mind of persistence: which commands wait, which go next, which are told no.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

pub(super) use crate::storage::commands::WritePriority as Class;

/// Work that shares a key keeps its order and may fill no more than half a batch while other keys wait.
pub(super) type FairnessKey = u64;

/// A command that waits.
#[derive(Debug)]
pub(super) struct Waiting<T> {
    pub(super) payload: T,
    pub(super) class: Class,
    pub(super) key: FairnessKey,
    pub(super) bytes: usize,
    pub(super) queued_at: Instant,
    pub(super) deadline: Instant,
}

/// The bounds of one lane's queue and of what it takes at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct QueueLimits {
    pub(super) batch_commands: usize,
    pub(super) batch_bytes: usize,
    pub(super) queue_commands: usize,
    pub(super) queue_bytes: usize,
    /// How long a command may have waited, or would wait, before new work is refused.
    pub(super) max_wait: Duration,
}

/// The share of the newest batch in the mean of how long batches take: a change is seen within some ten of them.
const NEWEST_BATCH: u32 = 8;

/// Why a command was not queued.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// As many commands or bytes wait as may.
    Full,
    /// The oldest command waits longer than new work may be let in behind, the new one would, or its key's part of what
    /// may wait is taken.
    TooLong,
}

/// One lane's queue: finishing work first, then acknowledgements, then new work, oldest first.
pub(super) struct LaneQueue<T> {
    limits: QueueLimits,
    finishing: VecDeque<Waiting<T>>,
    acknowledging: VecDeque<Waiting<T>>,
    new_work: VecDeque<Waiting<T>>,
    bytes: usize,
    /// Those of new work among them.
    new_work_bytes: usize,
    /// New work that waits, by key.
    of_key: HashMap<FairnessKey, Share>,
    /// A moving mean of how long a batch takes that was as large as it might be; zero before the first.
    batch_takes: Duration,
}

/// What waits of one key.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    commands: usize,
    bytes: usize,
}

/// How large a batch was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fill {
    /// As large as it might be: more waited.
    Full,
    /// Everything that waited, so many commands.
    Partial(usize),
}

impl QueueLimits {
    /// New work takes three quarters of the queue at most, and leaves the rest to what finishes work.
    pub(super) fn new_work_commands(&self) -> usize {
        self.queue_commands - self.queue_commands / 4
    }

    fn new_work_bytes(&self) -> usize {
        self.queue_bytes - self.queue_bytes / 4
    }
}

impl<T> LaneQueue<T> {
    pub(super) fn new(limits: QueueLimits) -> Self {
        Self {
            limits,
            finishing: VecDeque::new(),
            acknowledging: VecDeque::new(),
            new_work: VecDeque::new(),
            bytes: 0,
            new_work_bytes: 0,
            of_key: HashMap::new(),
            batch_takes: Duration::ZERO,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.finishing.len() + self.acknowledging.len() + self.new_work.len()
    }

    /// Queues a command, or gives it back with the reason.
    pub(super) fn push(&mut self, waiting: Waiting<T>, now: Instant) -> Result<(), (T, Refusal)> {
        if self.len() >= self.limits.queue_commands || self.bytes + waiting.bytes > self.limits.queue_bytes {
            return Err((waiting.payload, Refusal::Full));
        }
        if waiting.class == Class::NewWork && self.has_its_share_of_new_work(waiting.bytes) {
            return Err((waiting.payload, Refusal::Full));
        }
        if waiting.class == Class::NewWork && self.is_too_long_for(waiting.key, now) {
            return Err((waiting.payload, Refusal::TooLong));
        }
        self.bytes += waiting.bytes;
        match waiting.class {
            Class::Finishing => self.finishing.push_back(waiting),
            Class::Acknowledging => self.acknowledging.push_back(waiting),
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

    fn has_its_share_of_new_work(&self, bytes: usize) -> bool {
        self.new_work.len() >= self.limits.new_work_commands()
            || self.new_work_bytes + bytes > self.limits.new_work_bytes()
    }

    /// Since when the oldest command has waited.
    pub(super) fn oldest(&self) -> Option<Instant> {
        [self.finishing.front(), self.acknowledging.front(), self.new_work.front()]
            .into_iter()
            .flatten()
            .map(|w| w.queued_at)
            .min()
    }

    /// How long the oldest command has waited.
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

    /// How long what waits will take, if batches go on taking as long as they did. The age of the oldest command alone
    /// tells too late: by the time it is too old, several times what could be done has been let in behind it, and by
    /// the time it is young again nothing waits any more.
    pub(super) fn expected(&self) -> Duration {
        self.takes(self.len(), self.bytes)
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
        for queue in [&mut self.finishing, &mut self.acknowledging, &mut self.new_work] {
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
    /// wait. Takes at least one command if any waits, however large.
    pub(super) fn take_batch(&mut self) -> Vec<T> {
        let mut taken = Taken { bytes: 0, batch: Vec::new(), limits: self.limits };
        for queue in [&mut self.finishing, &mut self.acknowledging, &mut self.new_work] {
            let mut passed_over = VecDeque::new();
            let mut per_key: HashMap<FairnessKey, usize> = HashMap::new();
            let half = (self.limits.batch_commands / 2).max(1);
            while let Some(waiting) = queue.pop_front() {
                let of_key = per_key.entry(waiting.key).or_default();
                if *of_key >= half {
                    passed_over.push_back(waiting);
                    continue;
                }
                *of_key += 1;
                if let Some(back) = taken.add(waiting) {
                    queue.push_front(back);
                    break;
                }
            }
            // No one else waits, so what was passed over for fairness may fill the rest.
            if queue.is_empty() {
                while let Some(waiting) = passed_over.pop_front() {
                    if let Some(back) = taken.add(waiting) {
                        passed_over.push_front(back);
                        break;
                    }
                }
            }
            while let Some(waiting) = passed_over.pop_back() {
                queue.push_front(waiting);
            }
        }
        taken.batch.into_iter().map(|waiting| self.gone(waiting)).collect()
    }
}

struct Taken<T> {
    limits: QueueLimits,
    bytes: usize,
    batch: Vec<Waiting<T>>,
}

impl<T> Taken<T> {
    /// Adds to the batch, or gives back what does not fit any more.
    fn add(&mut self, waiting: Waiting<T>) -> Option<Waiting<T>> {
        let full = self.batch.len() >= self.limits.batch_commands
            || (!self.batch.is_empty() && self.bytes + waiting.bytes > self.limits.batch_bytes);
        if full {
            return Some(waiting);
        }
        self.bytes += waiting.bytes;
        self.batch.push(waiting);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: QueueLimits = QueueLimits {
        batch_commands: 8,
        batch_bytes: 100,
        queue_commands: 40,
        queue_bytes: 1000,
        max_wait: Duration::from_millis(250),
    };

    fn waiting(payload: u32, class: Class, key: u64, bytes: usize, at: Instant) -> Waiting<u32> {
        Waiting { payload, class, key, bytes, queued_at: at, deadline: at + Duration::from_secs(5) }
    }

    #[test]
    fn finishing_work_goes_before_new_work() {
        let now = Instant::now();
        let mut queue = LaneQueue::new(LIMITS);
        queue.push(waiting(1, Class::NewWork, 1, 1, now), now).expect("there is room");
        queue.push(waiting(2, Class::Finishing, 2, 1, now), now).expect("there is room");
        assert_eq!(queue.take_batch(), [2, 1]);
        assert_eq!(queue.len(), 0);
    }

    #[test]
    fn one_key_fills_half_a_batch_while_others_wait_and_all_of_it_alone() {
        let now = Instant::now();
        let mut queue = LaneQueue::new(LIMITS);
        for i in 0..10 {
            queue.push(waiting(i, Class::NewWork, 7, 1, now), now).expect("there is room");
        }
        for i in 10..13 {
            queue.push(waiting(i, Class::NewWork, 8, 1, now), now).expect("there is room");
        }
        assert_eq!(queue.take_batch(), [0, 1, 2, 3, 10, 11, 12, 4]);
        assert_eq!(queue.take_batch(), [5, 6, 7, 8, 9], "alone, a key may fill the batch, in order");
    }

    #[test]
    fn a_batch_ends_at_its_bytes_but_never_stays_empty() {
        let now = Instant::now();
        let mut queue = LaneQueue::new(LIMITS);
        for (i, bytes) in [500, 60, 60].into_iter().enumerate() {
            queue.push(waiting(i as u32, Class::NewWork, i as u64, bytes, now), now).expect("there is room");
        }
        assert_eq!(queue.take_batch(), [0]);
        assert_eq!(queue.take_batch(), [1]);
        assert_eq!(queue.take_batch(), [2]);
    }

    #[test]
    fn new_work_is_refused_behind_an_old_queue_and_finishing_work_is_not() {
        let start = Instant::now();
        let late = start + Duration::from_millis(300);
        let mut queue = LaneQueue::new(LIMITS);
        queue.push(waiting(1, Class::NewWork, 1, 1, start), start).expect("there is room");
        assert_eq!(queue.push(waiting(2, Class::NewWork, 1, 1, late), late), Err((2, Refusal::TooLong)));
        assert_eq!(queue.push(waiting(3, Class::Finishing, 1, 1, late), late), Ok(()));
    }

    #[test]
    fn new_work_is_refused_behind_a_queue_that_will_take_too_long_however_young_it_is() {
        let now = Instant::now();
        let mut queue = LaneQueue::new(LIMITS);
        let mut key = 0;
        let mut push = |queue: &mut LaneQueue<u32>, class| {
            key += 1;
            queue.push(waiting(0, class, key, 1, now), now)
        };
        for _ in 0..24 {
            push(&mut queue, Class::NewWork).expect("nobody knows yet how long a batch takes");
        }
        (0..100).for_each(|_| queue.batch_took(Duration::from_millis(200), Fill::Partial(1)));
        push(&mut queue, Class::NewWork).expect("a small batch says nothing of a large one");
        queue.batch_took(Duration::from_millis(100), Fill::Full);
        assert_eq!(push(&mut queue, Class::NewWork), Err((0, Refusal::TooLong)), "three batches of 100 ms");
        assert_eq!(push(&mut queue, Class::Finishing), Ok(()));
        for _ in 0..2 {
            queue.take_batch();
        }
        assert_eq!(push(&mut queue, Class::NewWork), Ok(()));
    }

    #[test]
    fn a_batch_that_was_stuck_counts_as_no_more_than_new_work_may_wait() {
        let now = Instant::now();
        let mut queue = LaneQueue::new(LIMITS);
        (0..100).for_each(|_| queue.batch_took(Duration::from_secs(60), Fill::Full));
        for i in 0..LIMITS.batch_commands as u32 {
            let key = u64::from(i);
            queue.push(waiting(i, Class::NewWork, key, 1, now), now).expect("less than a batch waits");
        }
    }

    #[test]
    fn a_small_batch_that_was_fast_shows_that_a_full_one_takes_less_than_was_thought() {
        let mut queue: LaneQueue<u32> = LaneQueue::new(LIMITS);
        queue.batch_took(Duration::from_millis(200), Fill::Full);
        (0..100).for_each(|_| queue.batch_took(Duration::from_millis(10), Fill::Partial(4)));
        assert!(queue.batch_takes < Duration::from_millis(21), "{:?}", queue.batch_takes);
        queue.batch_took(Duration::from_millis(200), Fill::Partial(8));
        assert!(queue.batch_takes < Duration::from_millis(21), "it may have been stuck");
    }

    #[test]
    fn a_key_that_is_overrun_fills_half_of_what_may_wait_and_others_get_in_beside_it() {
        let now = Instant::now();
        let mut queue = LaneQueue::new(LIMITS);
        queue.batch_took(Duration::from_millis(50), Fill::Full);
        let push = |queue: &mut LaneQueue<u32>, key| queue.push(waiting(0, Class::NewWork, key, 1, now), now);
        let taken = (0..100).take_while(|_| push(&mut queue, 7).is_ok()).count();
        assert_eq!(taken, 21, "two and a half batches of eight, and the one that goes over");
        assert_eq!(push(&mut queue, 8), Ok(()));
        let batch = queue.take_batch().len();
        assert_eq!((batch, push(&mut queue, 7)), (8, Ok(())), "what is taken makes room");
        (0..10).for_each(|_| drop(queue.take_batch()));
        assert!(queue.of_key.is_empty(), "nothing is kept of a key that has nothing waiting");
    }

    #[test]
    fn a_queue_of_few_large_commands_takes_as_long_as_its_bytes() {
        let now = Instant::now();
        let mut queue = LaneQueue::new(LIMITS);
        queue.batch_took(Duration::from_millis(100), Fill::Full);
        let push =
            |queue: &mut LaneQueue<u32>, key| queue.push(waiting(0, Class::NewWork, key, 90, now), now);
        assert_eq!((1..).take_while(|key| push(&mut queue, *key).is_ok()).count(), 3);
    }

    #[test]
    fn a_full_queue_refuses_by_count_and_by_bytes() {
        let now = Instant::now();
        let mut queue = LaneQueue::new(LIMITS);
        assert_eq!(queue.push(waiting(1, Class::NewWork, 1, 1001, now), now), Err((1, Refusal::Full)));
        for i in 0..30 {
            queue.push(waiting(i, Class::NewWork, 1, 1, now), now).expect("there is room");
        }
        assert_eq!(queue.push(waiting(30, Class::NewWork, 2, 1, now), now), Err((30, Refusal::Full)));
        for i in 31..41 {
            queue.push(waiting(i, Class::Finishing, 1, 1, now), now).expect("a quarter is left for it");
        }
        assert_eq!(queue.push(waiting(41, Class::Finishing, 1, 1, now), now), Err((41, Refusal::Full)));
        (0..10).for_each(|_| drop(queue.take_batch()));
        assert_eq!((queue.bytes, queue.new_work_bytes), (0, 0));
        queue.push(waiting(1, Class::NewWork, 1, 750, now), now).expect("there is room");
        assert_eq!(queue.push(waiting(2, Class::NewWork, 1, 1, now), now), Err((2, Refusal::Full)));
        queue.push(waiting(3, Class::Finishing, 1, 250, now), now).expect("a quarter is left for it");
    }

    #[test]
    fn what_nobody_waits_for_any_more_is_taken_out_untried() {
        let now = Instant::now();
        let mut queue = LaneQueue::new(LIMITS);
        queue.push(waiting(1, Class::NewWork, 1, 10, now), now).expect("there is room");
        queue
            .push(waiting(2, Class::Finishing, 1, 10, now + Duration::from_secs(3)), now)
            .expect("there is room");
        assert_eq!(queue.expire(now + Duration::from_secs(6)), [1]);
        assert_eq!(queue.take_batch(), [2]);
        assert_eq!(queue.bytes, 0);
    }

    proptest! {
        #[test]
        fn every_command_is_taken_once_and_each_key_in_order(commands in prop::collection::vec((0u64..4, 1usize..50, any::<bool>()), 0..40)) {
            let now = Instant::now();
            let mut queue = LaneQueue::new(QueueLimits { queue_bytes: usize::MAX, ..LIMITS });
            for (i, (key, bytes, finishing)) in commands.iter().enumerate() {
                let class = if *finishing { Class::Finishing } else { Class::NewWork };
                queue.push(waiting(i as u32, class, *key, *bytes, now), now).expect("there is room");
            }
            let mut seen = Vec::new();
            while queue.len() > 0 {
                let batch = queue.take_batch();
                prop_assert!(!batch.is_empty() && batch.len() <= LIMITS.batch_commands);
                seen.extend(batch);
            }
            prop_assert_eq!((queue.bytes, queue.of_key.len()), (0, 0));
            for class in [true, false] {
                for key in 0..4 {
                    let of = |i: &u32| { let c = &commands[*i as usize]; c.0 == key && c.2 == class };
                    let taken: Vec<u32> = seen.iter().copied().filter(of).collect();
                    prop_assert!(taken.is_sorted());
                }
            }
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..commands.len() as u32).collect::<Vec<_>>());
        }
    }
}
