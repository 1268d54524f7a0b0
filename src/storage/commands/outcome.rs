//! The outcomes of commands.

use serde::{Deserialize, Serialize};

use crate::domain::business::{Business, MenuItem};
use crate::domain::delivery::{AnswerRefusal, AssignRefusal, LeaveRefusal, StepRefusal};
use crate::domain::dispatch::DriverRefusal;
use crate::domain::ids::{LoginSessionId, OrderId, UserId};
use crate::domain::order::{MoveRefusal, Order, PlaceRefusal};
use crate::domain::time::Timestamp;
use crate::fail_point;
use crate::protocol::event::RoomEvent;

use super::{
    ChangeError, Creation, DeliveryChanged, DriverNow, EpochChange, FireOutcome, InitiateOutcome,
    InvitationOutcome, JobClaim, LeasesRenewed, LookAgain, LookDue, MaintenanceProgress, NewsOutcome,
    Receipt, RecordOutcome, RefundBegun, RefundOutcome, RingDue, RingOutcome, Rotation, SagaDue, StepTaken,
    StoredResponse, UserChange, WayRefusal,
};

/// The outcome of a command. Each is final and committed; refusals have changed nothing. The record of applied commands
/// holds it in this form, and orders and businesses in a shorter one.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Of `PlaceOrder`.
    #[serde(skip)]
    Placed(PlaceOutcome),
    /// Of `MoveOrder`: the order as it is now, or why it was not moved.
    #[serde(skip)]
    Moved(Result<Box<Order>, MoveError>),
    /// Of `FireDeadline`.
    #[serde(skip)]
    Fired(FireOutcome),
    /// Of `ChangeOrder`: the order as it is now, or why it was not changed.
    #[serde(skip)]
    Changed(Result<Box<Order>, ChangeError>),
    /// Of `RingOrder`.
    RingOrdered(RingOutcome),
    /// Of `InitiatePayment` and `PaymentOpened`.
    PaymentInitiated(InitiateOutcome),
    /// Of `RecordPayment`.
    #[serde(skip)]
    PaymentRecorded(RecordOutcome),
    /// Of `ReceiveMessage`.
    MessageReceived(Receipt),
    /// Of `ApplyNews`.
    NewsApplied(NewsOutcome),
    /// Of `DemandRefund` and `HandleRefund`.
    RefundChanged(RefundOutcome),
    /// Of `BeginRefund`; `None` when it is not due any more.
    RefundBegun(Option<RefundBegun>),
    /// Of `ReplayDeadLetters`: how many.
    Replayed(u32),
    /// Of `ChangeDriver`, `SetDriverOnline` and `ApproveZones`.
    DriverChanged(Result<(), DriverRefusal>),
    /// Of `OpenWave`: how many drivers are asked.
    WaveOpened(u32),
    /// Of `AnswerOffer`.
    OfferAnswered(Result<DeliveryChanged, AnswerRefusal>),
    /// Of `ReportStep`.
    StepReported(Result<StepTaken, StepRefusal>),
    /// Of `AssignDriver`.
    DriverAssigned(Result<DeliveryChanged, AssignRefusal>),
    /// Of `LeaveDelivery`.
    DeliveryLeft(Result<DeliveryChanged, LeaveRefusal>),
    /// Of `ChangeWay` and `ExtendSearch`.
    WayChanged(Result<(), WayRefusal>),
    /// Of `Keyed`, when the key was used before; else what its write came to.
    #[serde(skip)]
    Repeated(KeyedRepeat),
    /// Of `UpdateBusiness`.
    #[serde(skip)]
    BusinessUpdated(BusinessUpdate),
    /// Of `CreateUser`: false when the address is taken.
    UserCreated(Creation),
    /// Of `SetPassword`, `SetPhone`, `ApproveUser`, `RestoreUser`, `OpenSession` and `SetAlertMe`.
    UserChanged(UserChange),
    /// Of `SuspendUser` and `EndSessions`: login sessions that it ended; `None` when there is no such account.
    SessionsEnded(Option<Vec<LoginSessionId>>),
    /// Of `RedeemTicket`: `AlreadyThere` when it was used before.
    TicketRedeemed(Creation),
    /// Of `UpdateItem`: as it is now; `None` when there is no such item.
    ItemUpdated(Option<MenuItem>),
    /// Of `AnswerInvitation`.
    InvitationAnswered(InvitationOutcome),
    /// Of `Purge`: how many rows were deleted; less than the limit when there are no more.
    Purged(u64),
    /// Of `ReadNotification`: when they first read it; `None` when there is no such notification.
    NotificationRead(#[serde(with = "optional_micros")] Option<Timestamp>),
    /// Of `Reseal`: how many values were sealed anew; the others were so already, or are gone.
    Resealed(u64),
    /// Of `RotateEpoch`, `Sweep`, `IndexOrders` and `TakeInOrders`.
    Advanced(MaintenanceProgress),
    /// Of `StoreAcks` that were too much for one transaction: a part is stored, and the same command under a new id stores
    /// more.
    AcksLeft,
    /// Of `RenewLeases`.
    LeasesRenewed(LeasesRenewed),
    /// Of `BeginIntent`: whether it is the caller's.
    IntentBegun(bool),
    /// Of `ResetQuotas`: how often that was done.
    QuotaEra(i64),
    /// Of `ClaimJob`.
    JobClaimed(JobClaim),
    /// Of `WriteOfJob` when another node has taken the job; else what its write came to.
    JobLost,
    /// Of `RotateRoom`.
    RoomRotated(EpochChange),
    /// Of everything that cannot be refused.
    Done,
    /// Of `RotateSession`.
    #[serde(untagged)]
    Rotated(Rotation),
    /// Of `AddItem`.
    #[serde(untagged)]
    ItemAdded(Addition),
    /// Of `RemoveItem`, `RemoveMember` and `EndSession`.
    #[serde(untagged)]
    Removed(Removal),
    /// Of `PutMember`.
    #[serde(untagged)]
    MemberPut(#[serde(with = "membership")] Result<(), MemberRefusal>),
}

impl Outcome {
    /// The order that was placed or moved.
    pub fn order(&self) -> Option<&Order> {
        match self {
            Self::Placed(PlaceOutcome::Placed(order)) | Self::Moved(Ok(order)) | Self::Changed(Ok(order)) => {
                Some(order)
            }
            Self::Fired(FireOutcome { moved, .. }) => moved.as_deref(),
            Self::PaymentRecorded(RecordOutcome::Recorded(order)) => Some(order),
            _ => None,
        }
    }

    /// A test may end the process at these steps: of an outcome that offers were opened, and of one that a driver got a delivery.
    pub fn reach(&self, [opened, accepted]: [&str; 2]) {
        match self {
            Self::WaveOpened(1..) => fail_point::reach(opened),
            Self::OfferAnswered(Ok(changed)) if !changed.already => fail_point::reach(accepted),
            _ => {}
        }
    }

    /// Whether something was made: then the answer is stored under the key of the request.
    pub fn has_made_something(&self) -> bool {
        match self {
            Self::Done | Self::ItemAdded(Addition::Added) => true,
            Self::PaymentInitiated(InitiateOutcome::Open { is_new, .. }) => *is_new,
            Self::PaymentRecorded(RecordOutcome::Recorded(_)) | Self::RefundChanged(Some(Ok(_))) => true,
            Self::Replayed(letters) => *letters > 0,
            _ => false,
        }
    }
}

/// Progress of storing acknowledgements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcksProgress {
    /// All of them.
    Stored,
    /// They were too much for one transaction: the same command under a new id stores more.
    Left,
}

