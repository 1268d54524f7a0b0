//! Read-your-writes cache. Each entry stores the versions of its inputs as of before the read; a commit bumps them before
//! its caller is answered, so an entry read before a commit is never served after it.

mod cached;
mod current_holds;
mod entry;
mod invalidation;
mod lists;
mod neighbours;
mod size;
mod versions;

use std::sync::Arc;
use std::time::{Duration, Instant};

use quick_cache::sync::Cache;

use crate::domain::access::MemberRole;
use crate::domain::business::{Business, MenuItem};
use crate::domain::ids::{BusinessId, OrderId, UserId};
use crate::domain::order::{Order, Status};
use crate::domain::time::Timestamp;
use crate::telemetry::Metrics;

use crate::storage::error::StoreError;
use crate::storage::ports::{BusinessStats, OrderPage, OrderQuery, PageStart, Store};
use crate::storage::settings::CacheSettings;
pub use cached::{Cached, Freshness};
pub use current_holds::CurrentHolds;
use entry::{
    BusinessKey, CacheKey, Entry, FirstPage, FirstPageKey, Key, MembershipKey, MenuKey, OrderKey, StatsKey,
};
pub use neighbours::Neighbours;
use size::EntrySize;
use versions::{Input, Snapshot, Versions};

struct Inner {
    store: Arc<dyn Store>,
    entries: Option<Cache<Key, Entry, EntrySize>>,
    versions: Versions,
    neighbours: Neighbours,
    metrics: Metrics,
    settings: CacheSettings,
}

/// Cached reads of one node: from memory while an entry is fresh, else from the store. Bounded in bytes and entries; the least
/// used goes first. While the store is away, an entry still answers after its time, for `stale_s` at most and marked
/// [`Freshness::Stale`]; never one that was changed through this node, nor one that a commit without an answer may have changed.
/// Cheap to clone.
#[derive(Clone)]
pub struct CachedReads(Arc<Inner>);

impl CachedReads {
    /// An empty cache before `store`.
    pub fn new(store: Arc<dyn Store>, settings: CacheSettings, metrics: Metrics) -> Self {
        let bytes = settings.max_bytes;
        let size = EntrySize::new(bytes, settings.max_entries);
        let entries = (bytes > 0).then(|| Cache::with_weighter(settings.max_entries, bytes as u64, size));
        let (versions, neighbours) = (Versions::new(), Neighbours::new(Instant::now()));
        Self(Arc::new(Inner { store, entries, versions, neighbours, metrics, settings }))
    }

    /// The store's time.
    pub fn now(&self) -> Timestamp {
        self.0.store.clock().now()
    }

    /// What bounds how long values hold: those that write to the same store.
    pub fn neighbours(&self) -> &Neighbours {
        &self.0.neighbours
    }

    /// A business.
    ///
    /// # Errors
    /// As the store.
    pub async fn business(&self, id: BusinessId) -> Result<Option<Cached<Arc<Business>>>, StoreError> {
        let read = async {
            let inputs = self.0.versions.snapshot(&[Input::Business(id)]);
            let found = self.0.store.business(id).await?;
            Ok(found.map(|business| (Arc::new(business), Some(inputs))))
        };
        self.optional(BusinessKey(id), self.0.settings.business_s, read).await
    }

    /// The menu, by category and name.
    ///
    /// # Errors
    /// As the store.
    pub async fn menu(&self, id: BusinessId) -> Result<Cached<Arc<Vec<MenuItem>>>, StoreError> {
        let read = async {
            let inputs = self.0.versions.snapshot(&[Input::Menu(id)]);
            let menu = self.0.store.menu(id).await?;
            Ok((Arc::new(menu), Some(inputs)))
        };
        self.required(MenuKey(id), self.0.settings.business_s, read).await
    }

    /// An order, phone and address in the clear. Nothing that a write depends on may come from here.
    ///
    /// # Errors
    /// As the store.
    pub async fn order(&self, id: OrderId) -> Result<Option<Cached<Arc<Order>>>, StoreError> {
        let read = async {
            let inputs = self.0.versions.snapshot(&[Input::Order(id)]);
            let found = self.0.store.order(id).await?;
            Ok(found.map(|order| (Arc::new(order), Some(inputs))))
        };
        self.optional(OrderKey(id), self.0.settings.order_s, read).await
    }

    /// A page of orders. First pages come from memory, except lists of `placed` orders: devices read them after
    /// `resync`, and an order they do not see does not ring.
    ///
    /// # Errors
    /// As the store.
    pub async fn orders(&self, query: &OrderQuery) -> Result<Cached<Arc<OrderPage>>, StoreError> {
        let cacheable = query.start == PageStart::Offset(0) && query.status != Some(Status::Placed);
        if !cacheable || self.0.entries.is_none() {
            let page = self.0.store.orders(query).await?;
            return Ok(Cached::fresh(Arc::new(page)));
        }
        let key = FirstPageKey(Box::new(FirstPage {
            scope: query.scope,
            business: query.business,
            status: query.status,
            words: query.words.clone(),
            limit: query.limit,
        }));
        let read = async {
            let inputs = self.inputs_of_list(query).await?;
            let page = self.0.store.orders(query).await?;
            Ok((Arc::new(page), inputs))
        };
        self.required(key, self.0.settings.order_s, read).await
    }

