//! Outcomes as the `commands` table keeps them: enough to give the first answer again, and nothing that names a
//! person. What an order held when it was answered is rebuilt from its row, since only a few columns ever change.

use serde::{Deserialize, Serialize};

use crate::domain::delivery::{DeliveredBy, DeliveryStatus};
use crate::domain::ids::{DeliveryId, OrderId, UserId};
use crate::domain::order::{EndedReason, Order, OrderDriver, PaymentStatus, PlaceRefusal, Status};
use crate::domain::payment::RecordRefusal;
use crate::domain::time::Timestamp;
use crate::storage::commands::{
    BusinessUpdate, ChangeError, Command, FireOutcome, FireReport, IdempotencyKey, KeyedRepeat, MoveError,
    Outcome, PlaceOutcome, RecordOutcome, StoredResponse, Write,
};
use crate::storage::crypto::cipher::Cipher;
use crate::storage::error::StoreError;
use crate::storage::sql::rows::BusinessRow;

/// Orders, businesses and answers in a shorter form; every other outcome as it is.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum StoredOutcome {
    Placed(OrderState),
    Refused(PlaceRefusal),
    Replayed {
        scope: String,
        key: String,
    },
    KeyReused,
    Moved(OrderState),
    Changed(OrderState),
    NotChanged(ChangeError),
    Fired(Box<StoredFire>),
    Repeated {
        scope: String,
        key: String,
    },
    KeyOfAnother,
    BusinessUpdated(Option<Box<BusinessRow>>),
    CurrencyInUse,
    ZoneHeld,
    Recorded(OrderState),
    NotRecorded(Option<RecordRefusal>),
    #[serde(untagged)]
    NotMoved(MoveError),
    #[serde(untagged)]
    AsItIs(Outcome),
}

/// A deadline that was fired, and the order as it left it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoredFire {
    report: Option<FireReport>,
    order: Option<OrderState>,
    at: i64,
}

/// Columns of an order that change after it was placed.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct OrderState {
    pub(super) order: OrderId,
    status: Status,
    payment_status: PaymentStatus,
    prep_minutes: Option<u16>,
    version: i64,
    updated_at: i64,
    // Not there where an older release wrote it down.
    #[serde(default)]
    ready_at: Option<i64>,
    #[serde(default)]
    delivered_by: Option<DeliveredBy>,
    #[serde(default)]
    ended_reason: Option<EndedReason>,
    #[serde(default)]
    placed_at: Option<i64>,
    #[serde(default)]
    answered_at: Option<i64>,
    #[serde(default)]
    deadline_at: Option<i64>,
    #[serde(default = "first")]
    delivery_version: i64,
    // An order that took another way since is answered by its present row.
    #[serde(default)]
    delivery: Option<StoredDelivery>,
    #[serde(default = "first")]
    payment_version: i64,
    #[serde(default)]
    edits: i64,
}

/// How the delivery of an order stood.
#[derive(Debug, Serialize, Deserialize)]
struct StoredDelivery {
    id: DeliveryId,
    status: DeliveryStatus,
    driver: Option<UserId>,
}

impl StoredDelivery {
    fn of(OrderDriver { id, status, driver }: OrderDriver) -> Self {
        Self { id, status, driver }
    }

    fn put_back(self) -> OrderDriver {
        let Self { id, status, driver } = self;
        OrderDriver { id, status, driver }
    }
}

fn first() -> i64 {
    1
}

impl OrderState {
    fn of(order: &Order) -> Self {
        Self {
            order: order.id,
            status: order.status,
            payment_status: order.payment_status,
            prep_minutes: order.prep_minutes,
            version: order.version,
            updated_at: order.updated_at.as_micros(),
            ready_at: order.ready_at.map(Timestamp::as_micros),
            delivered_by: order.delivered_by,
            ended_reason: order.ended_reason.clone(),
            placed_at: order.placed_at.map(Timestamp::as_micros),
            answered_at: order.answered_at.map(Timestamp::as_micros),
            deadline_at: order.deadline_at.map(Timestamp::as_micros),
            delivery_version: order.delivery_version,
            delivery: order.delivery.map(StoredDelivery::of),
            payment_version: order.payment_version,
            edits: order.edits,
        }
    }

    fn put_back(self, mut order: Order) -> Order {
        order.status = self.status;
        order.payment_status = self.payment_status;
        order.prep_minutes = self.prep_minutes;
        order.version = self.version;
        order.updated_at = Timestamp::from_micros(self.updated_at);
        order.ready_at = self.ready_at.map(Timestamp::from_micros);
        order.delivered_by = self.delivered_by;
        order.delivery = self.delivery.map(StoredDelivery::put_back);
        order.ended_reason = self.ended_reason;
        order.placed_at = self.placed_at.map(Timestamp::from_micros);
        order.answered_at = self.answered_at.map(Timestamp::from_micros);
        order.deadline_at = self.deadline_at.map(Timestamp::from_micros);
        order.delivery_version = self.delivery_version;
        order.payment_version = self.payment_version;
        order.edits = self.edits;
        order
    }
}

