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
fn alerts_have_a_quarter_of_each_batch_and_what_others_leave() {
    let now = Instant::now();
    let mut queue = LaneQueue::new(LIMITS);
    for i in 0..20 {
        queue.push(waiting(i, Class::NewWork, u64::from(i), 1, now), now).expect("there is room");
        queue.push(waiting(100 + i, Class::Alerting, u64::from(i), 1, now), now).expect("there is room");
    }
    assert_eq!(queue.take_batch(), [0, 1, 2, 3, 4, 5, 100, 101]);
    assert_eq!(queue.take_batch(), [6, 7, 8, 9, 10, 11, 102, 103]);
    assert_eq!(queue.take_batch(), [12, 13, 14, 15, 16, 17, 104, 105]);
    assert_eq!(queue.take_batch(), [18, 19, 106, 107, 108, 109, 110, 111]);
    queue.push(waiting(50, Class::NewWork, 1, 500, now), now).expect("there is room");
    let after_a_large_one = queue.take_batch();
    assert_eq!(after_a_large_one, [50, 112, 113, 114, 115, 116, 117, 118], "it leaves them their bytes");
}

#[test]
fn a_batch_of_one_command_is_an_alert_every_fourth_time() {
    let now = Instant::now();
    let mut queue = LaneQueue::new(QueueLimits { batch_commands: 1, ..LIMITS });
    for i in 0..12 {
        queue.push(waiting(i, Class::Finishing, u64::from(i), 1, now), now).expect("there is room");
    }
    for i in 100..104 {
        queue.push(waiting(i, Class::Alerting, 1, 1, now), now).expect("there is room");
    }
    let taken: Vec<u32> = (0..16).flat_map(|_| queue.take_batch()).collect();
    assert_eq!(taken, [0, 1, 2, 100, 3, 4, 5, 101, 6, 7, 8, 102, 9, 10, 11, 103]);
}

#[test]
fn new_work_is_not_refused_for_alerts_that_wait_and_alerts_are_not_for_their_age() {
    let start = Instant::now();
    let late = start + Duration::from_secs(4);
    let mut queue = LaneQueue::new(LIMITS);
    (0..32).for_each(|_| {
        queue.push(waiting(0, Class::Alerting, 1, 1, start), start).expect("there is room");
    });
    queue.batch_took(Duration::from_millis(200), Fill::Full);
    let full = queue.push(waiting(1, Class::Alerting, 2, 1, late), late);
    assert_eq!(full, Err((1, Refusal::Full)), "four batches wait");
    assert_eq!(queue.push(waiting(2, Class::NewWork, 1, 1, late), late), Ok(()));
    queue.take_batch();
    assert_eq!(queue.push(waiting(3, Class::Alerting, 2, 1, late), late), Ok(()));
}

#[test]
fn alerts_take_no_place_of_others() {
    let now = Instant::now();
    let mut queue = LaneQueue::new(LIMITS);
    while queue.push(waiting(0, Class::Alerting, 1, 1, now), now).is_ok() {}
    let finishing = |_: &u32| queue.push(waiting(1, Class::Finishing, 1, 1, now), now).is_ok();
    assert_eq!((0..100).take_while(finishing).count(), LIMITS.queue_commands);
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
    let push = |queue: &mut LaneQueue<u32>, key| queue.push(waiting(0, Class::NewWork, key, 90, now), now);
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
    fn every_command_is_taken_once_and_each_key_in_order(commands in prop::collection::vec((0u64..4, 1usize..50, 0usize..3), 0..32)) {
        let now = Instant::now();
        let mut queue = LaneQueue::new(QueueLimits { queue_bytes: usize::MAX, ..LIMITS });
        const CLASSES: [Class; 3] = [Class::Finishing, Class::NewWork, Class::Alerting];
        for (i, (key, bytes, class)) in commands.iter().enumerate() {
            let class = CLASSES[*class];
            queue.push(waiting(i as u32, class, *key, *bytes, now), now).expect("there is room");
        }
        let mut seen = Vec::new();
        while queue.len() > 0 {
            let batch = queue.take_batch();
            prop_assert!(!batch.is_empty() && batch.len() <= LIMITS.batch_commands);
            seen.extend(batch);
        }
        prop_assert_eq!((queue.bytes, queue.alert_bytes, queue.of_key.len()), (0, 0, 0));
        for class in 0..3 {
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
