//! Reads answered from memory. Nothing that was written is ever missed by whoever was told that it was written: a value
//! carries the marks of everything it was made of, taken before it was read, and a commit moves the marks before its
//! caller is answered. So a value read before a commit and kept after it is never given out.

mod weight;

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use quick_cache::sync::Cache;

use crate::domain::access::MemberRole;
use crate::domain::business::{Business, MenuItem};
use crate::domain::ids::{BusinessId, OrderId, UserId};
use crate::domain::order::{Order, Status};
use crate::domain::time::Timestamp;
use crate::telemetry::Metrics;

use super::command::{Action, Command, Outcome, PlaceOutcome};
use super::error::StoreError;
use super::ports::{BusinessStats, OrderPage, OrderQuery, OrderScope, PageStart, Store};
use super::settings::CacheSettings;
use weight::Weigh;

/// Marks there are, a power of two; 512 KiB. Subjects that share one only cost each other a read.
const MARKS: usize = 1 << 16;

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
    Member(MemberRole),
    Order(Arc<Order>),
    Page(Arc<OrderPage>),
    Stats(BusinessStats),
}

/// What a commit changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Subject {
    Business(BusinessId),
    Menu(BusinessId),
    Order(OrderId),
    OrdersAt(BusinessId),
    OrdersBy(UserId),
    Orders,
    Memberships(UserId),
}

/// The marks of what a value is made of, as they were before it was read.
type Seen = Vec<(usize, u64)>;

#[derive(Clone, Debug)]
struct Entry {
    value: Value,
    seen: Seen,
    good_until: Instant,
}

struct Marks {
    hasher: RandomState,
    slots: Box<[AtomicU64]>,
}

impl Marks {
    fn new() -> Self {
        Self { hasher: RandomState::new(), slots: (0..MARKS).map(|_| AtomicU64::new(0)).collect() }
    }

    fn slot(&self, subject: Subject) -> usize {
        (self.hasher.hash_one(subject) % MARKS as u64) as usize
    }

    fn see(&self, subjects: &[Subject]) -> Seen {
        subjects
            .iter()
            .map(|subject| {
                let slot = self.slot(*subject);
                (slot, self.slots[slot].load(Ordering::SeqCst))
            })
            .collect()
    }

    fn hold(&self, seen: &Seen) -> bool {
        seen.iter().all(|(slot, mark)| self.slots[*slot].load(Ordering::SeqCst) == *mark)
    }

    fn move_on(&self, subjects: &[Subject]) {
        for subject in subjects {
            self.slots[self.slot(*subject)].fetch_add(1, Ordering::SeqCst);
        }
    }
}

struct Inner {
    store: Arc<dyn Store>,
    entries: Option<Cache<Key, Entry, Weigh>>,
    marks: Marks,
    metrics: Metrics,
    settings: CacheSettings,
}

