//! Quotas that all nodes hold together, in Redis and by Redis' time.
#![expect(clippy::disallowed_methods, reason = "this file owns the tasks that it starts")]

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use redis::{Script, ScriptInvocation};

use crate::domain::quota::{Decision, Quota, WindowKind};
use crate::redis_client::RedisClient;

use super::class::{QuotaScope, RateClass};
use super::subject::QuotaSubject;

/// Nobody asks for this long after an answer that came too late.
const PAUSE: Duration = Duration::from_millis(500);

/// The client of Redis gives the connection up by its own limit, not by that of quotas.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(1);

/// Refunds that wait for Redis at once; further ones are lost, and come back by themselves when their window has passed.
const REFUNDS: usize = 64;

/// The quotas in Redis.
pub(super) struct SharedQuotas {
    client: RedisClient,
    script: Script,
    /// The longest wait: a request is slower by no more than this, and by nothing while Redis is known to be slow.
    within: Duration,
    paused_until: Mutex<Option<Instant>>,
    refunds: Arc<tokio::sync::Semaphore>,
}

/// What the nodes together decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SharedDecision {
    pub(super) decided: (Decision, WindowKind),
    pub(super) scope: QuotaScope,
    /// Redis' time, in milliseconds, by which it is refunded.
    pub(super) at: u64,
}

/// One quota of a request, with its key.
struct Asked {
    key: String,
    quota: Quota,
}

impl SharedQuotas {
    pub(super) fn new(client: RedisClient, within: Duration) -> Self {
        Self {
            client,
            script: Script::new(include_str!("sliding_window.lua")),
            within,
            paused_until: Mutex::new(None),
            refunds: Arc::new(tokio::sync::Semaphore::new(REFUNDS)),
        }
    }

    /// Consumes one of the subject's quota and of the wider one, both or neither; `None` when Redis did not say in time.
    pub(super) async fn consume(
        &self,
        class: RateClass,
        subject: QuotaSubject,
        quotas: (Quota, Option<Quota>),
        era: i64,
    ) -> Option<SharedDecision> {
        if self.is_paused() {
            return None;
        }
        let asked = self.asked(class, subject, quotas, era);
        let invocation = self.invocation("consume", 0, &asked);
        let answer = self.client.invoke::<Vec<i64>>(&invocation, GIVEN_UP_AFTER);
        match tokio::time::timeout(self.within, answer).await {
            Ok(Ok(answer)) => decision(&answer, &asked),
            Ok(Err(error)) => {
                tracing::debug!(%error, "quotas are this node's own for now");
                None
            }
            Err(_) => {
                self.pause();
                None
            }
        }
    }

    /// Gives back what was consumed at `at`. Nobody waits for it.
    pub(super) fn refund(
        self: &Arc<Self>,
        class: RateClass,
        subject: QuotaSubject,
        quotas: (Quota, Option<Quota>),
        era: i64,
        at: u64,
    ) {
        let Ok(place) = self.refunds.clone().try_acquire_owned() else { return };
        let shared = Arc::clone(self);
        actix_web::rt::spawn(async move {
            let asked = shared.asked(class, subject, quotas, era);
            let invocation = shared.invocation("refund", at, &asked);
            let _ = shared.client.invoke::<Vec<i64>>(&invocation, GIVEN_UP_AFTER).await;
            drop(place);
        });
    }

    fn invocation(&self, what: &str, at: u64, asked: &[Asked]) -> ScriptInvocation<'_> {
        let mut invocation = self.script.prepare_invoke();
        invocation.arg(what).arg(at);
        for Asked { key, quota } in asked {
            invocation.key(key);
            for window in [Some(quota.short), quota.long] {
                let (count, length, slot) =
                    window.map_or((0, 0, 0), |window| (window.count, window.length_ms(), window.slot_ms()));
                invocation.arg(count).arg(length).arg(slot);
            }
        }
        invocation
    }

    /// The keys of one request are of one slot of a Redis Cluster: what is in braces decides.
    fn asked(
        &self,
        class: RateClass,
        subject: QuotaSubject,
        (own_quota, wide_quota): (Quota, Option<Quota>),
        era: i64,
    ) -> Vec<Asked> {
        let (own, wide) = subject.keys(class);
        let around = wide.unwrap_or(own);
        let name =
            |rest: &str| self.client.key(&format!("quota:{era}:{}:{{{around}}}{rest}", class.as_str()));
        let mut asked = vec![Asked { key: name(&format!(":{own}")), quota: own_quota }];
        if let (Some(_), Some(quota)) = (wide, wide_quota) {
            asked.push(Asked { key: name(""), quota });
        }
        asked
    }

    fn is_paused(&self) -> bool {
        let mut until = self.paused_until.lock().unwrap_or_else(PoisonError::into_inner);
        match *until {
            Some(moment) if Instant::now() < moment => true,
            Some(_) => {
                *until = None;
                false
            }
            None => false,
        }
    }

    fn pause(&self) {
        *self.paused_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + PAUSE);
        tracing::debug!("Redis is slow: quotas are this node's own for a moment");
    }
}

