//! Delays for password guessing: after some failures within an hour each further attempt has to wait, twice
//! as long each time. Failures of strangers do not delay the people of the account.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use crate::domain::address::AddressBlock;
use crate::domain::quota::Window;
use crate::domain::quota::table::{QuotaTable, TableBounds};

/// Failures at one account from one place that cost nothing, so that people may mistype.
const FREE_HERE: u32 = 5;

/// Failures at one account from everywhere that cost strangers nothing: far more than its people make, far fewer than
/// it takes to guess a password.
const FREE_FROM_ANYWHERE: u32 = 100;

/// Time for which a failure counts.
const WINDOW: Duration = Duration::from_secs(3600);

/// The wait after the first failure too many; it doubles from there.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// The longest wait: a person who mistyped can still get in today.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// Accounts with places remembered at once, 2.5 MiB at most. Beyond it those with the fewest failures are forgotten, so
/// that a flood of made-up addresses does not wash out an account under attack.
const REMEMBERED: TableBounds = TableBounds { subjects: 14_336, slots: 131_072 };

/// Places from which an account was signed in to, remembered at once.
const KNOWN: TableBounds = TableBounds { subjects: 14_336, slots: 131_072 };

/// Time for which a place is known after the last sign-in from there.
const KNOWN_FOR: Duration = Duration::from_secs(30 * 86_400);

/// An attempt to sign in, as far as failures are counted by it.
#[derive(Clone, Copy, Debug)]
pub struct LoginAttempt<'a> {
    /// The account's address in lower case, known or not.
    pub account: &'a str,
    /// The network it comes from.
    pub block: AddressBlock,
    /// The device it names, if the account was signed in to with it before.
    pub known_device: Option<&'a str>,
}

/// Keys of the counters: hashes with a secret of this process, so that nobody can choose them.
#[derive(Clone, Copy, Debug)]
struct Keys {
    /// From this place, on this device.
    here: u64,
    /// From anywhere, on this device; `None` where nobody else's failures count.
    anywhere: Option<u64>,
    /// The place, for remembering that it is known.
    place: u64,
}

/// Recent failures, by account and place and by account alone. Accounts that do not exist look the same as those that do.
#[derive(Debug)]
pub struct LoginThrottle {
    began: Instant,
    hasher: RandomState,
    here: QuotaTable<u64>,
    anywhere: QuotaTable<u64>,
    known: QuotaTable<u64>,
}

impl Default for LoginThrottle {
    fn default() -> Self {
        Self::new(Instant::now())
    }
}

impl LoginThrottle {
    /// No failures yet.
    pub fn new(now: Instant) -> Self {
        let window = |count| Window::new(count, WINDOW).into();
        // One entry for each doubling of the wait beyond those that are free is enough to know the wait by.
        Self {
            began: now,
            hasher: RandomState::new(),
            here: QuotaTable::new(window(FREE_HERE + DOUBLINGS), REMEMBERED),
            anywhere: QuotaTable::new(window(FREE_FROM_ANYWHERE + DOUBLINGS), REMEMBERED),
            known: QuotaTable::new(Window::new(1, KNOWN_FOR).into(), KNOWN),
        }
    }

    /// Whether an attempt may be made now.
    ///
    /// # Errors
    /// The time it has to wait.
    pub fn admit(&mut self, attempt: LoginAttempt<'_>, now: Instant) -> Result<(), Duration> {
        let (keys, now) = (self.keys(attempt, now), self.since(now));
        let here = wait(self.here.recent(&keys.here, now), FREE_HERE, now);
        let anywhere =
            keys.anywhere.map(|key| wait(self.anywhere.recent(&key, now), FREE_FROM_ANYWHERE, now));
        let left = here.max(anywhere.unwrap_or_default());
        if left.is_zero() { Ok(()) } else { Err(left) }
    }

    /// Counts a failed attempt.
    pub fn failed(&mut self, attempt: LoginAttempt<'_>, now: Instant) {
        let (keys, now) = (self.keys(attempt, now), self.since(now));
        self.here.record(keys.here, now);
        if let Some(key) = keys.anywhere {
            self.anywhere.record(key, now);
        }
    }

    /// Forgets the failures of an account's own people at this place, and knows the place from now on. Those of others
    /// go on to count for others.
    pub fn succeeded(&mut self, attempt: LoginAttempt<'_>, now: Instant) {
        let (keys, now) = (self.keys(attempt, now), self.since(now));
        self.here.forget(&keys.here);
        self.known.record(keys.place, now);
    }

    /// Whether the account was signed in to before from this place or on this device.
    pub fn is_known(&mut self, attempt: LoginAttempt<'_>, now: Instant) -> bool {
        attempt.known_device.is_some() || self.is_known_place(attempt, now)
    }

    fn is_known_place(
        &mut self,
        LoginAttempt { account, block, .. }: LoginAttempt<'_>,
        now: Instant,
    ) -> bool {
        let (place, now) = (self.hasher.hash_one((account, block)), self.since(now));
        self.known.recent(&place, now).is_some_and(|(spent, _)| spent > 0)
    }

    fn keys(&mut self, attempt: LoginAttempt<'_>, now: Instant) -> Keys {
        let LoginAttempt { account, block, known_device } = attempt;
        let stranger = known_device.is_none() && !self.is_known_place(attempt, now);
        let key = |block: Option<AddressBlock>| self.hasher.hash_one((account, known_device, block));
        // A known device has a count of its own, from anywhere as well: its name may have been guessed.
        let anywhere = (stranger || known_device.is_some()).then(|| key(None));
        Keys { here: key(Some(block)), anywhere, place: self.hasher.hash_one((account, block)) }
    }

