//! What a transaction that fires deadlines has to know besides the orders and their businesses.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use sqlx_macros::FromRow;

use crate::domain::business::Business;
use crate::domain::hold::{HeldAction, Hold, is_held};
use crate::domain::ids::{BusinessId, OrderId, UserId};
use crate::domain::order::{Fulfilment, Order, Party, Status};
use crate::domain::saga::{Clocks, Facts, Grace, SagaTerms, UnpaidFacts};
use crate::domain::time::Timestamp;
use crate::storage::commands::MarkKind;
use crate::storage::sql::connection::Connection;
use crate::storage::sql::errors::TxError;
use crate::storage::sql::rows::parse;
use crate::storage::sql::statement::{Arg, LazyStatement, Operation, Statement, words};

use super::outage::{self, HubFacts};

// Acted upon in the room of the business: whoever else may mark events of the order, its customer among them, is not the kitchen.
static DEVICES: LazyStatement = LazyStatement::new(|| {
    let acted = MarkKind::Acted.as_str();
    Statement::new(
        Operation::Select("orders"),
        &format!(
            "SELECT o.id, EXISTS (SELECT 1 FROM order_acks a WHERE a.order_id = o.id {{one}}) AS delivered, \
                 (SELECT max(m.at) FROM device_marks m WHERE m.order_id = o.id AND m.kind = '{acted}' \
                     AND m.room = 'business:' || o.business_id) AS acted_at, \
                 (SELECT max(m.at) FROM device_marks m WHERE m.order_id = o.id AND m.kind = '{acted}' \
                     AND m.room = 'driver:' || o.driver_id) AS driver_acted_at \
             FROM orders o WHERE o.id = {{any}}"
        ),
    )
});

static HOLDS: LazyStatement = LazyStatement::new(|| {
    let machines =
        words([HeldAction::AutoCancel, HeldAction::AutoPause, HeldAction::Dispatch].map(HeldAction::as_str));
    Statement::new(
        Operation::Select("holds"),
        &format!("SELECT what, scope, until FROM holds WHERE what IN ({machines}) AND until > $1"),
    )
});

// Of orders that count for the pause of their business: not those of members and of guests at a table.
static WAITING: LazyStatement = LazyStatement::new(|| {
    let (placed, member, guest) =
        (Status::Placed.as_str(), Party::Member.as_str(), Fulfilment::DineIn.as_str());
    Statement::new(
        Operation::Select("orders"),
        &format!(
            "SELECT o.id, o.customer_id FROM orders o WHERE o.business_id = $1 AND o.status = '{placed}' \
                 AND o.placed_at < $2 AND COALESCE(o.placed_by, '') <> '{member}' AND o.fulfilment <> '{guest}' LIMIT 100"
        ),
    )
});

#[derive(FromRow)]
struct DevicesRow {
    id: String,
    delivered: bool,
    acted_at: Option<i64>,
    driver_acted_at: Option<i64>,
}

#[derive(FromRow)]
struct HoldRow {
    what: String,
    scope: String,
    until: i64,
}

#[derive(FromRow)]
struct WaitingRow {
    id: String,
    customer_id: String,
}

/// The times of a business that differ from those of the hub.
pub(super) fn saga_terms(business: &Business) -> SagaTerms {
    let alerts = &business.alerts;
    SagaTerms {
        accept_s: alerts.accept_s,
        ring_every_s: alerts.ring_every_s,
        auto_accept: alerts.auto_accept,
    }
}

/// What devices said about an order.
#[derive(Clone, Copy, Default)]
struct DeviceWord {
    delivered: bool,
    acted_at: Option<Timestamp>,
    driver_acted_at: Option<Timestamp>,
}

#[derive(Default)]
pub(super) struct DeadlineFacts {
    clocks: Arc<Clocks>,
    hub: HubFacts,
    holds: Vec<Hold>,
    devices: HashMap<OrderId, DeviceWord>,
}

impl DeadlineFacts {
    /// Notes that the hub is alive, before anything is locked.
    pub(super) async fn begin(
        connection: &mut Connection,
        clocks: Arc<Clocks>,
        now: Timestamp,
    ) -> Result<Self, TxError> {
        let hub = outage::alive(connection, &clocks, now).await?;
        Ok(Self { clocks, hub, ..Self::default() })
    }

    /// Reads what concerns these orders, which are due.
    pub(super) async fn load(
        &mut self,
        connection: &mut Connection,
        orders: &BTreeSet<OrderId>,
        now: Timestamp,
    ) -> Result<(), TxError> {
        if orders.is_empty() {
            return Ok(());
        }
        for row in connection.fetch::<HoldRow>(&HOLDS, &[Arg::Int(now.as_micros())]).await? {
            // What a newer release holds is held by its nodes.
            if let (Ok(what), Ok(scope)) = (row.what.parse(), row.scope.parse()) {
                let until = Timestamp::from_micros(row.until);
                self.holds.push(Hold { what, scope, until, reason: String::new() });
            }
        }
        for row in connection.fetch::<DevicesRow>(&DEVICES, &[Arg::texts(orders)]).await? {
            let acted_at = row.acted_at.map(Timestamp::from_micros);
            let driver_acted_at = row.driver_acted_at.map(Timestamp::from_micros);
            let word = DeviceWord { delivered: row.delivered, acted_at, driver_acted_at };
            self.devices.insert(parse("orders.id", &row.id)?, word);
        }
        Ok(())
    }

    /// The facts for an order of this business.
    pub(super) fn of<'c>(
        &self,
        order: OrderId,
        business: &Business,
        clocks: &'c Clocks,
        now: Timestamp,
    ) -> Facts<'c> {
        let DeviceWord { delivered, acted_at, driver_acted_at } =
            self.devices.get(&order).copied().unwrap_or_default();
        Facts {
            now,
            clocks,
            unpaid: UnpaidFacts::default(),
            delivery: None,
            delivered,
            acted_at,
            driver_acted_at,
            muted: business.alerts.is_muted(now),
            called_at: business.alerts.called_at,
            mailed_at: business.alerts.mailed_at,
            grace: self.hub.grace,
            cancel_held: self.holds(HeldAction::AutoCancel, business, now),
            saga_terms: saga_terms(business),
            terms: Some(business.acceptance(now)),
        }
    }

    /// The grace after the last outage, once the sign of life was noted.
    pub(super) fn grace(&self) -> Option<Grace> {
        self.hub.grace
    }

    /// Whether the order is one of a restored copy that is held.
    pub(super) fn is_of_held_copy(&self, order: &Order) -> bool {
        self.hub.held_since.is_some_and(|since| order.created_at <= since)
    }

    /// Whether operators hold this at the business.
    pub(super) fn holds(&self, what: HeldAction, business: &Business, now: Timestamp) -> bool {
        is_held(&self.holds, what, business.id, &business.zone, now)
    }

    /// Other orders of a business that have waited longer than an alert takes to escalate, with their customers; at most a hundred.
    pub(super) async fn waiting(
        &self,
        connection: &mut Connection,
        business: BusinessId,
        now: Timestamp,
    ) -> Result<Vec<(OrderId, UserId)>, TxError> {
        let since = now.minus(self.clocks.escalate);
        let args = [Arg::text(business), Arg::Int(since.as_micros())];
        let rows: Vec<WaitingRow> = connection.fetch(&WAITING, &args).await?;
        let waiting = |row: &WaitingRow| {
            Ok((parse("orders.id", &row.id)?, parse("orders.customer_id", &row.customer_id)?))
        };
        rows.iter().map(waiting).collect()
    }
}
