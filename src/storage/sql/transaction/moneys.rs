//! The money of a batch's orders: read under the locks of the orders, changed in memory, written together. Whoever changes the money of
//! an order holds its order's lock, so payments and refunds need none of their own.

use std::collections::{BTreeMap, BTreeSet};

use sqlx_macros::FromRow;

use crate::domain::ids::{BusinessId, OrderId, RefundId};
use crate::domain::order::Order;
use crate::domain::payment::{OrderMoney, Payment, PaymentState, Refund};
use crate::domain::time::Timestamp;
use crate::storage::sql::connection::Connection;
use crate::storage::sql::errors::TxError;
use crate::storage::sql::rows::{PAYMENT_COLUMNS, PaymentRow, REFUND_COLUMNS, RefundRow, parse};
use crate::storage::sql::statement::{Arg, LazyStatement, Operation, Statement};

static PAYMENTS: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("payments"),
        &format!(
            "SELECT {PAYMENT_COLUMNS} FROM payments p WHERE p.order_id = {{any}} ORDER BY p.created_at, p.id"
        ),
    )
});

static REFUNDS: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("refunds"),
        &format!(
            "SELECT {REFUND_COLUMNS} FROM refunds f WHERE f.order_id = {{any}} ORDER BY f.created_at, f.id"
        ),
    )
});

static WRITE_PAYMENTS: LazyStatement = LazyStatement::new(|| {
    upsert(
        "payments",
        "id text, order_id text, business_id text, amount_minor int, currency text, way text, user_id text, created_at int",
        "state text, counts bool, captured_minor int, refunded_minor int, promised_minor int, reference text, \
         redirect_url text, ask_at int, updated_at int",
    )
});

static WRITE_REFUNDS: LazyStatement = LazyStatement::new(|| {
    upsert(
        "refunds",
        "id text, payment_id text, order_id text, business_id text, cause text, reason text, created_at int",
        "amount_minor int, way text, reference text, state text, attempt int, retries int, first_sent_at int, due_at int, \
         alarm_at int, told bool, user_id text, updated_at int",
    )
});

static LEASES: LazyStatement = LazyStatement::new(|| {
    Statement::new(
        Operation::Select("reach_leases"),
        "SELECT business_id FROM reach_leases WHERE business_id = $1 AND until > $2 LIMIT 1",
    )
});

/// Rows by their ids: columns that never change, and those that do.
fn upsert(table: &'static str, fixed: &str, changing: &str) -> Statement {
    let names = |columns: &str| -> Vec<String> {
        columns.split(',').filter_map(|column| Some(column.split_whitespace().next()?.to_owned())).collect()
    };
    let (all, changed) = (names(&format!("{fixed}, {changing}")), names(changing));
    let from: Vec<String> = all.iter().map(|column| format!("r.{column}")).collect();
    let set: Vec<String> = changed.iter().map(|column| format!("{column} = excluded.{column}")).collect();
    let text = format!(
        "INSERT INTO {table} ({}) SELECT {} FROM {{rows}} WHERE true ON CONFLICT (id) DO UPDATE SET {}",
        all.join(", "),
        from.join(", "),
        set.join(", ")
    );
    Statement::over(Operation::Insert(table), &format!("{fixed}, {changing}"), &text)
}

#[derive(FromRow)]
struct LeaseRow {
    #[expect(dead_code, reason = "whether there is a row is all that counts")]
    business_id: String,
}

/// Whether one of the business's devices can ring.
pub(super) async fn is_reachable(
    connection: &mut Connection,
    business: BusinessId,
    now: Timestamp,
) -> Result<bool, TxError> {
    let args = [Arg::text(business), Arg::Int(now.as_micros())];
    let lease: Option<LeaseRow> = connection.fetch_first(&LEASES, &args).await?;
    Ok(lease.is_some())
}

/// The money of an order in a batch, and as it was read.
struct Kept {
    stored: OrderMoney,
    present: OrderMoney,
}

impl Kept {
    /// The payments to be written, with what is promised of each.
    fn changed_payments(&self) -> impl Iterator<Item = (&Payment, i64)> {
        let Self { stored, present } = self;
        let promised = present.payments().iter().map(|payment| (payment, present.promised_minor(payment.id)));
        promised.filter(|(payment, promised)| {
            stored.payment(payment.id) != Some(*payment) || stored.promised_minor(payment.id) != *promised
        })
    }

