//! Quotas of one node, in memory.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use actix_web::http::header::HeaderValue;

use super::class::{QuotaScope, RateClass};
use super::settings::LimitSettings;
use super::status::QuotaStatus;
use super::subject::{QuotaKey, QuotaSubject};
use crate::domain::quota::table::{QuotaTable, TableBounds};
use crate::domain::quota::{Decision, Quota, Window, WindowKind};

/// Tables a class is spread over, so that worker threads seldom wait for each other.
const SHARDS: usize = 16;

/// TableBounds of one table of a class: some 330 KiB of subjects and 512 KiB of slots. With the wider tables a class takes at
/// most 16 MiB.
const OWN: TableBounds = TableBounds { subjects: 3584, slots: 65_536 };

/// TableBounds of one table of users or networks, of which there are fewer.
const WIDE: TableBounds = TableBounds { subjects: 896, slots: 8192 };

/// Quotas consumed on this node. They are lost with the process.
pub(super) struct LocalLimits {
    started: Instant,
    classes: Vec<ClassTables>,
    hasher: RandomState,
}

/// The tables of one class and the header value of its policy.
struct ClassTables {
    quota: Quota,
    own: Tables,
    /// The same requests once more, by user or by network.
    wide: Option<Tables>,
    policy: HeaderValue,
    whole_policy: HeaderValue,
}

struct Tables(Vec<Mutex<QuotaTable<QuotaKey>>>);

impl Tables {
    fn new(quota: Quota, bounds: TableBounds) -> Self {
        Self((0..SHARDS).map(|_| Mutex::new(QuotaTable::new(quota, bounds))).collect())
    }

