//! Reads answered from memory. Nothing that was written is ever missed by whoever was told that it was written: a value
//! carries the marks of everything it was made of, taken before it was read, and a commit moves the marks before its
//! caller is answered. So a value read before a commit and kept after it is never given out.

mod invalidation;
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
use crate::storage::ports::{BusinessStats, OrderPage, OrderQuery, OrderScope, PageStart, Store};
use crate::storage::settings::CacheSettings;
use size::Weigh;
use versions::{Marks, Seen, Subject};

/// Lists over more businesses than this are read anew each time.
const MAX_BUSINESSES: u32 = 32;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Business(BusinessId),
    Menu(BusinessId),
    Membership(BusinessId, UserId),
    Order(OrderId),
    FirstPage(Box<FirstPage>),
    /// Of the day that began then.
    Stats(BusinessId, Timestamp),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct FirstPage {
    scope: OrderScope,
    business: Option<BusinessId>,
    status: Option<Status>,
    words: Vec<String>,
    limit: u32,
}

impl Key {
    /// The word in the metric.
    const fn cache(&self) -> &'static str {
        match self {
            Self::Business(_) => "business",
            Self::Menu(_) => "menu",
            Self::Membership(..) => "membership",
            Self::Order(_) => "order",
            Self::FirstPage(_) => "orders",
            Self::Stats(..) => "stats",
        }
    }
}

#[derive(Clone, Debug)]
enum Value {
    Business(Arc<Business>),
    Menu(Arc<Vec<MenuItem>>),
    Order(Arc<Order>),
    Page(Arc<OrderPage>),
    Stats(BusinessStats),
    Membership(MemberRole),
}

/// Whether a copy may be out of date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Freshness {
    /// Read just now, or good still.
    Fresh,
    /// The store is away and this is the last that was read; its time has been over for so long.
    Stale(Duration),
}

/// What was read, perhaps some time ago.
#[derive(Clone, Debug)]
pub struct Copied<T> {
    /// The copy.
    pub value: T,
    /// Whether it may be out of date.
    pub freshness: Freshness,
}

impl Copied<Value> {
    /// As the kind its key stands for.
    fn of<T>(self, kind: impl FnOnce(Value) -> Option<T>) -> Option<Copied<T>> {
        kind(self.value).map(|value| Copied { value, freshness: self.freshness })
    }
}

#[derive(Clone, Debug)]
struct Entry {
    value: Value,
    seen: Seen,
    good_until: Instant,
}

struct Inner {
    store: Arc<dyn Store>,
    entries: Option<Cache<Key, Entry, Weigh>>,
    marks: Marks,
    metrics: Metrics,
    settings: CacheSettings,
}

/// Reads of one node, from memory where they are still good, else from the store. Bounded in bytes and entries; what
/// was used least goes first. While the store is away, what is in memory still answers when its time is over, for
/// `stale_s` at most and marked [`Freshness::Stale`]; never what was changed through this node, nor what a commit without
/// an answer may have changed. Cheap to clone.
#[derive(Clone)]
pub struct CachedReads(Arc<Inner>);

impl CachedReads {
    /// An empty cache before `store`.
    pub fn new(store: Arc<dyn Store>, settings: CacheSettings, metrics: Metrics) -> Self {
        let bytes = settings.max_bytes;
        let weigh = Weigh::new(bytes, settings.max_entries);
        let entries = (bytes > 0).then(|| Cache::with_weighter(settings.max_entries, bytes as u64, weigh));
        Self(Arc::new(Inner { store, entries, marks: Marks::new(), metrics, settings }))
    }

    /// A business.
    ///
    /// # Errors
    /// As the store.
    pub async fn business(&self, id: BusinessId) -> Result<Option<Copied<Arc<Business>>>, StoreError> {
        let read = async {
            let seen = self.0.marks.see(&[Subject::Business(id)]);
            let found = self.0.store.business(id).await?;
            Ok(found.map(|business| (Value::Business(Arc::new(business)), Some(seen))))
        };
        let found = self.through(Key::Business(id), self.0.settings.business_s, read).await?;
        Ok(found
            .and_then(|copy| copy.of(|value| if let Value::Business(v) = value { Some(v) } else { None })))
    }