    fn changed_refunds(&self) -> impl Iterator<Item = &Refund> {
        self.present.refunds().iter().filter(|refund| self.stored.refund(refund.id) != Some(*refund))
    }
}

#[derive(Default)]
pub(super) struct Moneys {
    kept: BTreeMap<OrderId, Kept>,
}

impl Moneys {
    /// Reads the money of these orders, which are locked, unless it is there already.
    pub(super) async fn load(
        &mut self,
        connection: &mut Connection,
        orders: &BTreeSet<OrderId>,
    ) -> Result<(), TxError> {
        let new: Vec<OrderId> =
            orders.iter().filter(|order| !self.kept.contains_key(order)).copied().collect();
        if new.is_empty() {
            return Ok(());
        }
        let args = [Arg::texts(&new)];
        let mut payments: BTreeMap<OrderId, Vec<Payment>> = BTreeMap::new();
        for row in connection.fetch::<PaymentRow>(&PAYMENTS, &args).await? {
            let order = parse("payments.order_id", &row.order_id)?;
            payments.entry(order).or_default().push(row.into_payment()?);
        }
        let mut refunds: BTreeMap<OrderId, Vec<Refund>> = BTreeMap::new();
        // Without a payment there is nothing that could go back.
        if !payments.is_empty() {
            for row in connection.fetch::<RefundRow>(&REFUNDS, &args).await? {
                let order = parse("refunds.order_id", &row.order_id)?;
                refunds.entry(order).or_default().push(row.into_refund()?);
            }
        }
        for order in new {
            let take = |payments: Option<Vec<Payment>>| payments.unwrap_or_default();
            let stored =
                OrderMoney::new(take(payments.remove(&order)), refunds.remove(&order).unwrap_or_default());
            self.kept.insert(order, Kept { present: stored.clone(), stored });
        }
        Ok(())
    }

    /// The money of an order as it is now, if it was read.
    pub(super) fn get(&self, order: OrderId) -> Option<&OrderMoney> {
        Some(&self.kept.get(&order)?.present)
    }

    /// The money of an order that was read, to be changed.
    pub(super) fn get_mut(&mut self, order: OrderId) -> Option<&mut OrderMoney> {
        Some(&mut self.kept.get_mut(&order)?.present)
    }

    /// A refund of an order.
    pub(super) fn refund(&self, order: OrderId, refund: RefundId) -> Option<&Refund> {
        self.get(order)?.refund(refund)
    }

    /// Writes what has changed, in at most two statements. Whether something is to be worked on at `now`.
    pub(super) async fn write<'o>(
        &self,
        connection: &mut Connection,
        order: impl Fn(OrderId) -> Option<&'o Order>,
        now: Timestamp,
    ) -> Result<bool, TxError> {
        let (mut payments, mut refunds, mut is_due) = (Vec::new(), Vec::new(), false);
        let is_now = |at: Option<Timestamp>| at.is_some_and(|at| at <= now);
        for (id, kept) in &self.kept {
            let Some(business) = order(*id).map(|order| order.business_id) else { continue };
            for (payment, promised) in kept.changed_payments() {
                is_due |= is_now(payment.ask_at);
                let is_open = payment.state == PaymentState::Initiated;
                payments.push((is_open, PaymentRow::of(payment, business, promised)));
            }
            for refund in kept.changed_refunds() {
                is_due |= is_now(refund.due_at);
                refunds.push(RefundRow::of(refund, business));
            }
        }
        // An order has one open payment: the one before it is closed first.
        payments.sort_by_key(|(is_open, _)| *is_open);
        let payments: Vec<PaymentRow> = payments.into_iter().map(|(_, row)| row).collect();
        if !payments.is_empty() {
            connection.execute(&WRITE_PAYMENTS, &[Arg::rows(&payments)]).await?;
        }
        if !refunds.is_empty() {
            connection.execute(&WRITE_REFUNDS, &[Arg::rows(&refunds)]).await?;
        }
        Ok(is_due)
    }
}