/// Reads the script's answer; `None` for one that is none.
fn decision(answer: &[i64], asked: &[Asked]) -> Option<SharedDecision> {
    let (admitted, at) = (*answer.first()? == 1, u64::try_from(*answer.get(1)?).ok()?);
    let mut left = answer[2..].chunks_exact(2).map(|pair| {
        let wait = Duration::from_millis(u64::try_from(pair[1]).unwrap_or_default());
        (u32::try_from(pair[0]).unwrap_or_default(), wait)
    });
    let mut scopes = Vec::new();
    for (Asked { quota, .. }, scope) in asked.iter().zip([QuotaScope::Own, QuotaScope::Wide]) {
        let short = left.next()?;
        let long = if quota.long.is_some() { Some(left.next()?) } else { None };
        scopes.push((scope, short, long));
    }
    if !admitted {
        // The wider one first, as on one node.
        return scopes.iter().rev().find_map(|(scope, short, long)| {
            let decided = refusal(*short, *long)?;
            Some(SharedDecision { decided, scope: *scope, at })
        });
    }
    let least = scopes.iter().map(|(scope, short, long)| {
        let (which, (remaining, reset)) = match long {
            Some(long) if long.0 < short.0 => (WindowKind::Long, *long),
            _ => (WindowKind::Short, *short),
        };
        (remaining, reset, which, *scope)
    });
    let (remaining, reset, which, scope) = least.min_by_key(|(remaining, ..)| *remaining)?;
    Some(SharedDecision { decided: (Decision::Admitted { remaining, reset }, which), scope, at })
}

/// The refusal of the window with the longer wait; `None` when both have something left.
fn refusal(short: (u32, Duration), long: Option<(u32, Duration)>) -> Option<(Decision, WindowKind)> {
    let wait = |(remaining, wait): (u32, Duration)| (remaining == 0).then_some(wait);
    match (wait(short), long.and_then(wait)) {
        (None, None) => None,
        (Some(short), long) if long.is_none_or(|long| long <= short) => {
            Some((Decision::Refused { wait: short }, WindowKind::Short))
        }
        (_, long) => Some((Decision::Refused { wait: long.unwrap_or_default() }, WindowKind::Long)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::quota::Window;

    fn asked(quotas: &[Quota]) -> Vec<Asked> {
        quotas.iter().map(|quota| Asked { key: String::new(), quota: *quota }).collect()
    }

    fn quota(long: bool) -> Quota {
        let window = |count, seconds| Window::new(count, Duration::from_secs(seconds));
        Quota { short: window(10, 60), long: long.then(|| window(100, 600)) }
    }

    #[test]
    fn the_window_with_the_least_left_is_told_and_the_wider_quota_only_when_it_has_less() {
        let told = |answer: &[i64], quotas: &[Quota]| {
            let told = decision(answer, &asked(quotas)).unwrap();
            (told.decided, told.scope)
        };
        let left = |remaining, ms| Decision::Admitted { remaining, reset: Duration::from_millis(ms) };
        let (one, two) = (quota(false), quota(true));
        assert_eq!(told(&[1, 5, 9, 60_000], &[one]), ((left(9, 60_000), WindowKind::Short), QuotaScope::Own));
        assert_eq!(
            told(&[1, 5, 9, 60_000, 3, 600_000], &[two]),
            ((left(3, 600_000), WindowKind::Long), QuotaScope::Own)
        );
        assert_eq!(
            told(&[1, 5, 9, 60_000, 9, 70_000], &[one, one]),
            ((left(9, 60_000), WindowKind::Short), QuotaScope::Own)
        );
        assert_eq!(
            told(&[1, 5, 9, 60_000, 2, 70_000], &[one, one]),
            ((left(2, 70_000), WindowKind::Short), QuotaScope::Wide)
        );
    }

    #[test]
    fn a_refusal_names_the_window_that_keeps_one_waiting_for_longest() {
        let refused = |answer: &[i64], quotas: &[Quota]| {
            let told = decision(answer, &asked(quotas)).unwrap();
            let Decision::Refused { wait } = told.decided.0 else { panic!("it is refused") };
            (wait.as_millis(), told.decided.1, told.scope)
        };
        let two = quota(true);
        assert_eq!(refused(&[0, 5, 0, 70, 4, 90], &[two]), (70, WindowKind::Short, QuotaScope::Own));
        assert_eq!(refused(&[0, 5, 0, 70, 0, 90], &[two]), (90, WindowKind::Long, QuotaScope::Own));
        assert_eq!(
            refused(&[0, 5, 3, 70, 3, 90, 0, 20, 8, 30], &[two, two]),
            (20, WindowKind::Short, QuotaScope::Wide)
        );
    }

    #[test]
    fn an_answer_that_is_too_short_decides_nothing() {
        assert_eq!(decision(&[], &asked(&[quota(false)])), None);
        assert_eq!(decision(&[1, 5], &asked(&[quota(false)])), None);
        assert_eq!(decision(&[1, 5, 9, 60_000], &asked(&[quota(true)])), None);
    }
}
