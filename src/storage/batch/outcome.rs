//! Outcomes as the `commands` table keeps them: enough to give the first answer again, and nothing that names a
//! person. What an order held when it was answered is rebuilt from its row, since only a few columns ever change.

use serde::{Deserialize, Serialize};

use crate::domain::access::Role;
use crate::domain::business::MenuItem;
use crate::domain::cursor::Cursor;
use crate::domain::delivery::DeliveredBy;
use crate::domain::ids::{OrderId, UserId};
use crate::domain::money::Currency;
use crate::domain::order::{EndedReason, MoveRefusal, Order, PaymentStatus, PlaceRefusal, Status};
use crate::domain::time::Timestamp;

use crate::domain::business::NotTakingOrders;
use crate::storage::cipher::Cipher;
use crate::storage::command::{
    Action, Addition, Advanced, BusinessUpdate, Command, Creation, EpochChange, InvitationOutcome,
    KeyedRepeat, MemberRefusal, MoveError, Outcome, PlaceOutcome, Removal, Rotation, UserChange,
};
use crate::storage::error::StoreError;
use crate::storage::rows::BusinessRow;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum StoredOutcome {
    Placed(OrderState),
    Replayed { scope: String, key: String },
    KeyReused,
    Repeated { scope: String, key: String },
    KeyOfAnother,
    Refused(StoredRefusal),
    Moved(OrderState),
    NoSuchOrder,
    MoveStale { current: i64, status: Option<Status> },
    NotTheirMove,
    MoveForbidden { from: Status, allowed: Vec<Status> },
    UserCreated(bool),
    UserChanged(bool),
    Continued { generation: u32, user: UserId, role: Role, device: Option<String>, expires_at: i64 },
    Reused { user: UserId },
    RotationRefused,
    TicketRedeemed(bool),
    BusinessUpdated(Option<BusinessRow>),
    CurrencyInUse,
    ItemAdded(bool),
    MenuFull,
    ItemUpdated(Option<StoredItem>),
    Removed,
    NotThere,
    RemovalOfLastOwner,
    MemberPut,
    NoSuchUser,
    DemotionOfLastOwner,
    TeamFull,
    InvitationAnswered(InvitationOutcome),
    Purged(u64),
    NotificationRead(Option<i64>),
    Resealed(u64),
    Advanced(Advanced),
    AcksLeft,
    RoomRotated { made: bool, head: Cursor },
    Done,
}

