//! The orders of a batch: locked, decided upon, numbered and written together.

use std::collections::{BTreeSet, HashMap};

use serde::Serialize;

use crate::domain::ids::{OrderId, UserId};
use crate::domain::order::{FollowUp, NewOrder, Order, OrderChange, Status};
use crate::domain::time::Timestamp;
use crate::storage::command::MoveOrder;
use crate::storage::crypto::cipher::Cipher;
use crate::storage::sql::connection::Connection;
use crate::storage::sql::errors::TxError;
use crate::storage::sql::rows::{CourseRow, NewOrderRow, ORDER_COLUMNS, OrderItemRow, OrderRow, assemble};
use crate::storage::sql::statement::{Arg, Dialect, LazyStatement, Operation, Statement};

use super::order_numbers;

static LOCK: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("orders"),
        &format!("SELECT {ORDER_COLUMNS} FROM orders o WHERE o.id = {{any}} ORDER BY o.id {{for_update}}"),
    )
});

static READ: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("orders"),
        &format!("SELECT {ORDER_COLUMNS} FROM orders o WHERE o.id = {{any}}"),
    )
});

/// The lines of the orders whose ids are given.
pub(in crate::storage) static ITEMS_OF_ORDERS: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("order_items"),
        "SELECT order_id, line, sku, name, qty, price_minor FROM order_items WHERE order_id = {any} \
         ORDER BY order_id, line",
    )
});

const ROW: &str = "id text, order_number int, business_id text, customer_id text, customer_name text, phone text, \
     address text, fulfilment text, status text, payment_method text, payment_status text, total_minor int, \
     currency text, notes text, table_no int, prep_minutes int, version int, created_at int, updated_at int, \
     ready_at int, delivered_by text, ended_code text, ended_text text, delivery_version int, payment_version int, \
     terms text, words text";

static INSERT: LazyStatement = LazyStatement::new(|| {
    let into = "id, order_number, business_id, customer_id, customer_name, phone, address, fulfilment, status, \
         payment_method, payment_status, total_minor, currency, notes, table_no, prep_minutes, version, created_at, \
         updated_at, ready_at, delivered_by, ended_code, ended_text, delivery_version, payment_version";
    let from: Vec<String> = into.split(", ").map(|column| format!("r.{}", column.trim())).collect();
    let from = from.join(", ");
    Statement::apart(
        Operation::Insert("orders"),
        ROW,
        &format!(
            "INSERT INTO orders ({into}, search) \
             SELECT {from}, array_to_tsvector(string_to_array(r.terms, ' ')) FROM {{rows}}"
        ),
        &format!(
            "INSERT INTO orders ({into}, words, search_row) SELECT {from}, COALESCE(r.words, ''), {NEXT_SEARCH_ROW} FROM {{rows}}"
        ),
    )
});

/// A row of the text index that no order has yet, for each of the rows a statement of SQLite inserts or changes.
pub(super) const NEXT_SEARCH_ROW: &str =
    "(SELECT COALESCE(max(o.search_row), 0) FROM orders o) + row_number() OVER ()";

// SQLite only: Postgres keeps the terms in the order's own row.
pub(super) static INSERT_TERMS: LazyStatement = LazyStatement::new(|| {
    Statement::over(
        Operation::Insert("order_search"),
        "id text, terms text",
        "INSERT INTO order_search (rowid, words) SELECT o.search_row, r.terms FROM {rows} CROSS JOIN orders o ON o.id = r.id",
    )
});

static INSERT_ITEMS: LazyStatement = LazyStatement::new(|| {
    Statement::over(
        Operation::Insert("order_items"),
        "order_id text, line int, sku text, name text, qty int, price_minor int",
        "INSERT INTO order_items (order_id, line, sku, name, qty, price_minor) \
         SELECT r.order_id, r.line, r.sku, r.name, r.qty, r.price_minor FROM {rows}",
    )
});

static UPDATE: LazyStatement = LazyStatement::new(|| {
    Statement::over(
        Operation::Update("orders"),
        "id text, status text, payment_status text, prep_minutes int, version int, updated_at int, ready_at int, \
         delivered_by text, ended_code text, ended_text text, delivery_version int, payment_version int",
        "UPDATE orders SET status = r.status, payment_status = r.payment_status, prep_minutes = r.prep_minutes, \
             version = r.version, updated_at = r.updated_at, ready_at = r.ready_at, delivered_by = r.delivered_by, \
             ended_code = r.ended_code, ended_text = r.ended_text, delivery_version = r.delivery_version, \
             payment_version = r.payment_version FROM {rows} WHERE orders.id = r.id",
    )
});