    /// The menu, by category and name.
    ///
    /// # Errors
    /// As the store.
    pub async fn menu(&self, id: BusinessId) -> Result<Copied<Arc<Vec<MenuItem>>>, StoreError> {
        let read = async {
            let seen = self.0.marks.see(&[Subject::Menu(id)]);
            let menu = self.0.store.menu(id).await?;
            Ok(Some((Value::Menu(Arc::new(menu)), Some(seen))))
        };
        let found = self.through(Key::Menu(id), self.0.settings.business_s, read).await?;
        found
            .and_then(|copy| copy.of(|value| if let Value::Menu(v) = value { Some(v) } else { None }))
            .ok_or_else(mixed_up)
    }

    /// An order, phone and address in the clear. Nothing that a write depends on may come from here.
    ///
    /// # Errors
    /// As the store.
    pub async fn order(&self, id: OrderId) -> Result<Option<Copied<Arc<Order>>>, StoreError> {
        let read = async {
            let seen = self.0.marks.see(&[Subject::Order(id)]);
            let found = self.0.store.order(id).await?;
            Ok(found.map(|order| (Value::Order(Arc::new(order)), Some(seen))))
        };
        let found = self.through(Key::Order(id), self.0.settings.order_s, read).await?;
        Ok(found.and_then(|copy| copy.of(|value| if let Value::Order(v) = value { Some(v) } else { None })))
    }

    /// A page of orders. First pages come from memory, except lists of `placed` orders: devices read them after
    /// `resync`, and what they do not see they do not ring for.
    ///
    /// # Errors
    /// As the store.
    pub async fn orders(&self, query: &OrderQuery) -> Result<Copied<Arc<OrderPage>>, StoreError> {
        let kept = query.start == PageStart::Offset(0) && query.status != Some(Status::Placed);
        if !kept || self.0.entries.is_none() {
            let page = self.0.store.orders(query).await?;
            return Ok(Copied { value: Arc::new(page), freshness: Freshness::Fresh });
        }
        let key = Key::FirstPage(Box::new(FirstPage {
            scope: query.scope,
            business: query.business,
            status: query.status,
            words: query.words.clone(),
            limit: query.limit,
        }));
        let read = async {
            let seen = self.see_orders(query).await?;
            let page = self.0.store.orders(query).await?;
            Ok(Some((Value::Page(Arc::new(page)), seen)))
        };
        let found = self.through(key, self.0.settings.order_s, read).await?;
        found
            .and_then(|copy| copy.of(|value| if let Value::Page(v) = value { Some(v) } else { None }))
            .ok_or_else(mixed_up)
    }

    /// The marks of everything a list is made of; `None` when that is too much.
    async fn see_orders(&self, query: &OrderQuery) -> Result<Option<Seen>, StoreError> {
        let marks = &self.0.marks;
        let unknown = Subject::OrdersOfSomebody;
        Ok(Some(match (query.scope, query.business) {
            (OrderScope::Customer(user), _) => marks.see(&[unknown, Subject::OrdersBy(user)]),
            (OrderScope::Everybody, None) => marks.see(&[unknown, Subject::Orders]),
            (OrderScope::Everybody, Some(business)) => marks.see(&[unknown, Subject::OrdersAt(business)]),
            (OrderScope::Member(user), Some(business)) => {
                marks.see(&[unknown, Subject::Memberships(user), Subject::OrdersAt(business)])
            }
            (OrderScope::Member(user), None) => {
                let mut seen = marks.see(&[unknown, Subject::Memberships(user)]);
                let theirs = self.0.store.businesses_of(user, None, MAX_BUSINESSES + 1).await?;
                if theirs.len() > MAX_BUSINESSES as usize {
                    return Ok(None);
                }
                let orders: Vec<Subject> = theirs.iter().map(|b| Subject::OrdersAt(b.id)).collect();
                seen.extend(marks.see(&orders));
                seen
            }
        }))
    }

