use std::time::Instant;

use proptest::prelude::*;

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

fn at(seconds: u64) -> Duration {
    Duration::from_secs(1_000 + seconds)
}

fn admits(usage: &mut Usage, quota: &Quota, now: Duration) -> bool {
    matches!(usage.consume(quota, now).0, Decision::Admitted { .. })
}

#[test]
fn ten_a_minute_are_ten_in_any_minute() {
    let (quota, mut usage) = (Window::new(10, MINUTE).into(), Usage::default());
    // The pattern that a leaky bucket lets through: everything at once, then one each time one is back.
    let times: Vec<u64> = (0..10).map(|_| 0).chain((1..10).map(|n| 6 * n)).collect();
    let admitted = times.iter().filter(|time| admits(&mut usage, &quota, at(**time))).count();
    assert_eq!(admitted, 10);
    assert!(!admits(&mut usage, &quota, at(59)));
    assert_eq!((0..20).filter(|_| admits(&mut usage, &quota, at(60))).count(), 10);
}

#[test]
fn what_is_left_and_when_one_comes_back_is_said() {
    let (quota, mut usage) = (Window::new(2, MINUTE).into(), Usage::default());
    let left = |remaining, seconds| Decision::Admitted { remaining, reset: Duration::from_secs(seconds) };
    assert_eq!(usage.consume(&quota, at(0)), (left(1, 60), WindowKind::Short));
    assert_eq!(usage.consume(&quota, at(20)), (left(0, 40), WindowKind::Short));
    let refused = Decision::Refused { wait: Duration::from_secs(30) };
    assert_eq!(usage.consume(&quota, at(30)), (refused, WindowKind::Short));
    assert_eq!(usage.check(&quota, at(60)), None);
    assert_eq!(usage.consume(&quota, at(60)), (left(0, 20), WindowKind::Short));
}

#[test]
fn a_long_window_holds_beside_a_short_one() {
    let quota =
        Quota { short: Window::new(20, MINUTE), long: Some(Window::new(100, Duration::from_secs(600))) };
    let mut usage = Usage::default();
    let admitted: Vec<usize> =
        (0..10).map(|m| (0..50).filter(|_| admits(&mut usage, &quota, at(m * 60))).count()).collect();
    assert_eq!(admitted, [20, 20, 20, 20, 20, 0, 0, 0, 0, 0]);
    let (decision, which) = usage.consume(&quota, at(540));
    assert_eq!((decision, which), (Decision::Refused { wait: MINUTE }, WindowKind::Long));
}

#[test]
fn a_share_of_a_quota_admits_its_part_and_says_when_the_next_one_fits() {
    let (quota, mut usage) = (Quota::from(Window::new(100, MINUTE)), Usage::default());
    for second in 0..30 {
        assert!(admits(&mut usage, &quota, at(second)));
    }
    let share = quota.share(4);
    let refused = Decision::Refused { wait: Duration::from_secs(60 + 5 - 30) };
    assert_eq!(usage.consume(&share, at(30)), (refused, WindowKind::Short), "six of thirty have to leave");
    assert!(!admits(&mut usage, &share, at(64)) && admits(&mut usage, &share, at(65)));
    assert_eq!(quota.share(1_000).short.count, 1, "nobody is locked out");
}

#[test]
fn what_is_refunded_can_be_consumed_again_and_only_once() {
    let quota =
        Quota { short: Window::new(2, MINUTE), long: Some(Window::new(100, Duration::from_secs(600))) };
    let mut usage = Usage::default();
    assert!(admits(&mut usage, &quota, at(0)) && admits(&mut usage, &quota, at(50)));
    usage.refund(at(50));
    assert!(admits(&mut usage, &quota, at(55)), "the one at 50 came back");
    assert!(!admits(&mut usage, &quota, at(55)));
    assert!(admits(&mut usage, &quota, at(60)), "the one at 0 has left");
    (0..5).for_each(|_| usage.refund(at(2000)));
    assert!(!admits(&mut usage, &quota, at(60)), "nothing was consumed then");
    usage.refund(at(55));
    usage.refund(at(60));
    usage.refund(at(60));
    assert_eq!(usage.fullness(&quota, at(60)), 10, "the long one still has the first");
}

#[test]
fn a_log_holds_no_more_slots_than_it_says_whatever_the_number() {
    for count in [1, 10, 60, 61, 1_000, 10_000_000] {
        let (quota, mut usage) = (Window::new(count, MINUTE).into(), Usage::default());
        for step in 0..30_000 {
            usage.consume(&quota, at(0) + Duration::from_millis(step * 7));
        }
        assert!(usage.slots() <= 64, "{count} a minute: {} slots", usage.slots());
        usage.consume(&quota, at(100_000));
        assert_eq!(usage.count(&quota, at(100_000)), 1, "what has left the window is forgotten");
    }
}

#[test]
fn a_leaky_bucket_gives_a_burst_and_then_one_by_one() {
    let (bucket, start) = (LeakyBucket::new(10, Duration::from_secs(1), 3), Instant::now());
    let mut full_at = start;
    let mut spend = |millis| bucket.consume(&mut full_at, start + Duration::from_millis(millis));
    assert_eq!([spend(0), spend(0), spend(0)], [Ok(()); 3]);
    assert_eq!(spend(0), Err(Duration::from_millis(100)));
    assert_eq!(spend(100), Ok(()));
    assert!(spend(100).is_err());
    assert_eq!([spend(5000), spend(5000), spend(5000)], [Ok(()); 3]);
}

proptest! {
    /// With any pauses, refunds between, few requests and many: no window ever holds more than it may, and whoever
    /// waits as long as they are told is let in.
    #[test]
    fn no_window_of_the_length_ever_holds_more_than_the_number(
        count in 1u32..200, length_ms in 1u64..3_000, steps in prop::collection::vec((0u64..60_000, 0u8..10), 1..600),
    ) {
        let window = Window::new(count, Duration::from_millis(length_ms));
        let (quota, mut usage) = (window.into(), Usage::default());
        let mut now = Duration::from_secs(1);
        let mut kept: Vec<Duration> = Vec::new();
        for (pause_us, dice) in steps {
            now += Duration::from_micros(pause_us);
            match usage.consume(&quota, now).0 {
                Decision::Admitted { .. } if dice == 0 => usage.refund(now),
                Decision::Admitted { remaining, .. } => {
                    kept.push(now);
                    let since = now.saturating_sub(window.length);
                    let within = kept.iter().rev().take_while(|t| **t > since).count();
                    prop_assert!(within <= count as usize, "{within} of {count}");
                    prop_assert!(within + remaining as usize <= count as usize);
                }
                Decision::Refused { wait } => {
                    prop_assert!(wait <= window.length + Duration::from_millis(length_ms / 60 + 2));
                    let mut later = usage.clone();
                    let admitted = matches!(later.consume(&quota, now + wait).0, Decision::Admitted { .. });
                    prop_assert!(admitted, "after {wait:?}");
                }
            }
        }
    }
}
