//! The businesses that a batch is about, and the items that its drafts name: a statement each for the whole batch. What is counted of
//! a business is changed under its lock, and written with the others of the batch.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde::Serialize;

use crate::domain::business::{Business, MenuItem};
use crate::domain::ids::BusinessId;
use crate::domain::order::Draft;
use crate::storage::sql::connection::Connection;
use crate::storage::sql::errors::TxError;
use crate::storage::sql::rows::{BUSINESS_COLUMNS, BusinessFactsRow, BusinessRow, MenuItemRow, parse};
use crate::storage::sql::statement::{Arg, LazyStatement, Operation, Statement};

static BUSINESSES: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("businesses"),
        &format!("SELECT {BUSINESS_COLUMNS} FROM businesses b WHERE b.id = {{any}}"),
    )
});

static LOCK: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("businesses"),
        &format!(
            "SELECT {BUSINESS_COLUMNS} FROM businesses b WHERE b.id = {{any}} ORDER BY b.id {{for_update}}"
        ),
    )
});

static FACTS: LazyStatement = LazyStatement::new(|| {
    Statement::over(
        Operation::Update("businesses"),
        "id text, unanswered text, called_at int, mailed_at int, pauses text, version int, updated_at int",
        "UPDATE businesses SET unanswered = r.unanswered, called_at = r.called_at, mailed_at = r.mailed_at, \
             pauses = r.pauses, version = r.version, updated_at = r.updated_at FROM {rows} WHERE businesses.id = r.id",
    )
});

static ITEMS: LazyStatement = LazyStatement::new(|| {
    Statement::over(
        Operation::Select("menu_items"),
        "business_id text, sku text",
        "SELECT m.business_id, m.sku, m.name, m.category, m.price_minor, m.available FROM {rows} \
         JOIN menu_items m ON m.business_id = r.business_id AND m.sku = r.sku",
    )
});

#[derive(Serialize, PartialEq, Eq, PartialOrd, Ord)]
struct ItemKey<'a> {
    business_id: BusinessId,
    sku: &'a str,
}

#[derive(Default)]
pub(super) struct Catalog {
    businesses: HashMap<BusinessId, Business>,
    items: HashMap<BusinessId, Vec<MenuItem>>,
    locked: BTreeSet<BusinessId>,
    /// Locked ones whose facts are to be written.
    counted: BTreeSet<BusinessId>,
    /// Changed by a command of this batch since they were read.
    stale: HashSet<BusinessId>,
}

impl Catalog {
    /// Locks these businesses, in the order of their ids, and reads them. It comes before the locks of orders.
    pub(super) async fn lock(
        &mut self,
        connection: &mut Connection,
        ids: BTreeSet<BusinessId>,
    ) -> Result<(), TxError> {
        self.read(connection, &LOCK, &ids).await?;
        self.locked = ids;
        Ok(())
    }

    /// Reads everything else that `drafts` name, and these businesses, which nothing changes.
    pub(super) async fn load<'d>(
        &mut self,
        connection: &mut Connection,
        drafts: impl Iterator<Item = &'d Draft>,
        mut ids: BTreeSet<BusinessId>,
    ) -> Result<(), TxError> {
        let mut keys = BTreeSet::new();
        for draft in drafts {
            ids.insert(draft.business_id);
            keys.extend(draft.items.iter().map(|i| ItemKey { business_id: draft.business_id, sku: &i.sku }));
        }
        ids.retain(|id| !self.businesses.contains_key(id));
        self.read(connection, &BUSINESSES, &ids).await?;
        let keys: Vec<ItemKey<'_>> = keys.into_iter().collect();
        if keys.is_empty() {
            return Ok(());
        }
        for row in connection.fetch::<MenuItemRow>(&ITEMS, &[Arg::rows(&keys)]).await? {
            let business = parse("menu_items.business_id", &row.business_id)?;
            self.items.entry(business).or_default().push(row.into());
        }
        Ok(())
    }

    /// Reads all of it again, after a command of this batch has changed something.
    pub(super) async fn reload<'d>(
        &mut self,
        connection: &mut Connection,
        drafts: impl Iterator<Item = &'d Draft>,
    ) -> Result<(), TxError> {
        self.write(connection).await?;
        let locked = std::mem::take(&mut self.locked);
        let known = self.businesses.keys().copied().collect();
        *self = Self { locked, ..Self::default() };
        self.load(connection, drafts, known).await
    }

    async fn read(
        &mut self,
        connection: &mut Connection,
        statement: &Statement,
        ids: &BTreeSet<BusinessId>,
    ) -> Result<(), TxError> {
        if ids.is_empty() {
            return Ok(());
        }
        for row in connection.fetch::<BusinessRow>(statement, &[Arg::texts(ids)]).await? {
            let business = row.into_business_without_contact()?;
            self.businesses.insert(business.id, business);
        }
        Ok(())
    }

    /// A command of this batch changes the business or its menu.
    pub(super) fn changed(&mut self, business: BusinessId) {
        self.stale.insert(business);
    }

    /// A command of this batch may change any business.
    pub(super) fn all_changed(&mut self) {
        self.stale.extend(self.businesses.keys());
    }

    /// Whether the business has to be read again before the next draft for it is decided, or the next order accepted.
    pub(super) fn is_stale(&self, business: BusinessId) -> bool {
        self.stale.contains(&business)
    }

    /// The business, if there is one, and those of its items that drafts name.
    pub(super) fn of(&self, business: BusinessId) -> (Option<&Business>, &[MenuItem]) {
        (self.businesses.get(&business), self.items.get(&business).map_or(&[], Vec::as_slice))
    }

    /// A locked business of which something is counted: what `count` changes is written if it says so.
    pub(super) fn count(&mut self, business: BusinessId, count: impl FnOnce(&mut Business) -> bool) -> bool {
        let locked = self.businesses.get_mut(&business).filter(|_| self.locked.contains(&business));
        let changed = locked.is_some_and(count);
        if changed {
            self.counted.insert(business);
        }
        changed
    }

    /// Writes what was counted.
    pub(super) async fn write(&mut self, connection: &mut Connection) -> Result<(), TxError> {
        let counted = std::mem::take(&mut self.counted);
        let rows: Vec<BusinessFactsRow> =
            counted.iter().filter_map(|id| self.businesses.get(id)).map(BusinessFactsRow::of).collect();
        if !rows.is_empty() {
            connection.execute(&FACTS, &[Arg::rows(&rows)]).await?;
        }
        Ok(())
    }
}