    /// What a business did since its day began at `since`, and what waits there now.
    ///
    /// # Errors
    /// As the store.
    pub async fn stats(&self, id: BusinessId, since: Timestamp) -> Result<Copied<BusinessStats>, StoreError> {
        let read = async {
            let seen = self.0.marks.see(&[Subject::OrdersAt(id), Subject::OrdersOfSomebody]);
            let stats = self.0.store.business_stats(id, since).await?;
            Ok(Some((Value::Stats(stats), Some(seen))))
        };
        let found = self.through(Key::Stats(id, since), self.0.settings.business_s, read).await?;
        found
            .and_then(|copy| copy.of(|value| if let Value::Stats(v) = value { Some(v) } else { None }))
            .ok_or_else(mixed_up)
    }

    /// What somebody may see at a business; a change through this node counts from its commit on. Nothing that a write
    /// depends on may come from here.
    ///
    /// # Errors
    /// As the store.
    pub async fn membership(
        &self,
        business: BusinessId,
        user: UserId,
    ) -> Result<Option<Copied<MemberRole>>, StoreError> {
        let read = async {
            let seen = self.0.marks.see(&[Subject::Memberships(user)]);
            let role = self.0.store.membership(business, user).await?;
            Ok(role.map(|role| (Value::Membership(role), Some(seen))))
        };
        let found = self.through(Key::Membership(business, user), self.0.settings.order_s, read).await?;
        Ok(found
            .and_then(|copy| copy.of(|value| if let Value::Membership(v) = value { Some(v) } else { None })))
    }

    /// From memory while it is good; else `read`, and kept for `seconds` with the
    /// marks that came with it; else, when the store is away, what is still in memory.
    async fn through(
        &self,
        key: Key,
        seconds: u64,
        read: impl Future<Output = Result<Option<(Value, Option<Seen>)>, StoreError>>,
    ) -> Result<Option<Copied<Value>>, StoreError> {
        let Some(entries) = &self.0.entries else {
            return Ok(read.await?.map(|(value, _)| Copied { value, freshness: Freshness::Fresh }));
        };
        let good = self.held(entries, &key).filter(|copy| copy.freshness == Freshness::Fresh);
        if good.is_some() {
            self.count(&key, "hit");
            return Ok(good);
        }
        let found = match read.await {
            Ok(found) => found,
            Err(error @ (StoreError::Unavailable(_) | StoreError::TooSlow(_))) => {
                let old = self.held(entries, &key).ok_or(error)?;
                self.count(&key, "stale");
                return Ok(Some(old));
            }
            Err(error) => return Err(error),
        };
        self.count(&key, "miss");
        let Some((value, seen)) = found else {
            entries.remove(&key);
            return Ok(None);
        };
        match seen {
            Some(seen) => self.keep(key, value.clone(), seen, seconds),
            None => drop(entries.remove(&key)),
        }
        Ok(Some(Copied { value, freshness: Freshness::Fresh }))
    }

    /// What is in memory and was not changed since, however old within the bound.
    fn held(&self, entries: &Cache<Key, Entry, Weigh>, key: &Key) -> Option<Copied<Value>> {
        let entry = entries.get(key).filter(|entry| self.0.marks.hold(&entry.seen))?;
        let now = Instant::now();
        let freshness = if now < entry.good_until {
            Freshness::Fresh
        } else {
            Freshness::Stale(now.saturating_duration_since(entry.good_until))
        };
        let bound = Freshness::Stale(Duration::from_secs(self.0.settings.stale_s));
        (freshness <= bound).then_some(Copied { value: entry.value, freshness })
    }

    fn count(&self, key: &Key, result: &str) {
        self.0.metrics.cache_requests_total.with_label_values(&[key.cache(), result]).inc();
    }

    fn keep(&self, key: Key, value: Value, seen: Seen, seconds: u64) {
        if let Some(entries) = &self.0.entries {
            let good_until = Instant::now() + Duration::from_secs(seconds);
            entries.insert(key, Entry { value, seen, good_until });
        }
    }
}

fn mixed_up() -> StoreError {
    StoreError::Corrupt("the cache holds another kind of value under a key".to_owned())
}

#[cfg(test)]
mod tests;