    fn since(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.began)
    }
}

/// Doublings of the first wait until it is the longest.
const DOUBLINGS: u32 = 9;

fn wait(failures: Option<(u32, Duration)>, free: u32, now: Duration) -> Duration {
    let Some((failures, last)) = failures else { return Duration::ZERO };
    let Some(too_many) = failures.checked_sub(free) else { return Duration::ZERO };
    let doubled = FIRST_WAIT.saturating_mul(1 << too_many.min(DOUBLINGS));
    (last + doubled.min(LONGEST_WAIT)).saturating_sub(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Scenario {
        throttle: LoginThrottle,
        start: Instant,
    }

    fn from(address: &str) -> LoginAttempt<'static> {
        let block = AddressBlock::of(address.parse().unwrap());
        LoginAttempt { account: "zoe@example.com", block, known_device: None }
    }

    fn from_number(n: u32) -> LoginAttempt<'static> {
        from(&std::net::Ipv4Addr::from_bits(0x0a00_0000 + n).to_string())
    }

    impl Scenario {
        fn new() -> Self {
            let start = Instant::now();
            Self { throttle: LoginThrottle::new(start), start }
        }

        fn fail(&mut self, times: usize, attempt: LoginAttempt<'_>, seconds: u64) {
            let now = self.at(seconds);
            (0..times).for_each(|_| self.throttle.failed(attempt, now));
        }

        fn wait(&mut self, attempt: LoginAttempt<'_>, seconds: u64) -> u64 {
            let now = self.at(seconds);
            self.throttle.admit(attempt, now).map_or_else(|wait| wait.as_secs(), |()| 0)
        }

        fn at(&self, seconds: u64) -> Instant {
            self.start + Duration::from_secs(seconds)
        }
    }

    #[test]
    fn the_wait_doubles_from_a_second_to_five_minutes_after_the_fifth_failure() {
        for (failures, seconds) in
            [(4, 0), (5, 1), (6, 2), (7, 4), (12, 128), (13, 256), (14, 300), (50, 300)]
        {
            let mut scenario = Scenario::new();
            scenario.fail(failures, from("192.0.2.1"), 0);
            assert_eq!(scenario.wait(from("192.0.2.1"), 0), seconds, "{failures} failures");
        }
    }

    #[test]
    fn an_attempt_is_admitted_when_its_wait_is_over() {
        let mut scenario = Scenario::new();
        scenario.fail(6, from("192.0.2.1"), 0);
        assert_eq!(scenario.wait(from("192.0.2.1"), 1), 1);
        assert_eq!(scenario.wait(from("192.0.2.1"), 2), 0);
        assert_eq!(scenario.wait(from("192.0.2.2"), 0), 0, "another place");
        let other = LoginAttempt { account: "other@example.com", ..from("192.0.2.1") };
        assert_eq!(scenario.wait(other, 0), 0, "another account");
    }

    #[test]
    fn failures_are_forgotten_after_an_hour_and_by_a_success() {
        let mut scenario = Scenario::new();
        scenario.fail(50, from("192.0.2.1"), 0);
        assert_eq!(scenario.wait(from("192.0.2.1"), 3601), 0);
        scenario.fail(1, from("192.0.2.1"), 3601);
        assert_eq!(scenario.wait(from("192.0.2.1"), 3601), 0);
        scenario.fail(50, from("192.0.2.1"), 3601);
        let now = scenario.at(3601);
        scenario.throttle.succeeded(from("192.0.2.1"), now);
        assert_eq!(scenario.wait(from("192.0.2.1"), 3601), 0);
    }

    #[test]
    fn strangers_are_slowed_down_over_all_their_addresses_and_the_accounts_people_are_not() {
        let mut scenario = Scenario::new();
        let known_place = from("198.51.100.7");
        let now = scenario.at(0);
        scenario.throttle.succeeded(known_place, now);
        for n in 0..200 {
            scenario.fail(1, from_number(n), 1);
        }
        let stranger = from_number(9_999);
        assert_eq!(scenario.wait(stranger, 1), 300, "from an address that has never failed");
        assert_eq!(scenario.wait(known_place, 1), 0);
        let tablet = LoginAttempt { known_device: Some("tablet-1"), ..stranger };
        assert_eq!(scenario.wait(tablet, 1), 0, "a known device at a new place");
        scenario.fail(5, tablet, 1);
        assert_eq!(scenario.wait(tablet, 1), 1, "its own failures count");
        let other = LoginAttempt { known_device: Some("tablet-2"), ..stranger };
        assert_eq!(scenario.wait(other, 1), 0, "and no other device's");
    }

    #[test]
    fn a_device_whose_name_was_guessed_does_not_open_the_account_to_guessing() {
        let mut scenario = Scenario::new();
        for n in 0..200 {
            scenario.fail(1, LoginAttempt { known_device: Some("tablet-1"), ..from_number(n) }, 1);
        }
        let claim = LoginAttempt { known_device: Some("tablet-1"), ..from_number(9_999) };
        assert_eq!(scenario.wait(claim, 1), 300);
    }

    #[test]
    fn one_attack_keeps_its_wait_while_others_flood_the_list_with_made_up_accounts() {
        let mut scenario = Scenario::new();
        scenario.fail(6, from("192.0.2.1"), 0);
        for n in 0..20_000 {
            let account = format!("{n}@example.com");
            scenario.fail(1, LoginAttempt { account: &account, ..from("192.0.2.9") }, 1);
        }
        assert_eq!(scenario.wait(from("192.0.2.1"), 1), 1);
    }
}