static INSERT_EVENTS: LazyStatement = LazyStatement::new(|| {
    Statement::over(
        Operation::Insert("order_events"),
        "order_id text, version int, from_status text, to_status text, party text, user_id text, reason text, \
         at int",
        "INSERT INTO order_events (order_id, version, from_status, to_status, party, user_id, reason, at) \
         SELECT r.order_id, r.version, r.from_status, r.to_status, r.party, r.user_id, r.reason, r.at FROM {rows}",
    )
});

#[derive(Serialize)]
struct MovedRow {
    id: OrderId,
    status: Status,
    payment_status: &'static str,
    prep_minutes: Option<u16>,
    version: i64,
    updated_at: i64,
    #[serde(flatten)]
    course: CourseRow,
}

#[derive(Serialize)]
struct OrderEventRow {
    order_id: OrderId,
    version: i64,
    from_status: Option<Status>,
    to_status: Status,
    party: &'static str,
    user_id: Option<String>,
    reason: Option<String>,
    at: i64,
}

/// An order as one command left it.
enum Snapshot {
    /// It was there already.
    Unchanged(Box<Order>),
    Changed(Box<OrderChange>, OrderEventRow),
}

impl Snapshot {
    fn order(&self) -> &Order {
        match self {
            Self::Unchanged(order) => order,
            Self::Changed(change, _) => &change.order,
        }
    }

    fn order_mut(&mut self) -> &mut Order {
        match self {
            Self::Unchanged(order) => order,
            Self::Changed(change, _) => &mut change.order,
        }
    }
}

impl OrderEventRow {
    fn of(change: &OrderChange, user: Option<UserId>, reason: Option<String>) -> Self {
        Self {
            order_id: change.order.id,
            version: change.order.version,
            from_status: change.from,
            to_status: change.order.status,
            party: change.party.as_str(),
            user_id: user.map(|user| user.to_string()),
            reason,
            at: change.at.as_micros(),
        }
    }
}

#[derive(Default)]
pub(super) struct Orders {
    /// Every order of the batch as it is now.
    present: HashMap<OrderId, Order>,
    /// Those placed in this batch, in the order of the commands, with the day they are numbered in.
    placed: Vec<(OrderId, String)>,
    /// Those that were there and have been moved.
    moved: BTreeSet<OrderId>,
    snapshots: Vec<Snapshot>,
}

impl Orders {
    /// Reads these orders and keeps everybody else from moving them until the transaction ends.
    pub(super) async fn lock(
        &mut self,
        connection: &mut Connection,
        cipher: &Cipher,
        ids: Vec<OrderId>,
    ) -> Result<(), TxError> {
        let ids: BTreeSet<OrderId> = ids.into_iter().collect();
        self.present = select(connection, cipher, &LOCK, &ids).await?;
        Ok(())
    }

    pub(super) fn get(&self, id: OrderId) -> Option<&Order> {
        self.present.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: OrderId) -> Option<&mut Order> {
        self.present.get_mut(&id)
    }

    /// The order as the command of this step left it.
    pub(super) fn snapshot(&self, step: usize) -> &Order {
        self.snapshots[step].order()
    }

    /// The change of this step. Only steps of [`Orders::add`] and [`Orders::moved`] have one.
    pub(super) fn change(&self, step: usize) -> Option<&OrderChange> {
        match &self.snapshots[step] {
            Snapshot::Changed(change, _) => Some(change),
            Snapshot::Unchanged(_) => None,
        }
    }

    /// Takes in a new order; its number comes later.
    pub(super) fn add(&mut self, new: NewOrder, at: Timestamp) -> usize {
        let NewOrder { order, placed_by, follows, day } = new;
        self.placed.push((order.id, day));
        self.present.insert(order.id, order.clone());
        let user = Some(order.customer_id);
        self.changed(OrderChange { order, from: None, party: placed_by, follows, at }, user, None)
    }

