//! The sagas of a batch's orders: read under the locks of the orders, changed in memory, written together.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;
use sqlx_macros::FromRow;

use crate::domain::ids::{BusinessId, OrderId};
use crate::domain::order::Order;
use crate::domain::saga::OrderSaga;
use crate::domain::time::Timestamp;
use crate::storage::commands::SagaDue;
use crate::storage::sql::connection::Connection;
use crate::storage::sql::errors::TxError;
use crate::storage::sql::rows::parse;
use crate::storage::sql::statement::{Arg, LazyStatement, Operation, Statement};

// Whoever writes a saga holds its order's lock, but for acknowledgements, which wait for nobody.
static READ: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("order_sagas"),
        "SELECT order_id, business_id, due_at, attempt, state FROM order_sagas WHERE order_id = {any}",
    )
});

static INSERT: LazyStatement = LazyStatement::new(|| {
    Statement::over(
        Operation::Insert("order_sagas"),
        "order_id text, business_id text, due_at int, attempt int, state text, auto_accept bool, created_at int",
        "INSERT INTO order_sagas (order_id, business_id, due_at, attempt, state, auto_accept, created_at) \
         SELECT r.order_id, r.business_id, r.due_at, r.attempt, r.state, r.auto_accept, r.created_at FROM {rows} \
         WHERE true ON CONFLICT (order_id) DO UPDATE SET due_at = excluded.due_at, attempt = excluded.attempt, \
             state = excluded.state, auto_accept = excluded.auto_accept",
    )
});

static UPDATE: LazyStatement = LazyStatement::new(|| {
    Statement::over(
        Operation::Update("order_sagas"),
        "order_id text, due_at int, attempt int, state text, auto_accept bool, rings int, rung_at int",
        "UPDATE order_sagas SET due_at = r.due_at, attempt = r.attempt, state = r.state, auto_accept = r.auto_accept, \
             rings = order_sagas.rings + r.rings, first_ring_at = COALESCE(order_sagas.first_ring_at, r.rung_at), \
             last_ring_at = COALESCE(r.rung_at, order_sagas.last_ring_at) FROM {rows} WHERE order_sagas.order_id = r.order_id",
    )
});

// Of orders that a device has acknowledged for the first time. A row that somebody else holds is passed over, since acknowledgements
// come behind rows of any kind and to wait here would close a circle of lanes: it is being answered, or is fired without this
// acknowledgement and accepted at its next ring. The condition on the time is one that no index knows, or a plan made for few rows
// would read all times.
static ACCEPT: LazyStatement = LazyStatement::new(|| {
    let text = |lock: &str| {
        format!(
            "UPDATE order_sagas SET due_at = $2 WHERE order_id IN \
             (SELECT s.order_id FROM order_sagas s WHERE s.order_id = {{any}} AND s.auto_accept AND COALESCE(s.due_at, 0) > $2 {lock}) \
             RETURNING order_id, business_id, due_at, attempt, state"
        )
    };
    Statement::apart(Operation::Update("order_sagas"), "", &text("FOR UPDATE SKIP LOCKED"), &text(""))
});

#[derive(FromRow)]
struct SagaRead {
    order_id: String,
    business_id: String,
    due_at: Option<i64>,
    attempt: i64,
    state: String,
}

#[derive(Serialize)]
struct NewSagaRow {
    order_id: OrderId,
    business_id: BusinessId,
    due_at: Option<i64>,
    attempt: i64,
    state: String,
    auto_accept: bool,
    created_at: i64,
}

#[derive(Serialize)]
struct SagaRow {
    order_id: OrderId,
    due_at: Option<i64>,
    attempt: i64,
    state: String,
    auto_accept: bool,
    rings: u32,
    rung_at: Option<i64>,
}

/// The saga of an order in a batch.
#[derive(Clone, Debug)]
pub(super) struct BatchSaga {
    pub(super) saga: OrderSaga,
    pub(super) attempt: i64,
    pub(super) due_at: Option<Timestamp>,
    business: BusinessId,
    /// Rings of this batch.
    rings: u32,
    origin: Origin,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// The row was there.
    Stored,
    /// The order is of this batch, or of a release that knew no sagas.
    New,
}

impl BatchSaga {
    /// Another ring.
    pub(super) fn rang(&mut self) {
        self.rings += 1;
    }

    fn due(&self, order: OrderId) -> SagaDue {
        SagaDue { order, business: self.business, attempt: self.attempt, due_at: self.due_at }
    }
}

#[derive(Default)]
pub(super) struct Sagas {
    sagas: HashMap<OrderId, BatchSaga>,
    /// Those that are to be written, and those that were asked for in vain, in the order of their ids.
    changed: BTreeSet<OrderId>,
    asked: BTreeSet<OrderId>,
    /// Those that acknowledgements made due.
    accepting: Vec<SagaDue>,
    /// Orders whose saga a newer release wrote: it is left alone.
    unreadable: BTreeSet<OrderId>,
}

impl Sagas {
    /// Reads the sagas of these orders, which are locked.
    pub(super) async fn load(
        &mut self,
        connection: &mut Connection,
        orders: &BTreeSet<OrderId>,
    ) -> Result<(), TxError> {
        if orders.is_empty() {
            return Ok(());
        }
        for row in connection.fetch::<SagaRead>(&READ, &[Arg::texts(orders)]).await? {
            let order = parse("order_sagas.order_id", &row.order_id)?;
            let Ok(saga) = serde_json::from_str::<OrderSaga>(&row.state) else {
                self.unreadable.insert(order);
                continue;
            };
            let business = parse("order_sagas.business_id", &row.business_id)?;
            let due_at = row.due_at.map(Timestamp::from_micros);
            let origin = Origin::Stored;
            let saga = BatchSaga { saga, attempt: row.attempt, due_at, business, rings: 0, origin };
            self.sagas.insert(order, saga);
        }
        Ok(())
    }

