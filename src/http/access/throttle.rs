//! Slows down who guesses passwords (requirement 1.5): after five failures within an hour each further attempt on
//! the same account has to wait, twice as long each time.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::domain::time::Timestamp;

/// Failures that cost nothing, so that people may mistype.
const FREE_FAILURES: usize = 5;

/// How long a failure counts.
const WINDOW: Duration = Duration::from_secs(3600);

/// The wait after the first failure too many; it doubles from there.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// The longest wait: a person who mistyped can still get in today.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// Failures remembered for an account: the ninth too many already means the longest wait.
const REMEMBERED: usize = FREE_FAILURES + 9;

/// Accounts remembered at once, about 200 bytes each. Beyond it the one with the fewest failures is forgotten, so
/// that a flood of made-up addresses does not wash out an account under attack.
const MAX_ACCOUNTS: usize = 10_000;

/// Recent failures by account, known or not, so that both look the same.
#[derive(Debug, Default)]
pub struct Throttle {
    failures: HashMap<String, VecDeque<Timestamp>>,
}

impl Throttle {
    /// Whether an attempt on `account` (an address in lower case) may be made now.
    ///
    /// # Errors
    /// How long it has to wait.
    pub fn admit(&self, account: &str, now: Timestamp) -> Result<(), Duration> {
        let Some(failures) = self.failures.get(account) else { return Ok(()) };
        let recent = failures.iter().filter(|at| counts(**at, now)).count();
        let (Some(last), Some(too_many)) = (failures.back(), recent.checked_sub(FREE_FAILURES)) else {
            return Ok(());
        };
        let doubled = FIRST_WAIT.saturating_mul(1 << too_many.min(REMEMBERED));
        let left = last.plus(doubled.min(LONGEST_WAIT)).since(now);
        if left.is_zero() { Ok(()) } else { Err(left) }
    }

    /// Counts a failed attempt.
    pub fn failed(&mut self, account: &str, now: Timestamp) {
        if !self.failures.contains_key(account) && self.failures.len() >= MAX_ACCOUNTS {
            self.make_room(now);
        }
        let failures = self.failures.entry(account.to_owned()).or_default();
        failures.retain(|at| counts(*at, now));
        if failures.len() == REMEMBERED {
            failures.pop_front();
        }
        failures.push_back(now);
    }

    /// Forgets the failures of an account whose owner got in.
    pub fn succeeded(&mut self, account: &str) {
        self.failures.remove(account);
    }

    fn make_room(&mut self, now: Timestamp) {
        self.failures.retain(|_, failures| failures.back().is_some_and(|at| counts(*at, now)));
        if self.failures.len() < MAX_ACCOUNTS {
            return;
        }
        let least =
            self.failures.iter().min_by_key(|(_, failures)| (failures.len(), failures.back().copied()));
        if let Some(account) = least.map(|(account, _)| account.clone()) {
            self.failures.remove(&account);
        }
    }
}

fn counts(at: Timestamp, now: Timestamp) -> bool {
    now.since(at) < WINDOW
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds)
    }

    fn after_failures(count: usize) -> Throttle {
        let mut throttle = Throttle::default();
        (0..count).for_each(|_| throttle.failed("zoe@example.com", at(0)));
        throttle
    }

    #[test]
    fn the_wait_doubles_from_a_second_to_five_minutes_after_the_fifth_failure() {
        let wait = |failures| after_failures(failures).admit("zoe@example.com", at(0));
        assert_eq!(wait(4), Ok(()));
        for (failures, seconds) in [(5, 1), (6, 2), (7, 4), (12, 128), (13, 256), (14, 300), (50, 300)] {
            assert_eq!(wait(failures), Err(Duration::from_secs(seconds)), "{failures} failures");
        }
    }

    #[test]
    fn an_attempt_is_admitted_when_its_wait_is_over() {
        let throttle = after_failures(6);
        assert_eq!(throttle.admit("zoe@example.com", at(1)), Err(Duration::from_secs(1)));
        assert_eq!(throttle.admit("zoe@example.com", at(2)), Ok(()));
        assert_eq!(throttle.admit("other@example.com", at(0)), Ok(()));
    }

    #[test]
    fn failures_are_forgotten_after_an_hour_and_by_a_success() {
        let mut throttle = after_failures(50);
        assert_eq!(throttle.admit("zoe@example.com", at(3600)), Ok(()));
        throttle.failed("zoe@example.com", at(3600));
        assert_eq!(throttle.admit("zoe@example.com", at(3600)), Ok(()));
        let mut throttle = after_failures(50);
        throttle.succeeded("zoe@example.com");
        assert_eq!(throttle.admit("zoe@example.com", at(0)), Ok(()));
    }

    #[test]
    fn a_flood_of_made_up_accounts_neither_grows_the_list_nor_frees_an_account_under_attack() {
        let mut throttle = after_failures(6);
        for n in 0..MAX_ACCOUNTS + 100 {
            throttle.failed(&format!("{n}@example.com"), at(1));
        }
        assert_eq!(throttle.failures.len(), MAX_ACCOUNTS);
        assert!(throttle.admit("zoe@example.com", at(1)).is_err());
    }
}
