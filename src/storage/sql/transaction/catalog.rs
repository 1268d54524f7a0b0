//! The businesses that drafts and accepted orders of a batch are of, and the items that drafts name: one statement each for the
//! whole batch.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde::Serialize;

use crate::domain::business::{Business, MenuItem};
use crate::domain::ids::BusinessId;
use crate::domain::order::Draft;
use crate::storage::sql::connection::Connection;
use crate::storage::sql::errors::TxError;
use crate::storage::sql::rows::{BUSINESS_COLUMNS, BusinessRow, MenuItemRow, parse};
use crate::storage::sql::statement::{Arg, LazyStatement, Operation, Statement};

static BUSINESSES: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("businesses"),
        &format!("SELECT {BUSINESS_COLUMNS} FROM businesses b WHERE b.id = {{any}}"),
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
    /// Changed by a command of this batch since they were read.
    stale: HashSet<BusinessId>,
}

impl Catalog {
    /// Reads everything `drafts` name and the businesses that accept orders, replacing what was read before.
    pub(super) async fn load<'d>(
        &mut self,
        connection: &mut Connection,
        drafts: impl Iterator<Item = &'d Draft>,
        accepting: &BTreeSet<BusinessId>,
    ) -> Result<(), TxError> {
        *self = Self::default();
        let (mut ids, mut keys) = (accepting.clone(), BTreeSet::new());
        for draft in drafts {
            ids.insert(draft.business_id);
            keys.extend(draft.items.iter().map(|i| ItemKey { business_id: draft.business_id, sku: &i.sku }));
        }
        if ids.is_empty() {
            return Ok(());
        }
        for row in connection.fetch::<BusinessRow>(&BUSINESSES, &[Arg::texts(&ids)]).await? {
            let business = row.into_business_without_contact()?;
            self.businesses.insert(business.id, business);
        }
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

    /// A command of this batch changes the business or its menu.
    pub(super) fn changed(&mut self, business: BusinessId) {
        self.stale.insert(business);
    }

    /// Whether the business has to be read again before the next draft for it is decided, or the next order accepted.
    pub(super) fn is_stale(&self, business: BusinessId) -> bool {
        self.stale.contains(&business)
    }

    /// The business, if there is one, and those of its items that drafts name.
    pub(super) fn of(&self, business: BusinessId) -> (Option<&Business>, &[MenuItem]) {
        (self.businesses.get(&business), self.items.get(&business).map_or(&[], Vec::as_slice))
    }
}