/// What of an order changes after it was placed.
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
    #[serde(default = "first")]
    delivery_version: i64,
    #[serde(default = "first")]
    payment_version: i64,
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
            delivery_version: order.delivery_version,
            payment_version: order.payment_version,
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
        order.ended_reason = self.ended_reason;
        order.delivery_version = self.delivery_version;
        order.payment_version = self.payment_version;
        order
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum StoredRefusal {
    NoSuchBusiness,
    Paused(i64),
    Closed,
    UnknownItems(Vec<usize>),
    UnavailableItems(Vec<usize>),
    NoSuchTable,
    TableMissing,
    TooExpensive,
    PriceChanged { total_minor: i64, currency: Currency },
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoredItem {
    sku: String,
    name: String,
    category: Option<String>,
    price_minor: i64,
    available: bool,
}

impl From<&PlaceRefusal> for StoredRefusal {
    fn from(refusal: &PlaceRefusal) -> Self {
        match refusal {
            PlaceRefusal::NoSuchBusiness => Self::NoSuchBusiness,
            PlaceRefusal::NotTakingOrders(NotTakingOrders::Paused(until)) => Self::Paused(until.as_micros()),
            PlaceRefusal::NotTakingOrders(NotTakingOrders::Closed) => Self::Closed,
            PlaceRefusal::UnknownItems(lines) => Self::UnknownItems(lines.clone()),
            PlaceRefusal::UnavailableItems(lines) => Self::UnavailableItems(lines.clone()),
            PlaceRefusal::NoSuchTable => Self::NoSuchTable,
            PlaceRefusal::TableMissing => Self::TableMissing,
            PlaceRefusal::TooExpensive => Self::TooExpensive,
            PlaceRefusal::PriceChanged { total_minor, currency } => {
                Self::PriceChanged { total_minor: *total_minor, currency: *currency }
            }
        }
    }
}

impl From<StoredRefusal> for PlaceRefusal {
    fn from(stored: StoredRefusal) -> Self {
        match stored {
            StoredRefusal::NoSuchBusiness => Self::NoSuchBusiness,
            StoredRefusal::Paused(until) => {
                Self::NotTakingOrders(NotTakingOrders::Paused(Timestamp::from_micros(until)))
            }
            StoredRefusal::Closed => Self::NotTakingOrders(NotTakingOrders::Closed),
            StoredRefusal::UnknownItems(lines) => Self::UnknownItems(lines),
            StoredRefusal::UnavailableItems(lines) => Self::UnavailableItems(lines),
            StoredRefusal::NoSuchTable => Self::NoSuchTable,
            StoredRefusal::TableMissing => Self::TableMissing,
            StoredRefusal::TooExpensive => Self::TooExpensive,
            StoredRefusal::PriceChanged { total_minor, currency } => {
                Self::PriceChanged { total_minor, currency }
            }
        }
    }
}

impl StoredOutcome {
    /// What is kept of `outcome`, the answer to `command`.
    pub(super) fn of(outcome: &Outcome, command: &Command, cipher: &Cipher) -> Result<Self, StoreError> {
        let created = |creation: &Creation| *creation == Creation::Created;
        Ok(match outcome {
            Outcome::Placed(PlaceOutcome::Placed(order)) => Self::Placed(OrderState::of(order)),
            Outcome::Placed(PlaceOutcome::Replayed(_)) => match &command.action {
                Action::PlaceOrder(place) => {
                    let key = place.idempotency.as_ref().expect("only a request with a key is replayed");
                    Self::Replayed { scope: key.scope.clone(), key: key.key.clone() }
                }
                _ => unreachable!("only placing an order is replayed"),
            },
            Outcome::Placed(PlaceOutcome::KeyReused) => Self::KeyReused,
            Outcome::Placed(PlaceOutcome::Refused(refusal)) => Self::Refused(refusal.into()),
            Outcome::Moved(Ok(order)) => Self::Moved(OrderState::of(order)),
            Outcome::Moved(Err(MoveError::NoSuchOrder)) => Self::NoSuchOrder,
            Outcome::Moved(Err(MoveError::Refused(refusal))) => match refusal {
                MoveRefusal::Stale { current, status } => {
                    Self::MoveStale { current: *current, status: Some(*status) }
                }
                MoveRefusal::NotTheirMove => Self::NotTheirMove,
                MoveRefusal::Forbidden { from, allowed } => {
                    Self::MoveForbidden { from: *from, allowed: allowed.clone() }
                }
            },
            Outcome::UserCreated(creation) => Self::UserCreated(created(creation)),
            Outcome::UserChanged(change) => Self::UserChanged(*change == UserChange::Made),
            Outcome::Rotated(Rotation::Continued { generation, user, role, device, expires_at }) => {
                Self::Continued {
                    generation: *generation,
                    user: *user,
                    role: *role,
                    device: device.clone(),
                    expires_at: expires_at.as_micros(),
                }
            }
            Outcome::Rotated(Rotation::Reused { user }) => Self::Reused { user: *user },
            Outcome::Rotated(Rotation::Refused) => Self::RotationRefused,
            Outcome::TicketRedeemed(creation) => Self::TicketRedeemed(created(creation)),
            Outcome::Repeated(KeyedRepeat::Answered(_)) => match &command.action {
                Action::Keyed(keyed) => {
                    Self::Repeated { scope: keyed.key.scope.clone(), key: keyed.key.key.clone() }
                }
                _ => unreachable!("only what has a key is repeated"),
            },
            Outcome::Repeated(KeyedRepeat::KeyReused) => Self::KeyOfAnother,
            Outcome::BusinessUpdated(BusinessUpdate::Updated(business)) => {
                Self::BusinessUpdated(Some(BusinessRow::of(business, cipher)?))
            }
            Outcome::BusinessUpdated(BusinessUpdate::NotThere) => Self::BusinessUpdated(None),
            Outcome::BusinessUpdated(BusinessUpdate::CurrencyInUse) => Self::CurrencyInUse,
            Outcome::ItemAdded(Addition::Added) => Self::ItemAdded(true),
            Outcome::ItemAdded(Addition::AlreadyThere) => Self::ItemAdded(false),
            Outcome::ItemAdded(Addition::Full) => Self::MenuFull,
            Outcome::ItemUpdated(item) => Self::ItemUpdated(item.clone().map(|item| StoredItem {
                sku: item.sku,
                name: item.name,
                category: item.category,
                price_minor: item.price_minor,
                available: item.available,
            })),
            Outcome::Removed(Removal::Removed) => Self::Removed,
            Outcome::Removed(Removal::NotThere) => Self::NotThere,
            Outcome::Removed(Removal::LastOwner) => Self::RemovalOfLastOwner,
            Outcome::MemberPut(Ok(())) => Self::MemberPut,
            Outcome::MemberPut(Err(MemberRefusal::NoSuchUser)) => Self::NoSuchUser,
            Outcome::MemberPut(Err(MemberRefusal::LastOwner)) => Self::DemotionOfLastOwner,
            Outcome::MemberPut(Err(MemberRefusal::Full)) => Self::TeamFull,
            Outcome::InvitationAnswered(outcome) => Self::InvitationAnswered(*outcome),
            Outcome::Purged(rows) => Self::Purged(*rows),
            Outcome::NotificationRead(at) => Self::NotificationRead(at.map(Timestamp::as_micros)),
            Outcome::Resealed(values) => Self::Resealed(*values),
            Outcome::Advanced(advanced) => Self::Advanced(advanced.clone()),
            Outcome::AcksLeft => Self::AcksLeft,
            Outcome::RoomRotated(EpochChange::Made(head)) => Self::RoomRotated { made: true, head: *head },
            Outcome::RoomRotated(EpochChange::NotNeeded(head)) => {
                Self::RoomRotated { made: false, head: *head }
            }
            Outcome::Done => Self::Done,
        })
    }

    /// The order whose row the outcome is rebuilt from.
    pub(super) fn order(&self) -> Option<OrderId> {
        match self {
            Self::Placed(state) | Self::Moved(state) => Some(state.order),
            _ => None,
        }
    }

    /// The outcome again. `order` is the row that [`Self::order`] asked for, `kept` the answer under the key of
    /// [`Self::Replayed`]; `None` when what it needs is not there any more.
    pub(super) fn into_outcome(
        self,
        order: Option<Order>,
        kept: Option<crate::storage::command::KeptAnswer>,
        cipher: &Cipher,
    ) -> Option<Outcome> {
        let creation = |created: bool| if created { Creation::Created } else { Creation::AlreadyThere };
        Some(match self {
            Self::Placed(state) => Outcome::Placed(PlaceOutcome::Placed(Box::new(state.put_back(order?)))),
            Self::Replayed { .. } => Outcome::Placed(PlaceOutcome::Replayed(kept?)),
            Self::KeyReused => Outcome::Placed(PlaceOutcome::KeyReused),
            Self::Refused(refusal) => Outcome::Placed(PlaceOutcome::Refused(refusal.into())),
            Self::Moved(state) => Outcome::Moved(Ok(Box::new(state.put_back(order?)))),
            Self::NoSuchOrder => Outcome::Moved(Err(MoveError::NoSuchOrder)),
            Self::MoveStale { current, status } => {
                let status = status?;
                Outcome::Moved(Err(MoveError::Refused(MoveRefusal::Stale { current, status })))
            }
            Self::Repeated { .. } => Outcome::Repeated(KeyedRepeat::Answered(kept?)),
            Self::KeyOfAnother => Outcome::Repeated(KeyedRepeat::KeyReused),
            Self::NotTheirMove => Outcome::Moved(Err(MoveError::Refused(MoveRefusal::NotTheirMove))),
            Self::MoveForbidden { from, allowed } => {
                Outcome::Moved(Err(MoveError::Refused(MoveRefusal::Forbidden { from, allowed })))
            }
            Self::UserCreated(created) => Outcome::UserCreated(creation(created)),
            Self::UserChanged(true) => Outcome::UserChanged(UserChange::Made),
            Self::UserChanged(false) => Outcome::UserChanged(UserChange::NotThere),
            Self::Continued { generation, user, role, device, expires_at } => {
                let expires_at = Timestamp::from_micros(expires_at);
                Outcome::Rotated(Rotation::Continued { generation, user, role, device, expires_at })
            }
            Self::Reused { user } => Outcome::Rotated(Rotation::Reused { user }),
            Self::RotationRefused => Outcome::Rotated(Rotation::Refused),
            Self::TicketRedeemed(created) => Outcome::TicketRedeemed(creation(created)),
            Self::BusinessUpdated(None) => Outcome::BusinessUpdated(BusinessUpdate::NotThere),
            Self::BusinessUpdated(Some(row)) => {
                let business = Box::new(row.into_business(cipher).ok()?);
                Outcome::BusinessUpdated(BusinessUpdate::Updated(business))
            }
            Self::CurrencyInUse => Outcome::BusinessUpdated(BusinessUpdate::CurrencyInUse),
            Self::ItemAdded(true) => Outcome::ItemAdded(Addition::Added),
            Self::ItemAdded(false) => Outcome::ItemAdded(Addition::AlreadyThere),
            Self::MenuFull => Outcome::ItemAdded(Addition::Full),
            Self::ItemUpdated(item) => Outcome::ItemUpdated(item.map(|item| MenuItem {
                sku: item.sku,
                name: item.name,
                category: item.category,
                price_minor: item.price_minor,
                available: item.available,
            })),
            Self::Removed => Outcome::Removed(Removal::Removed),
            Self::NotThere => Outcome::Removed(Removal::NotThere),
            Self::RemovalOfLastOwner => Outcome::Removed(Removal::LastOwner),
            Self::MemberPut => Outcome::MemberPut(Ok(())),
            Self::NoSuchUser => Outcome::MemberPut(Err(MemberRefusal::NoSuchUser)),
            Self::DemotionOfLastOwner => Outcome::MemberPut(Err(MemberRefusal::LastOwner)),
            Self::TeamFull => Outcome::MemberPut(Err(MemberRefusal::Full)),
            Self::InvitationAnswered(outcome) => Outcome::InvitationAnswered(outcome),
            Self::Purged(rows) => Outcome::Purged(rows),
            Self::NotificationRead(at) => Outcome::NotificationRead(at.map(Timestamp::from_micros)),
            Self::Resealed(values) => Outcome::Resealed(values),
            Self::Advanced(advanced) => Outcome::Advanced(advanced),
            Self::AcksLeft => Outcome::AcksLeft,
            Self::RoomRotated { made: true, head } => Outcome::RoomRotated(EpochChange::Made(head)),
            Self::RoomRotated { made: false, head } => Outcome::RoomRotated(EpochChange::NotNeeded(head)),
            Self::Done => Outcome::Done,
        })
    }
}