    /// Takes in the saga of an order that this batch places.
    pub(super) fn begin(&mut self, order: &Order, saga: OrderSaga) {
        let due_at = saga.next_due();
        let (attempt, business, origin) = (1, order.business_id, Origin::New);
        let saga = BatchSaga { saga, attempt, due_at, business, rings: 0, origin };
        self.sagas.insert(order.id, saga);
        self.changed.insert(order.id);
    }

    /// The saga of an order, to be changed; an order without a row gets one. `None`: a newer release wrote it.
    pub(super) fn of(&mut self, order: OrderId, business: BusinessId) -> Option<&mut BatchSaga> {
        if self.unreadable.contains(&order) {
            return None;
        }
        let absent = || BatchSaga {
            saga: OrderSaga::default(),
            attempt: 0,
            due_at: None,
            business,
            rings: 0,
            origin: Origin::New,
        };
        Some(self.sagas.entry(order).or_insert_with(absent))
    }

    /// The saga of an order as it is now, if there is one that can be read.
    pub(super) fn get(&self, order: OrderId) -> Option<&BatchSaga> {
        self.sagas.get(&order)
    }

    /// The saga has been changed: it is written with the next attempt.
    pub(super) fn changed(&mut self, order: OrderId) {
        if let Some(saga) = self.sagas.get_mut(&order) {
            saga.due_at = saga.saga.next_due();
            saga.attempt += 1;
            self.changed.insert(order);
        }
    }

    /// The saga keeps its state and is looked at again at `until`.
    pub(super) fn postponed(&mut self, order: OrderId, until: Timestamp) {
        if let Some(saga) = self.sagas.get_mut(&order) {
            saga.due_at = Some(until);
            saga.attempt += 1;
            self.changed.insert(order);
        }
    }

    /// Nothing of the order is due any more.
    pub(super) fn silence(&mut self, order: OrderId) {
        if let Some(saga) = self.sagas.get_mut(&order) {
            saga.saga = OrderSaga::default();
            self.changed(order);
        }
    }

    /// Its row as it is now is told after the commit, though nothing changes.
    pub(super) fn asked(&mut self, order: OrderId) {
        self.asked.insert(order);
    }

    /// The saga's row as the transaction leaves it.
    pub(super) fn due_of(&self, order: OrderId) -> Option<SagaDue> {
        Some(self.sagas.get(&order)?.due(order))
    }

    /// Writes what has changed, in at most two statements.
    pub(super) async fn write(&self, connection: &mut Connection, now: Timestamp) -> Result<(), TxError> {
        let (mut new, mut old) = (Vec::new(), Vec::new());
        for (id, saga) in self.changed.iter().filter_map(|id| Some((*id, self.sagas.get(id)?))) {
            let state =
                serde_json::to_string(&saga.saga).expect("a saga is made of words, numbers and times");
            let (due_at, attempt) = (saga.due_at.map(Timestamp::as_micros), saga.attempt);
            let auto_accept = saga.saga.accepts_by_itself();
            match saga.origin {
                Origin::New => new.push(NewSagaRow {
                    order_id: id,
                    business_id: saga.business,
                    due_at,
                    attempt,
                    state,
                    auto_accept,
                    created_at: now.as_micros(),
                }),
                Origin::Stored => {
                    let (rings, rung_at) = (saga.rings, (saga.rings > 0).then_some(now.as_micros()));
                    old.push(SagaRow { order_id: id, due_at, attempt, state, auto_accept, rings, rung_at });
                }
            }
        }
        if !new.is_empty() {
            connection.execute(&INSERT, &[Arg::rows(&new)]).await?;
        }
        if !old.is_empty() {
            connection.execute(&UPDATE, &[Arg::rows(&old)]).await?;
        }
        Ok(())
    }

    /// Makes the sagas of these orders due at once whose business accepts by itself after the first acknowledgement.
    pub(super) async fn acknowledged(
        &mut self,
        connection: &mut Connection,
        orders: &BTreeSet<String>,
        now: Timestamp,
    ) -> Result<(), TxError> {
        if orders.is_empty() {
            return Ok(());
        }
        let args = [Arg::texts(orders), Arg::Int(now.as_micros())];
        for row in connection.fetch::<SagaRead>(&ACCEPT, &args).await? {
            self.accepting.push(SagaDue {
                order: parse("order_sagas.order_id", &row.order_id)?,
                business: parse("order_sagas.business_id", &row.business_id)?,
                attempt: row.attempt,
                due_at: row.due_at.map(Timestamp::from_micros),
            });
        }
        Ok(())
    }

    /// What is due of the sagas of this batch, each order once.
    pub(super) fn due(&self) -> Vec<SagaDue> {
        let told = self.changed.union(&self.asked);
        let of_batch = told.filter_map(|order| Some(self.sagas.get(order)?.due(*order)));
        let mut due: BTreeMap<OrderId, SagaDue> = of_batch.map(|due| (due.order, due)).collect();
        due.extend(self.accepting.iter().map(|accepting| (accepting.order, *accepting)));
        due.into_values().collect()
    }
}
