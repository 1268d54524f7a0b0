//! What commands come to.

use crate::domain::access::Role;
use crate::domain::business::{Business, MenuItem};
use crate::domain::ids::UserId;
use crate::domain::order::{MoveRefusal, Order, PlaceRefusal};
use crate::domain::time::Timestamp;
use crate::protocol::event::RoomEvent;

use super::{Advanced, EpochChange, InvitationOutcome, KeptAnswer};

/// What a command came to. Each is final and committed; refusals have changed nothing.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Of `PlaceOrder`.
    Placed(PlaceOutcome),
    /// Of `MoveOrder`: the order as it is now, or why it was not moved.
    Moved(Result<Box<Order>, MoveError>),
    /// Of `CreateUser`: false when the address is taken.
    UserCreated(Creation),
    /// Of `SetPassword` and `ApproveUser`.
    UserChanged(UserChange),
    /// Of `RotateSession`.
    Rotated(Rotation),
    /// Of `RedeemTicket`: `AlreadyThere` when it was used before.
    TicketRedeemed(Creation),
    /// Of `Keyed`, when the key was used before; else what its action came to.
    Repeated(KeyedRepeat),
    /// Of `UpdateBusiness`.
    BusinessUpdated(BusinessUpdate),
    /// Of `AddItem`.
    ItemAdded(Addition),
    /// Of `UpdateItem`: as it is now; `None` when there is no such item.
    ItemUpdated(Option<MenuItem>),
    /// Of `RemoveItem`, `RemoveMember` and `EndSession`.
    Removed(Removal),
    /// Of `PutMember`.
    MemberPut(Result<(), MemberRefusal>),
    /// Of `AnswerInvitation`.
    InvitationAnswered(InvitationOutcome),
    /// Of `Purge`: how many rows were deleted; less than the limit when there are no more.
    Purged(u64),
    /// Of `ReadNotification`: when they first read it; `None` when there is no such notification.
    NotificationRead(Option<Timestamp>),
    /// Of `Reseal`: how many values were sealed anew; the others were so already, or are gone.
    Resealed(u64),
    /// Of `RotateEpoch`, `Sweep` and `IndexOrders`.
    Advanced(Advanced),
    /// Of `StoreAcks` that were too much for one transaction: a part is stored, and the same command under a new id stores
    /// more.
    AcksLeft,
    /// Of `RotateRoom`.
    RoomRotated(EpochChange),
    /// Of everything that cannot be refused.
    Done,
}

/// What placing an order came to.
#[derive(Clone, Debug)]
pub enum PlaceOutcome {
    /// It is stored.
    Placed(Box<Order>),
    /// The key was answered before; this is that answer.
    Replayed(KeptAnswer),
    /// The key belongs to another request.
    KeyReused,
    /// It was not placed; the key is free again.
    Refused(PlaceRefusal),
}

/// What a request comes to whose idempotency key was used before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyedRepeat {
    /// This was the answer.
    Answered(KeptAnswer),
    /// The key belongs to another request.
    KeyReused,
}

/// What changing a business came to.
#[derive(Clone, Debug, PartialEq)]
pub enum BusinessUpdate {
    /// As it is now.
    Updated(Box<Business>),
    /// There is no such business.
    NotThere,
    /// There are prices or orders in the present currency; nothing changed.
    CurrencyInUse,
}

/// Why an order was not moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MoveError {
    /// There is no such order.
    NoSuchOrder,
    /// The order's rules say no.
    Refused(MoveRefusal),
}

/// Whether something was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Creation {
    /// Now.
    Created,
    /// It was there; nothing changed.
    AlreadyThere,
}

/// Whether an account was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserChange {
    /// It is as it was to be.
    Made,
    /// There is no such account, or it is not as it had to be; nothing changed.
    NotThere,
}

/// Whether something was taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// Now.
    Removed,
    /// There was nothing; nothing changed.
    NotThere,
    /// It is the last owner of a business; nothing changed.
    LastOwner,
}

/// Why a membership was not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberRefusal {
    /// There is no such user.
    NoSuchUser,
    /// The change would leave the business without an owner.
    LastOwner,
    /// The business has as many members as it may.
    Full,
}

/// Whether an item was put on a menu.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addition {
    /// Now.
    Added,
    /// Its sku is on the menu; nothing changed.
    AlreadyThere,
    /// The menu has as many items as it may; nothing changed.
    Full,
}

/// What presenting a refresh token came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// The family goes on: this generation's token is the answer, for this user in this role.
    Continued {
        /// The generation that now holds.
        generation: u32,
        /// Whose family.
        user: UserId,
        /// The account's role.
        role: Role,
        /// The id of the device it was opened on.
        device: Option<String>,
        /// When the family ends unless it is refreshed.
        expires_at: Timestamp,
    },
    /// A rotated token was used again: the family has been ended.
    Reused {
        /// Whose family.
        user: UserId,
    },
    /// Unknown, ended or run out.
    Refused,
}

/// What a transaction came to: an outcome for each command in order, and what rooms have to be told.
#[derive(Debug, Default)]
pub struct Committed {
    /// In the order of the commands.
    pub outcomes: Vec<Outcome>,
    /// Numbered; in order within each room.
    pub events: Vec<RoomEvent>,
}
