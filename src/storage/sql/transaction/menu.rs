//! Items of menus.

use sqlx_macros::FromRow;

use crate::domain::business::{MAX_MENU_ITEMS, MenuItem};
use crate::domain::control::ControlChange;
use crate::storage::commands::{AddItem, Addition, Removal, RemoveItem, UpdateItem};
use crate::storage::sql::errors::TxError;
use crate::storage::sql::rows::MenuItemRow;
use crate::storage::sql::statement::{Arg, LazyStatement, Operation, Statement};

use super::business_lock::lock;
use super::execute::{Context, Execute};

static ADD_ITEM: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Insert("menu_items"),
        "INSERT INTO menu_items (business_id, sku, name, category, price_minor, available) \
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
});

static MENU_STANDING: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("menu_items"),
        "SELECT (SELECT count(*) FROM menu_items WHERE business_id = $1) AS items, \
             (SELECT count(*) FROM menu_items WHERE business_id = $1 AND sku = $2) AS same",
    )
});

static UPDATE_ITEM: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Update("menu_items"),
        "UPDATE menu_items SET name = COALESCE($3, name), \
             category = CASE WHEN $4 THEN $5 ELSE category END, \
             price_minor = COALESCE($6, price_minor), available = COALESCE($7, available) \
         WHERE business_id = $1 AND sku = $2 \
         RETURNING business_id, sku, name, category, price_minor, available",
    )
});

static REMOVE_ITEM: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Delete("menu_items"),
        "DELETE FROM menu_items WHERE business_id = $1 AND sku = $2",
    )
});

impl Execute for AddItem {
    type Output = Addition;

    async fn execute(&self, cx: Context<'_>) -> Result<Addition, TxError> {
        let Self { business, item } = self;
        lock(cx.connection, *business).await?;
        let standing = [Arg::text(business), Arg::text(&item.sku)];
        let menu: Option<MenuStandingRow> = cx.connection.fetch_first(&MENU_STANDING, &standing).await?;
        let menu = menu.expect("a select without a table has one row");
        if menu.same > 0 {
            return Ok(Addition::AlreadyThere);
        }
        if menu.items >= MAX_MENU_ITEMS.into() {
            return Ok(Addition::Full);
        }
        let args = [
            Arg::text(business),
            Arg::text(&item.sku),
            Arg::text(&item.name),
            Arg::OptText(item.category.clone()),
            Arg::Int(item.price_minor),
            Arg::Bool(item.available),
        ];
        cx.connection.execute(&ADD_ITEM, &args).await?;
        cx.control.push(ControlChange::MenuChanged(*business));
        Ok(Addition::Added)
    }
}

impl Execute for UpdateItem {
    type Output = Option<MenuItem>;

    async fn execute(&self, cx: Context<'_>) -> Result<Option<MenuItem>, TxError> {
        let Self { business, sku, patch } = self;
        let args = [
            Arg::text(business),
            Arg::text(sku),
            Arg::OptText(patch.name.clone()),
            Arg::Bool(patch.category.is_some()),
            Arg::OptText(patch.category.clone().flatten()),
            Arg::OptInt(patch.price_minor),
            Arg::OptBool(patch.available),
        ];
        let row: Option<MenuItemRow> = cx.connection.fetch_first(&UPDATE_ITEM, &args).await?;
        if row.is_some() {
            cx.control.push(ControlChange::MenuChanged(*business));
        }
        Ok(row.map(Into::into))
    }
}

impl Execute for RemoveItem {
    type Output = Removal;

    async fn execute(&self, cx: Context<'_>) -> Result<Removal, TxError> {
        let Self { business, sku } = self;
        let removed = cx.connection.execute(&REMOVE_ITEM, &[Arg::text(business), Arg::text(sku)]).await?;
        if removed == 0 {
            return Ok(Removal::NotThere);
        }
        cx.control.push(ControlChange::MenuChanged(*business));
        Ok(Removal::Removed)
    }
}

#[derive(FromRow)]
struct MenuStandingRow {
    items: i64,
    same: i64,
}