impl StoredOutcome {
    /// Stored form of `outcome`, the outcome of `command`.
    pub(super) fn of(outcome: &Outcome, command: &Command, cipher: &Cipher) -> Result<Self, StoreError> {
        Ok(match outcome {
            Outcome::Placed(PlaceOutcome::Placed(order)) => Self::Placed(OrderState::of(order)),
            Outcome::Placed(PlaceOutcome::Refused(refusal)) => Self::Refused(refusal.clone()),
            Outcome::Placed(PlaceOutcome::Replayed(_)) => {
                let IdempotencyKey { scope, key, .. } = key_of(command)?;
                Self::Replayed { scope: scope.clone(), key: key.clone() }
            }
            Outcome::Placed(PlaceOutcome::KeyReused) => Self::KeyReused,
            Outcome::Moved(Ok(order)) => Self::Moved(OrderState::of(order)),
            Outcome::Moved(Err(error)) => Self::NotMoved(error.clone()),
            Outcome::Changed(Ok(order)) => Self::Changed(OrderState::of(order)),
            Outcome::Changed(Err(error)) => Self::NotChanged(error.clone()),
            Outcome::Fired(FireOutcome { report, moved, now, .. }) => {
                let (report, order) = (report.clone(), moved.as_deref().map(OrderState::of));
                Self::Fired(Box::new(StoredFire { report, order, at: now.as_micros() }))
            }
            Outcome::Repeated(KeyedRepeat::Answered(_)) => {
                let IdempotencyKey { scope, key, .. } = key_of(command)?;
                Self::Repeated { scope: scope.clone(), key: key.clone() }
            }
            Outcome::Repeated(KeyedRepeat::KeyReused) => Self::KeyOfAnother,
            Outcome::BusinessUpdated(BusinessUpdate::Updated(business)) => {
                Self::BusinessUpdated(Some(Box::new(BusinessRow::of(business, cipher)?)))
            }
            Outcome::BusinessUpdated(BusinessUpdate::NotThere) => Self::BusinessUpdated(None),
            Outcome::BusinessUpdated(BusinessUpdate::CurrencyInUse) => Self::CurrencyInUse,
            Outcome::BusinessUpdated(BusinessUpdate::ZoneHeld) => Self::ZoneHeld,
            Outcome::PaymentRecorded(RecordOutcome::Recorded(order)) => Self::Recorded(OrderState::of(order)),
            Outcome::PaymentRecorded(RecordOutcome::Refused(refusal)) => Self::NotRecorded(Some(*refusal)),
            Outcome::PaymentRecorded(RecordOutcome::NoSuchOrder) => Self::NotRecorded(None),
            outcome => Self::AsItIs(outcome.clone()),
        })
    }

    /// The order whose row the outcome is rebuilt from.
    pub(super) fn order(&self) -> Option<OrderId> {
        match self {
            Self::Placed(state) | Self::Moved(state) | Self::Changed(state) | Self::Recorded(state) => {
                Some(state.order)
            }
            Self::Fired(fire) => Some(fire.order.as_ref()?.order),
            _ => None,
        }
    }

    /// The scope and key of the response that the outcome is rebuilt from.
    pub(super) fn response(&self) -> Option<(&str, &str)> {
        if let Self::Replayed { scope, key } | Self::Repeated { scope, key } = self {
            return Some((scope, key));
        }
        None
    }

    /// The outcome again. `order` is the row that [`Self::order`] asked for, `response` the one under the key of
    /// [`Self::response`]; `None` when what it needs is not there any more.
    pub(super) fn into_outcome(
        self,
        order: Option<Order>,
        response: Option<StoredResponse>,
        cipher: &Cipher,
    ) -> Option<Outcome> {
        Some(match self {
            Self::Placed(state) => Outcome::Placed(PlaceOutcome::Placed(Box::new(state.put_back(order?)))),
            Self::Refused(refusal) => Outcome::Placed(PlaceOutcome::Refused(refusal)),
            Self::Replayed { .. } => Outcome::Placed(PlaceOutcome::Replayed(response?)),
            Self::KeyReused => Outcome::Placed(PlaceOutcome::KeyReused),
            Self::Moved(state) => Outcome::Moved(Ok(Box::new(state.put_back(order?)))),
            Self::NotMoved(error) => Outcome::Moved(Err(error)),
            Self::Changed(state) => Outcome::Changed(Ok(Box::new(state.put_back(order?)))),
            Self::NotChanged(error) => Outcome::Changed(Err(error)),
            Self::Fired(fire) => {
                let StoredFire { report, order: state, at } = *fire;
                let moved = match state {
                    Some(state) => Some(Box::new(state.put_back(order?))),
                    None => None,
                };
                let now = Timestamp::from_micros(at);
                Outcome::Fired(FireOutcome { report, moved, left: None, now })
            }
            Self::Repeated { .. } => Outcome::Repeated(KeyedRepeat::Answered(response?)),
            Self::KeyOfAnother => Outcome::Repeated(KeyedRepeat::KeyReused),
            Self::BusinessUpdated(None) => Outcome::BusinessUpdated(BusinessUpdate::NotThere),
            Self::BusinessUpdated(Some(row)) => {
                let business = Box::new(row.into_business(cipher).ok()?);
                Outcome::BusinessUpdated(BusinessUpdate::Updated(business))
            }
            Self::CurrencyInUse => Outcome::BusinessUpdated(BusinessUpdate::CurrencyInUse),
            Self::ZoneHeld => Outcome::BusinessUpdated(BusinessUpdate::ZoneHeld),
            Self::Recorded(state) => {
                Outcome::PaymentRecorded(RecordOutcome::Recorded(Box::new(state.put_back(order?))))
            }
            Self::NotRecorded(refusal) => {
                Outcome::PaymentRecorded(refusal.map_or(RecordOutcome::NoSuchOrder, RecordOutcome::Refused))
            }
            Self::AsItIs(outcome) => outcome,
        })
    }
}

/// The idempotency key of a command that was answered by an earlier response.
fn key_of(command: &Command) -> Result<&IdempotencyKey, StoreError> {
    let key = if let Write::PlaceOrder(place) = &command.write {
        place.idempotency.as_ref()
    } else if let Write::Keyed(keyed) = &command.write {
        Some(&keyed.key)
    } else {
        None
    };
    key.ok_or_else(|| {
        StoreError::Corrupt("a command without a key was answered by an earlier response".to_owned())
    })
}

#[cfg(test)]
mod tests;
