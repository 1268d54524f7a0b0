//! Limits of one node, in memory.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::{Buckets, Class, LimitSettings, RateLimits, Subject};
use crate::domain::quota::Decision;
use crate::domain::time::Timestamp;

/// Tables a class is spread over, so that worker threads seldom wait for each other.
const SHARDS: usize = 16;

/// Subjects in one table; 64 bytes each, so a class takes at most 4 MiB.
const SUBJECTS_A_SHARD: usize = 4096;

/// What was spent on this node. It is lost with the process.
pub struct LocalLimits {
    settings: LimitSettings,
    /// The shards of each class, one class after the other.
    shards: Vec<Mutex<Buckets<Subject>>>,
    hasher: RandomState,
}

impl LocalLimits {
    /// Nothing is spent.
    pub fn new(settings: LimitSettings) -> Self {
        let shards = (0..Class::ALL.len() * SHARDS).map(|_| Mutex::new(Buckets::new(SUBJECTS_A_SHARD)));
        Self { settings, shards: shards.collect(), hasher: RandomState::new() }
    }

    fn buckets(&self, class: Class, subject: Subject) -> MutexGuard<'_, Buckets<Subject>> {
        let shard = class as usize * SHARDS + self.hasher.hash_one(subject) as usize % SHARDS;
        self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl RateLimits for LocalLimits {
    async fn spend(&self, class: Class, subject: Subject, now: Timestamp) -> Decision {
        let (quota, ..) = self.settings.quota(class);
        self.buckets(class, subject).spend(subject, quota, now)
    }

    async fn give_back(&self, class: Class, subject: Subject, now: Timestamp) {
        let (quota, ..) = self.settings.quota(class);
        self.buckets(class, subject).give_back(&subject, quota, now);
    }

    async fn reset(&self) {
        for shard in &self.shards {
            shard.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::UserId;

    #[tokio::test]
    async fn classes_and_subjects_do_not_spend_from_each_other_and_a_reset_gives_everything_back() {
        let limits = LocalLimits::new(LimitSettings { orders: 1, ..LimitSettings::default() });
        let now = Timestamp::from_unix_seconds(1_000_000);
        let (a, b) = (Subject::User(UserId::generate()), Subject::User(UserId::generate()));
        let admitted = async |class, subject| {
            matches!(limits.spend(class, subject, now).await, Decision::Admitted { .. })
        };
        assert!(admitted(Class::Orders, a).await);
        assert!(!admitted(Class::Orders, a).await);
        assert!(admitted(Class::Orders, b).await);
        assert!(admitted(Class::Api, a).await);
        limits.reset().await;
        assert!(admitted(Class::Orders, a).await);
    }
}