    /// Figures of a business for the day that began at `since`, and the number of orders that wait there now.
    ///
    /// # Errors
    /// As the store.
    pub async fn stats(&self, id: BusinessId, since: Timestamp) -> Result<Cached<BusinessStats>, StoreError> {
        let read = async {
            let inputs = self.0.versions.snapshot(&[Input::OrdersAt(id), Input::OrdersOfSomebody]);
            let stats = self.0.store.business_stats(id, since).await?;
            Ok((stats, Some(inputs)))
        };
        self.required(StatsKey(id, since), self.0.settings.business_s, read).await
    }

    /// Role of a user at a business, for what they may see; a change through this node counts from its commit on. Nothing that
    /// a write depends on may come from here.
    ///
    /// # Errors
    /// As the store.
    pub async fn membership(
        &self,
        business: BusinessId,
        user: UserId,
    ) -> Result<Option<Cached<MemberRole>>, StoreError> {
        let read = async {
            let inputs = self.0.versions.snapshot(&[Input::Memberships(user)]);
            let role = self.0.store.membership(business, user).await?;
            Ok(role.map(|role| (role, Some(inputs))))
        };
        self.optional(MembershipKey(business, user), self.0.settings.order_s, read).await
    }

    /// The fresh entry; else the result of `read`, stored for `seconds` with the versions that came with it; else, while the
    /// store is away, the stale entry.
    async fn required<K: CacheKey>(
        &self,
        key: K,
        seconds: u64,
        read: impl Future<Output = Result<ReadValue<K::Value>, StoreError>>,
    ) -> Result<Cached<K::Value>, StoreError> {
        if let Some(hit) = self.fresh(&key) {
            return Ok(hit);
        }
        let begun = Instant::now();
        match read.await {
            Ok(read) => Ok(self.insert(&key, read, begun, seconds)),
            Err(error) => self.stale(&key, error),
        }
    }

    /// As [`Self::required`], of a value that may not exist: its absence is not stored.
    async fn optional<K: CacheKey>(
        &self,
        key: K,
        seconds: u64,
        read: impl Future<Output = Result<Option<ReadValue<K::Value>>, StoreError>>,
    ) -> Result<Option<Cached<K::Value>>, StoreError> {
        if let Some(hit) = self.fresh(&key) {
            return Ok(Some(hit));
        }
        let begun = Instant::now();
        match read.await {
            Ok(Some(read)) => Ok(Some(self.insert(&key, read, begun, seconds))),
            Ok(None) => {
                self.remove(&key);
                Ok(None)
            }
            Err(error) => self.stale(&key, error).map(Some),
        }
    }

    fn fresh<K: CacheKey>(&self, key: &K) -> Option<Cached<K::Value>> {
        let hit = self.peek(key).filter(|entry| entry.freshness == Freshness::Fresh)?;
        self.count::<K>("hit");
        Some(hit)
    }

    /// The entry while the store is away; any other error is passed on.
    fn stale<K: CacheKey>(&self, key: &K, error: StoreError) -> Result<Cached<K::Value>, StoreError> {
        if !matches!(error, StoreError::Unavailable(_) | StoreError::TooSlow(_)) {
            return Err(error);
        }
        let stale = self.peek(key).ok_or(error)?;
        self.count::<K>("stale");
        Ok(stale)
    }

    /// The entry, if its inputs have not changed and it is not older than the bound.
    fn peek<K: CacheKey>(&self, key: &K) -> Option<Cached<K::Value>> {
        let entry = self.0.entries.as_ref()?.get(&key.key())?;
        if !self.0.versions.unchanged(&entry.inputs) {
            return None;
        }
        let now = Instant::now();
        let holds_for = self.0.neighbours.bound(entry.holds_for, K::LEARNED, now);
        let freshness = match now.saturating_duration_since(entry.read_at).checked_sub(holds_for) {
            None => Freshness::Fresh,
            Some(since) => Freshness::Stale(since),
        };
        let bound = Freshness::Stale(Duration::from_secs(self.0.settings.stale_s));
        let value = K::unpack(entry.value)?;
        (freshness <= bound).then_some(Cached { value, freshness })
    }

    fn insert<K: CacheKey>(
        &self,
        key: &K,
        read: ReadValue<K::Value>,
        read_at: Instant,
        seconds: u64,
    ) -> Cached<K::Value> {
        let (value, inputs) = read;
        // Also what nobody has asked for yet is bounded by who is there now.
        self.0.neighbours.are_none(read_at);
        match (&self.0.entries, inputs) {
            (Some(entries), Some(inputs)) => {
                self.count::<K>("miss");
                let holds_for = Duration::from_secs(seconds);
                let entry = Entry { value: K::pack(value.clone()), inputs, read_at, holds_for };
                entries.insert(key.key(), entry);
            }
            (_, None) => self.remove(key),
            (None, Some(_)) => {}
        }
        Cached::fresh(value)
    }

    fn remove<K: CacheKey>(&self, key: &K) {
        if let Some(entries) = &self.0.entries {
            self.count::<K>("miss");
            entries.remove(&key.key());
        }
    }

    fn count<K: CacheKey>(&self, result: &str) {
        self.0.metrics.cache_requests_total.with_label_values(&[K::LABEL, result]).inc();
    }
}

/// A value and the versions of its inputs as of before the read; without them it is not stored.
type ReadValue<V> = (V, Option<Snapshot>);

#[cfg(test)]
mod tests;