impl From<AcksProgress> for Outcome {
    fn from(progress: AcksProgress) -> Self {
        match progress {
            AcksProgress::Stored => Self::Done,
            AcksProgress::Left => Self::AcksLeft,
        }
    }
}

impl TryFrom<Outcome> for AcksProgress {
    type Error = Outcome;

    fn try_from(outcome: Outcome) -> Result<Self, Outcome> {
        match outcome {
            Outcome::Done => Ok(Self::Stored),
            Outcome::AcksLeft => Ok(Self::Left),
            other => Err(other),
        }
    }
}

/// The outcome of placing an order.
#[derive(Clone, Debug)]
pub enum PlaceOutcome {
    /// It is stored.
    Placed(Box<Order>),
    /// The key was answered before; this is that answer.
    Replayed(StoredResponse),
    /// The key belongs to another request.
    KeyReused,
    /// It was not placed; the key is free again.
    Refused(PlaceRefusal),
}

/// The outcome of a request whose idempotency key was used before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyedRepeat {
    /// This was the answer.
    Answered(StoredResponse),
    /// The key belongs to another request.
    KeyReused,
}

/// The outcome of changing a business.
#[derive(Clone, Debug, PartialEq)]
pub enum BusinessUpdate {
    /// As it is now.
    Updated(Box<Business>),
    /// There is no such business.
    NotThere,
    /// There are prices or orders in the present currency; nothing changed.
    CurrencyInUse,
    /// An operator holds something in the present zone or the new one; nothing changed.
    ZoneHeld,
}