    fn of(&self, key: QuotaKey, hasher: &RandomState) -> MutexGuard<'_, QuotaTable<QuotaKey>> {
        let shard = hasher.hash_one(key) as usize % SHARDS;
        self.0[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClassTables {
    fn new(class: RateClass, quota: Quota) -> Self {
        let wide = class.wide_factor().map(|factor| quota.times(factor));
        Self {
            quota,
            own: Tables::new(quota, OWN),
            wide: wide.map(|quota| Tables::new(quota, WIDE)),
            policy: policy(class, quota, None),
            whole_policy: policy(class, quota, wide),
        }
    }

    fn wide_quota(&self, class: RateClass) -> Option<Quota> {
        class.wide_factor().map(|factor| self.quota.times(factor))
    }
}

/// The header value that names every window of a subject's quota and of the wider one around it.
fn policy(class: RateClass, own: Quota, wide: Option<Quota>) -> HeaderValue {
    let mut windows_seen = Vec::new();
    for (scope, quota) in [(QuotaScope::Own, Some(own)), (QuotaScope::Wide, wide)] {
        let Some(quota) = quota else { continue };
        let windows = [(WindowKind::Short, Some(quota.short)), (WindowKind::Long, quota.long)];
        for (which, Window { count, length }) in windows.into_iter().filter_map(|(w, q)| Some((w, q?))) {
            let suffix = class.suffix(scope, which);
            windows_seen.push(format!("\"{}{suffix}\";q={count};w={}", class.as_str(), length.as_secs()));
        }
    }
    HeaderValue::from_str(&windows_seen.join(", ")).expect("words and digits are a header value")
}

impl LocalLimits {
    /// Quotas of which nothing is consumed.
    pub(super) fn new(settings: &LimitSettings) -> Self {
        let classes = RateClass::ALL.iter().map(|class| ClassTables::new(*class, settings.quota(*class)));
        Self { started: Instant::now(), classes: classes.collect(), hasher: RandomState::new() }
    }

    /// Consumes one of `parts` shares of the subject's quota of this class, and of the wider one around it; both or neither.
    pub(super) fn consume(
        &self,
        class: RateClass,
        subject: QuotaSubject,
        parts: u32,
        now: Instant,
    ) -> QuotaStatus {
        let (tables, at) = (&self.classes[class as usize], self.since(now));
        let (own, wide) = subject.keys(class);
        let wide = tables.wide.as_ref().zip(wide);
        let status = |decided, scope| self.status(class, subject, (parts, now), decided, scope);
        // The wide one first: a network that has nothing left makes no entries for its blocks.
        let around = wide.map(|(wide, key)| wide.of(key, &self.hasher).consume_share(key, parts, at));
        if let Some(refused @ (Decision::Refused { .. }, _)) = around {
            return status(refused, QuotaScope::Wide);
        }
        let outcome = tables.own.of(own, &self.hasher).consume_share(own, parts, at);
        match (outcome.0, around, wide) {
            (Decision::Refused { .. }, _, Some((wide, key))) => {
                wide.of(key, &self.hasher).refund(&key, at);
            }
            (Decision::Admitted { remaining, .. }, Some(around), _) => {
                if let Decision::Admitted { remaining: left, .. } = around.0
                    && left < remaining
                {
                    return status(around, QuotaScope::Wide);
                }
            }
            _ => {}
        }
        status(outcome, QuotaScope::Own)
    }

    /// The refusal that consuming would meet; `None` when it would meet none. Consumes nothing.
    pub(super) fn check(
        &self,
        class: RateClass,
        subject: QuotaSubject,
        parts: u32,
        now: Instant,
    ) -> Option<QuotaStatus> {
        let (tables, at) = (&self.classes[class as usize], self.since(now));
        let (own, wide) = subject.keys(class);
        let wide = tables.wide.as_ref().zip(wide);
        let of_wide = wide.and_then(|(wide, key)| wide.of(key, &self.hasher).check_share(&key, parts, at));
        let of_own = || tables.own.of(own, &self.hasher).check_share(&own, parts, at);
        let refused = of_wide
            .map(|wide| (wide, QuotaScope::Wide))
            .or_else(|| of_own().map(|own| (own, QuotaScope::Own)));
        refused.map(|(decided, scope)| self.status(class, subject, (parts, now), decided, scope))
    }

    /// What was decided, by whomever, as the header fields tell it.
    pub(super) fn status(
        &self,
        class: RateClass,
        subject: QuotaSubject,
        (parts, at): (u32, Instant),
        (decision, which): (Decision, WindowKind),
        scope: QuotaScope,
    ) -> QuotaStatus {
        let tables = &self.classes[class as usize];
        let has_wide = tables.wide.is_some() && subject.keys(class).1.is_some();
        let policy = match (parts, has_wide) {
            (0 | 1, true) => tables.whole_policy.clone(),
            (0 | 1, false) => tables.policy.clone(),
            (_, true) => {
                policy(class, tables.quota.share(parts), tables.wide_quota(class).map(|q| q.share(parts)))
            }
            (_, false) => policy(class, tables.quota.share(parts), None),
        };
        QuotaStatus { class, subject, at, shared_at: None, decision, scope, which, policy }
    }

    /// The quota of each subject of a class, and the wider one.
    pub(super) fn quotas(&self, class: RateClass) -> (Quota, Option<Quota>) {
        let tables = &self.classes[class as usize];
        (tables.quota, tables.wide_quota(class))
    }

    /// Gives back what was consumed; nothing where the table has forgotten the subject.
    pub(super) fn refund(&self, consumed: &QuotaStatus) {
        if consumed.is_refused() {
            return;
        }
        let (tables, at) = (&self.classes[consumed.class as usize], self.since(consumed.at));
        let (own, wide) = consumed.subject.keys(consumed.class);
        tables.own.of(own, &self.hasher).refund(&own, at);
        if let Some((wide, key)) = tables.wide.as_ref().zip(wide) {
            wide.of(key, &self.hasher).refund(&key, at);
        }
    }

    /// Forgets everything that was consumed.
    pub(super) fn reset(&self) {
        for tables in self.classes.iter().flat_map(|class| [Some(&class.own), class.wide.as_ref()]).flatten()
        {
            for table in &tables.0 {
                table.lock().unwrap_or_else(PoisonError::into_inner).clear();
            }
        }
    }

    fn since(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.started)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv6Addr};

    use super::*;
    use crate::domain::address::AddressBlock;
    use crate::domain::ids::{LoginSessionId, UserId};

    fn limits() -> LocalLimits {
        LocalLimits::new(&LimitSettings { orders: 1, ..LimitSettings::default() })
    }

    fn admits(limits: &LocalLimits, class: RateClass, subject: QuotaSubject) -> bool {
        !limits.consume(class, subject, 1, limits.started).is_refused()
    }

    fn address(text: &str) -> QuotaSubject {
        QuotaSubject::Address(AddressBlock::of(text.parse().unwrap()))
    }

    #[test]
    fn classes_and_subjects_do_not_spend_from_each_other_and_a_reset_gives_everything_back() {
        let limits = limits();
        let (a, b) = (QuotaSubject::User(UserId::generate()), QuotaSubject::User(UserId::generate()));
        assert!(admits(&limits, RateClass::Orders, a));
        assert!(!admits(&limits, RateClass::Orders, a));
        assert!(admits(&limits, RateClass::Orders, b));
        assert!(admits(&limits, RateClass::Frames, a));
        limits.reset();
        assert!(admits(&limits, RateClass::Orders, a));
    }

    #[test]
    fn a_shops_tablets_have_a_quota_each_and_ten_times_that_together() {
        let limits = limits();
        let user = UserId::generate();
        let tablet = || {
            let subject = QuotaSubject::LoginSession { user, session: LoginSessionId::generate() };
            (0..500).filter(|_| admits(&limits, RateClass::Api, subject)).count()
        };
        let admitted: Vec<usize> = (0..11).map(|_| tablet()).collect();
        assert_eq!(admitted, [[200; 10].as_slice(), &[0]].concat());
    }

    #[test]
    fn the_addresses_of_one_network_do_not_keep_newcomers_from_elsewhere_out() {
        let limits = limits();
        let network = u128::from_be_bytes([0x20, 1, 0xd, 0xb8, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        let block = |n: u128| {
            QuotaSubject::Address(AddressBlock::of(IpAddr::V6(Ipv6Addr::from_bits(network | n << 64))))
        };
        let admitted = (0..65_536).filter(|n| admits(&limits, RateClass::Auth, block(*n))).count();
        assert_eq!(admitted, 80, "eight times the number for a /48");
        assert!(admits(&limits, RateClass::Auth, address("192.0.2.1")));
        assert!(admits(&limits, RateClass::Auth, address("2001:db8:8::1")));
    }

    #[test]
    fn a_flood_from_networks_without_number_keeps_no_newcomer_out() {
        let limits = limits();
        for n in 0..200_000u128 {
            let flooding = AddressBlock::of(IpAddr::V6(Ipv6Addr::from_bits((0x2600 << 112) | n << 80)));
            limits.consume(RateClass::Auth, QuotaSubject::Address(flooding), 1, limits.started);
        }
        assert!(admits(&limits, RateClass::Auth, address("192.0.2.1")));
    }

    #[test]
    fn what_is_refunded_comes_back_to_the_sign_in_and_to_its_user() {
        let limits = limits();
        let subject =
            QuotaSubject::LoginSession { user: UserId::generate(), session: LoginSessionId::generate() };
        for _ in 0..5_000 {
            let spent = limits.consume(RateClass::Api, subject, 1, limits.started);
            assert!(!spent.is_refused());
            limits.refund(&spent);
        }
        assert!(limits.check(RateClass::Api, subject, 1, limits.started).is_none());
    }

    #[test]
    fn one_of_four_shares_is_a_quarter_of_every_window_and_its_policy_says_so() {
        let limits = limits();
        let client = address("2001:db8::1");
        let admitted =
            (0..10).filter(|_| !limits.consume(RateClass::Auth, client, 4, limits.started).is_refused());
        assert_eq!(admitted.count(), 2);
        let refused = limits.consume(RateClass::Auth, client, 4, limits.started);
        assert_eq!(refused.policy, "\"auth\";q=2;w=300, \"auth-network\";q=20;w=300");
        assert!(limits.check(RateClass::Auth, client, 4, limits.started).is_some());
        assert!(admits(&limits, RateClass::Auth, client), "the whole quota is not spent");
    }

    #[test]
    fn a_policy_names_every_window_that_is_enforced() {
        let limits = limits();
        let policy = |class, subject| limits.consume(class, subject, 1, limits.started).policy;
        let sign_in =
            QuotaSubject::LoginSession { user: UserId::generate(), session: LoginSessionId::generate() };
        assert_eq!(
            policy(RateClass::Api, sign_in),
            "\"api\";q=200;w=60, \"api-long\";q=1000;w=600, \"api-user\";q=2000;w=60, \"api-user-long\";q=10000;w=600"
        );
        assert_eq!(policy(RateClass::Public, address("192.0.2.1")), "\"public\";q=60;w=60");
        assert_eq!(
            policy(RateClass::Public, address("2001:db8::1")),
            "\"public\";q=60;w=60, \"public-network\";q=480;w=60"
        );
    }
}