/// Reads of one node, from memory where they are still good, else from the store. Bounded in bytes and entries; what
/// was used least goes first. While the store is away, what is in memory still answers until its time is over. Cheap
/// to clone.
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
    pub async fn business(&self, id: BusinessId) -> Result<Option<Arc<Business>>, StoreError> {
        let key = Key::Business(id);
        if let Some(Value::Business(business)) = self.look(&key) {
            return Ok(Some(business));
        }
        let seen = self.0.marks.see(&[Subject::Business(id)]);
        let found = self.0.store.business(id).await?.map(Arc::new);
        if let Some(business) = &found {
            self.keep(key, Value::Business(business.clone()), seen, self.0.settings.business_s);
        }
        Ok(found)
    }

    /// The menu, by category and name.
    ///
    /// # Errors
    /// As the store.
    pub async fn menu(&self, id: BusinessId) -> Result<Arc<Vec<MenuItem>>, StoreError> {
        let key = Key::Menu(id);
        if let Some(Value::Menu(menu)) = self.look(&key) {
            return Ok(menu);
        }
        let seen = self.0.marks.see(&[Subject::Menu(id)]);
        let menu = Arc::new(self.0.store.menu(id).await?);
        self.keep(key, Value::Menu(menu.clone()), seen, self.0.settings.business_s);
        Ok(menu)
    }

    /// What somebody may do at a business; a removal counts from its commit on. Nothing that a write depends on may
    /// come from here.
    ///
    /// # Errors
    /// As the store.
    pub async fn membership(
        &self,
        business: BusinessId,
        user: UserId,
    ) -> Result<Option<MemberRole>, StoreError> {
        let key = Key::Membership(business, user);
        if let Some(Value::Member(role)) = self.look(&key) {
            return Ok(Some(role));
        }
        let seen = self.0.marks.see(&[Subject::Memberships(user)]);
        let found = self.0.store.membership(business, user).await?;
        if let Some(role) = found {
            self.keep(key, Value::Member(role), seen, self.0.settings.order_s);
        }
        Ok(found)
    }

    /// An order, phone and address in the clear. Nothing that a write depends on may come from here.
    ///
    /// # Errors
    /// As the store.
    pub async fn order(&self, id: OrderId) -> Result<Option<Arc<Order>>, StoreError> {
        let key = Key::Order(id);
        if let Some(Value::Order(order)) = self.look(&key) {
            return Ok(Some(order));
        }
        let seen = self.0.marks.see(&[Subject::Order(id)]);
        let found = self.0.store.order(id).await?.map(Arc::new);
        if let Some(order) = &found {
            self.keep(key, Value::Order(order.clone()), seen, self.0.settings.order_s);
        }
        Ok(found)
    }

    /// A page of orders. First pages come from memory, except lists of `placed` orders: devices read them after
    /// `resync`, and what they do not see they do not ring for.
    ///
    /// # Errors
    /// As the store.
    pub async fn orders(&self, query: &OrderQuery) -> Result<Arc<OrderPage>, StoreError> {
        let kept = query.start == PageStart::Offset(0) && query.status != Some(Status::Placed);
        if !kept || self.0.entries.is_none() {
            return self.0.store.orders(query).await.map(Arc::new);
        }
        let key = Key::FirstPage(Box::new(FirstPage {
            scope: query.scope,
            business: query.business,
            status: query.status,
            words: query.words.clone(),
            limit: query.limit,
        }));
        if let Some(Value::Page(page)) = self.look(&key) {
            return Ok(page);
        }
        let seen = self.see_orders(query).await?;
        let page = Arc::new(self.0.store.orders(query).await?);
        if let Some(seen) = seen {
            self.keep(key, Value::Page(page.clone()), seen, self.0.settings.order_s);
        }
        Ok(page)
    }

    /// The marks of everything a list is made of; `None` when that is too much.
    async fn see_orders(&self, query: &OrderQuery) -> Result<Option<Seen>, StoreError> {
        let marks = &self.0.marks;
        Ok(Some(match (query.scope, query.business) {
            (OrderScope::Customer(user), _) => marks.see(&[Subject::OrdersBy(user)]),
            (OrderScope::Everybody, None) => marks.see(&[Subject::Orders]),
            (OrderScope::Everybody, Some(business)) => marks.see(&[Subject::OrdersAt(business)]),
            (OrderScope::Member(user), Some(business)) => {
                marks.see(&[Subject::Memberships(user), Subject::OrdersAt(business)])
            }
            (OrderScope::Member(user), None) => {
                let mut seen = marks.see(&[Subject::Memberships(user)]);
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
    pub async fn stats(&self, id: BusinessId, since: Timestamp) -> Result<BusinessStats, StoreError> {
        let key = Key::Stats(id, since);
        if let Some(Value::Stats(stats)) = self.look(&key) {
            return Ok(stats);
        }
        let seen = self.0.marks.see(&[Subject::OrdersAt(id)]);
        let stats = self.0.store.business_stats(id, since).await?;
        self.keep(key, Value::Stats(stats), seen, self.0.settings.business_s);
        Ok(stats)
    }

    /// Hears of a commit before its callers do.
    pub fn committed(&self, commands: &[Command], outcomes: &[Outcome]) {
        let marks = &self.0.marks;
        for (command, outcome) in commands.iter().zip(outcomes) {
            match &command.action {
                Action::CreateBusiness { owner, .. } => marks.move_on(&[Subject::Memberships(*owner)]),
                Action::UpdateBusiness { business, .. } => marks.move_on(&[Subject::Business(*business)]),
                Action::AddItem { business, .. }
                | Action::UpdateItem { business, .. }
                | Action::RemoveItem { business, .. } => marks.move_on(&[Subject::Menu(*business)]),
                Action::PutMember { user, .. } | Action::RemoveMember { user, .. } => {
                    marks.move_on(&[Subject::Memberships(*user)]);
                }
                _ => {}
            }
            // By the outcome, whatever command it was that changed an order.
            let order = match outcome {
                Outcome::Placed(PlaceOutcome::Placed(order)) => order,
                Outcome::Moved(Ok(order)) => order,
                _ => continue,
            };
            marks.move_on(&[
                Subject::Order(order.id),
                Subject::OrdersAt(order.business_id),
                Subject::OrdersBy(order.customer_id),
                Subject::Orders,
            ]);
        }
    }

    fn look(&self, key: &Key) -> Option<Value> {
        let entries = self.0.entries.as_ref()?;
        let good = |entry: &Entry| entry.good_until > Instant::now() && self.0.marks.hold(&entry.seen);
        let found = entries.get(key).filter(good).map(|entry| entry.value);
        let result = if found.is_some() { "hit" } else { "miss" };
        self.0.metrics.cache_requests_total.with_label_values(&[key.cache(), result]).inc();
        found
    }

    fn keep(&self, key: Key, value: Value, seen: Seen, seconds: u64) {
        if let Some(entries) = &self.0.entries {
            let good_until = Instant::now() + Duration::from_secs(seconds);
            entries.insert(key, Entry { value, seen, good_until });
        }
    }
}

#[cfg(test)]
mod tests;