/// Why an order was not moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MoveError {
    /// There is no such order.
    NoSuchOrder,
    /// The order's rules say no.
    #[serde(untagged)]
    Refused(MoveRefusal),
}

/// Whether something was taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Removal {
    /// It is gone now.
    Removed,
    /// There was nothing; nothing changed.
    NotThere,
    /// It is the last owner of a business; nothing changed.
    #[serde(rename = "removal_of_last_owner")]
    LastOwner,
}

/// Why a membership was not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemberRefusal {
    /// There is no such user.
    NoSuchUser,
    /// The change would leave the business without an owner.
    #[serde(rename = "demotion_of_last_owner")]
    LastOwner,
    /// The business has as many members as it may.
    #[serde(rename = "team_full")]
    Full,
}

/// Whether an item was put on a menu.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "StoredAddition", into = "StoredAddition")]
pub enum Addition {
    /// It is on the menu now.
    Added,
    /// Its sku is on the menu; nothing changed.
    AlreadyThere,
    /// The menu has as many items as it may; nothing changed.
    Full,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredAddition {
    ItemAdded(bool),
    MenuFull,
}

impl From<StoredAddition> for Addition {
    fn from(stored: StoredAddition) -> Self {
        match stored {
            StoredAddition::ItemAdded(true) => Self::Added,
            StoredAddition::ItemAdded(false) => Self::AlreadyThere,
            StoredAddition::MenuFull => Self::Full,
        }
    }
}

impl From<Addition> for StoredAddition {
    fn from(addition: Addition) -> Self {
        match addition {
            Addition::Added => Self::ItemAdded(true),
            Addition::AlreadyThere => Self::ItemAdded(false),
            Addition::Full => Self::MenuFull,
        }
    }
}

/// A committed transaction: an outcome for each command in order, and the numbered events for rooms.
#[derive(Debug, Default)]
pub struct Committed {
    /// In the order of the commands.
    pub outcomes: Vec<Outcome>,
    /// Numbered; in order within each room.
    pub events: Vec<RoomEvent>,
    /// The store's time, at which all of it was decided.
    pub now: Timestamp,
    /// The sagas that it wrote or found not due, each once.
    pub sagas: Vec<SagaDue>,
    /// The rings that follow.
    pub rings: Vec<RingDue>,
    /// The number of intents that it made due.
    pub intents: u32,
    /// Whether it left money to work on: a message of the provider, a refund, or a payment to ask about.
    pub money_due: bool,
    /// The looks for drivers that follow.
    pub looks: Vec<LookDue>,
    /// The drivers whose rows it wrote, each once.
    pub drivers: Vec<DriverNow>,
    /// Drivers who have an order no more: their subscriptions of its room end.
    pub left: Vec<(OrderId, UserId)>,
    /// Orders of other transactions of which the last open offer, or the account of the driver, was withdrawn.
    pub look_again: Vec<LookAgain>,
}

/// A moment that may be missing, as microseconds.
mod optional_micros {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::domain::time::Timestamp;

    pub(super) fn serialize<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        at.map(Timestamp::as_micros).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Timestamp>, D::Error> {
        Ok(Option::<i64>::deserialize(d)?.map(Timestamp::from_micros))
    }
}

/// A membership that was stored, or why not, as one word.
mod membership {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::MemberRefusal;

    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Stored {
        MemberPut,
        #[serde(untagged)]
        Refused(MemberRefusal),
    }

    pub(super) fn serialize<S: Serializer>(
        put: &Result<(), MemberRefusal>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        put.map_or_else(Stored::Refused, |()| Stored::MemberPut).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        d: D,
    ) -> Result<Result<(), MemberRefusal>, D::Error> {
        Ok(match Stored::deserialize(d)? {
            Stored::MemberPut => Ok(()),
            Stored::Refused(refusal) => Err(refusal),
        })
    }
}