    /// Notes that the order has been moved to where it is now.
    pub(super) fn moved(
        &mut self,
        wish: &MoveOrder,
        from: Status,
        follows: &'static [FollowUp],
        at: Timestamp,
    ) -> usize {
        let order = self.present[&wish.order].clone();
        if !self.placed.iter().any(|(id, _)| *id == order.id) {
            self.moved.insert(order.id);
        }
        let change = OrderChange { order, from: Some(from), party: wish.request.party, follows, at };
        self.changed(change, wish.user, wish.reason.clone())
    }

    /// The order as it is now, without anything having happened.
    pub(super) fn unchanged(&mut self, id: OrderId) -> usize {
        let order = self.present[&id].clone();
        self.push(Snapshot::Unchanged(Box::new(order)))
    }

    fn changed(&mut self, change: OrderChange, user: Option<UserId>, reason: Option<String>) -> usize {
        let row = OrderEventRow::of(&change, user, reason);
        self.push(Snapshot::Changed(Box::new(change), row))
    }

    fn push(&mut self, snapshot: Snapshot) -> usize {
        self.snapshots.push(snapshot);
        self.snapshots.len() - 1
    }

    /// Gives the new orders the next numbers of their businesses' days.
    pub(super) async fn number(&mut self, connection: &mut Connection) -> Result<(), TxError> {
        if self.placed.is_empty() {
            return Ok(());
        }
        let placed = self.placed.iter().map(|(id, day)| (*id, self.present[id].business_id, day.as_str()));
        let numbers = order_numbers::give(connection, placed).await?;
        for order in self.present.values_mut().chain(self.snapshots.iter_mut().map(Snapshot::order_mut)) {
            if let Some(given) = numbers.get(&order.id) {
                order.order_number = *given;
            }
        }
        Ok(())
    }

    /// Writes orders, lines and the log of their transitions, whatever their number in at most five statements.
    pub(super) async fn write(
        &mut self,
        connection: &mut Connection,
        cipher: &Cipher,
    ) -> Result<(), TxError> {
        let dialect = connection.dialect();
        let placed: Vec<&Order> = self.placed.iter().map(|(id, _)| &self.present[id]).collect();
        if !placed.is_empty() {
            let rows: Vec<NewOrderRow> = placed
                .iter()
                .map(|order| NewOrderRow::of(order, cipher, dialect))
                .collect::<Result<_, _>>()?;
            let rows = [Arg::rows(&rows)];
            connection.execute(&INSERT, &rows).await?;
            if dialect == Dialect::Sqlite {
                connection.execute(&INSERT_TERMS, &rows).await?;
            }
            let items: Vec<OrderItemRow> =
                placed.iter().flat_map(|order| OrderItemRow::all_of(order)).collect();
            connection.execute(&INSERT_ITEMS, &[Arg::rows(&items)]).await?;
        }
        let moved: Vec<MovedRow> = self.moved.iter().map(|id| moved_row(&self.present[id])).collect();
        if !moved.is_empty() {
            connection.execute(&UPDATE, &[Arg::rows(&moved)]).await?;
        }
        let changes = self.snapshots.iter().filter_map(|snapshot| match snapshot {
            Snapshot::Changed(_, row) => Some(row),
            Snapshot::Unchanged(_) => None,
        });
        let events: Vec<&OrderEventRow> = changes.collect();
        if !events.is_empty() {
            connection.execute(&INSERT_EVENTS, &[Arg::rows(&events)]).await?;
        }
        Ok(())
    }
}

fn moved_row(order: &Order) -> MovedRow {
    MovedRow {
        id: order.id,
        status: order.status,
        payment_status: order.payment_status.as_str(),
        prep_minutes: order.prep_minutes,
        version: order.version,
        updated_at: order.updated_at.as_micros(),
        course: CourseRow::of(order),
    }
}

/// Orders as stored, without locking them.
pub(super) async fn read(
    connection: &mut Connection,
    cipher: &Cipher,
    ids: &BTreeSet<OrderId>,
) -> Result<HashMap<OrderId, Order>, TxError> {
    select(connection, cipher, &READ, ids).await
}

async fn select(
    connection: &mut Connection,
    cipher: &Cipher,
    statement: &Statement,
    ids: &BTreeSet<OrderId>,
) -> Result<HashMap<OrderId, Order>, TxError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let ids = [Arg::texts(ids)];
    let rows: Vec<OrderRow> = connection.fetch(statement, &ids).await?;
    let lines = connection.fetch(&ITEMS_OF_ORDERS, &ids).await?;
    Ok(assemble(rows, lines, cipher)?.into_iter().map(|order| (order.id, order)).collect())
}
