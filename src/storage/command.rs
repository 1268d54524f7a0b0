//! Everything that is ever written, as commands. A lane runs many in one transaction; each is answered on its own.

use serde::{Deserialize, Serialize};

use crate::domain::access::{MemberRole, Role};
use crate::domain::business::{Business, BusinessState, Location, MenuItem, Zone};
use crate::domain::cursor::{Cursor, Epoch};
use crate::domain::event::Notification;
use crate::domain::ids::{BusinessId, CommandId, NotificationId, OrderId, SessionId, UserId};
use crate::domain::order::{Draft, MoveRefusal, MoveRequest, Order, PlaceRefusal};
use crate::domain::room::RoomId;
use crate::domain::time::Timestamp;
use crate::protocol::event::RoomEvent;

/// A command with the id under which it happens at most once, however often a lane tries it.
#[derive(Clone, Debug)]
pub struct Command {
    /// Recorded in the same commit.
    pub id: CommandId,
    /// When it was asked for.
    pub at: Timestamp,
    /// What to do.
    pub action: Action,
}

/// What a command does.
#[derive(Clone, Debug)]
pub enum Action {
    /// Decide on a draft and store the order with its events.
    PlaceOrder(Box<PlaceOrder>),
    /// Move an order along its table.
    MoveOrder(MoveOrder),
    /// Store a notification and tell the business's room.
    PostNotification(Box<Notification>),
    /// Make an account.
    CreateUser(Box<NewUser>),
    /// Start a sign-in.
    OpenSession(Box<NewSession>),
    /// Exchange a refresh token for its successor.
    RotateSession(RotateSession),
    /// End a sign-in.
    EndSession {
        /// Which.
        session: SessionId,
    },
    /// Store when sign-ins were last seen. The time of one never goes back.
    StoreActivity(Vec<SessionActivity>),
    /// Use up a one-time ticket.
    RedeemTicket {
        /// Its unique id.
        jti: String,
        /// After this it may be forgotten.
        expires_at: Timestamp,
    },
    /// Make a business; the user becomes its owner.
    CreateBusiness {
        /// What is stored.
        business: Box<Business>,
        /// Its first owner.
        owner: UserId,
    },
    /// Change fields of a business.
    UpdateBusiness {
        /// Which.
        business: BusinessId,
        /// Only what is given changes.
        patch: Box<BusinessPatch>,
    },
    /// Put a new item on the menu.
    AddItem {
        /// Whose menu.
        business: BusinessId,
        /// The item.
        item: MenuItem,
    },
    /// Change fields of an item.
    UpdateItem {
        /// Whose menu.
        business: BusinessId,
        /// Which item.
        sku: String,
        /// Only what is given changes.
        patch: ItemPatch,
    },
    /// Take an item off the menu; orders keep their copy.
    RemoveItem {
        /// Whose menu.
        business: BusinessId,
        /// Which item.
        sku: String,
    },
    /// Make somebody a member, or change what they may do.
    PutMember {
        /// Of which business.
        business: BusinessId,
        /// Who.
        user: UserId,
        /// What they may do.
        role: MemberRole,
    },
    /// End a membership.
    RemoveMember {
        /// Of which business.
        business: BusinessId,
        /// Whose.
        user: UserId,
    },
    /// Store how far devices have received their rooms. A position never goes back within an epoch.
    StoreAcks(Vec<DeviceAck>),
    /// Store that one event was shown or acted upon on a device.
    StoreMark(DeviceMark),
    /// Delete what is older than `before`, at most `limit` rows of it.
    Purge {
        /// Of what.
        what: Purgeable,
        /// What is of this moment or later stays.
        before: Timestamp,
        /// The most rows to delete.
        limit: u32,
    },
    /// Store that somebody has read a notification; the first time counts.
    ReadNotification {
        /// Of which business.
        business: BusinessId,
        /// Which.
        notification: NotificationId,
        /// Who.
        user: UserId,
    },
    /// Seal values of a column with the current key, where an older one still seals them.
    Reseal {
        /// Which column.
        column: SealedColumn,
        /// In which rows; all of them are locked together, so a few hundred at most.
        rows: Vec<RowKey>,
    },
    /// Put the hub and rooms into another epoch.
    RotateEpoch {
        /// Which, drawn at random.
        epoch: Epoch,
        /// Go on below this room: the `last` of the command before.
        below: Option<String>,
        /// The most rooms to look at.
        limit: u32,
    },
    /// Tell the query planner how the data is spread, where the database does not find out by itself.
    Analyze,
}

/// A column of sealed values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealedColumn {
    /// Customers' phone numbers.
    OrderPhone,
    /// Where orders are taken to.
    OrderAddress,
    /// Answers kept under idempotency keys.
    KeptAnswer,
}

impl SealedColumn {
    /// Every one there is.
    pub const ALL: [Self; 3] = [Self::OrderPhone, Self::OrderAddress, Self::KeptAnswer];

    /// Its table and its name.
    pub const fn place(self) -> (&'static str, &'static str) {
        match self {
            Self::OrderPhone => ("orders", "phone"),
            Self::OrderAddress => ("orders", "address"),
            Self::KeptAnswer => ("idempotency_keys", "body"),
        }
    }

    /// Both, as `orders.phone`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OrderPhone => "orders.phone",
            Self::OrderAddress => "orders.address",
            Self::KeptAnswer => "idempotency_keys.body",
        }
    }
}

/// The primary key of a row that holds a sealed value: one text, or two.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RowKey {
    /// Its first column.
    pub first: String,
    /// Its second; empty where there is none.
    pub second: String,
}

/// How far a command came that goes through many rows in steps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advanced {
    /// Rows changed.
    pub changed: u64,
    /// The last row looked at, for the next command; `None` at the end.
    pub last: Option<String>,
}

/// What runs out and is deleted some time after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purgeable {
    /// Used tickets, by when they ran out.
    Tickets,
    /// Sign-ins, by when they ran out or were ended.
    Sessions,
    /// Idempotency keys and their answers, by when they were first used.
    IdempotencyKeys,
    /// The record that makes a command happen once, by when the command was made.
    Commands,
    /// Events of rooms, by when they happened. Where a room's history ends is kept, so that its numbers go on and who
    /// comes back from before gets `resync`.
    RoomEvents,
    /// Notifications with their read marks, by when they were made.
    Notifications,
}

/// Place an order, at most once per idempotency key.
#[derive(Clone, Debug)]
pub struct PlaceOrder {
    /// What the customer wants.
    pub draft: Draft,
    /// Without one, each command is an order of its own.
    pub idempotency: Option<IdempotencyKey>,
}

/// Under which key a request is answered only once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// User and route.
    pub scope: String,
    /// The client's key.
    pub key: String,
    /// HMAC of the request, in hexadecimal.
    pub request_mac: String,
}

/// The first answer to a request with an idempotency key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptAnswer {
    /// HMAC of the request it answered.
    pub request_mac: String,
    /// The HTTP status.
    pub status: u16,
    /// The body, byte for byte.
    pub body: String,
}

/// Move an order.
#[derive(Clone, Debug)]
pub struct MoveOrder {
    /// Which order.
    pub order: OrderId,
    /// Who asks; `None` is the hub itself.
    pub user: Option<UserId>,
    /// Where to, in which capacity, on which version.
    pub request: MoveRequest,
    /// Why, in the mover's words.
    pub reason: Option<String>,
}

/// An account to be made.
#[derive(Clone)]
pub struct NewUser {
    /// Its id.
    pub id: UserId,
    /// Lower case; unique.
    pub email: String,
    /// PHC string of the password.
    pub password_hash: String,
    /// What it is for.
    pub role: Role,
    /// What others call its owner.
    pub name: Option<String>,
    /// False for drivers who wait for an operator.
    pub approved: Approval,
    /// When it was made.
    pub created_at: Timestamp,
}

impl std::fmt::Debug for NewUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewUser").field("id", &self.id).field("role", &self.role).finish_non_exhaustive()
    }
}

/// Whether an account may be used for what its role is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Approval {
    /// Yes.
    Approved,
    /// An operator has to say yes first.
    Pending,
}

/// The device somebody signs in on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// The device's own id.
    pub id: String,
    /// What its owner calls it.
    pub name: Option<String>,
    /// Like `ios` or `web`.
    pub platform: Option<String>,
}

/// A sign-in to be stored.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// Its id, which is the family of its refresh tokens.
    pub id: SessionId,
    /// Whose.
    pub user: UserId,
    /// Where.
    pub device: Option<Device>,
    /// SHA-256 of refresh token 0, in hexadecimal.
    pub token_hash: String,
    /// When it began.
    pub created_at: Timestamp,
    /// When it ends unless it is refreshed.
    pub expires_at: Timestamp,
}

/// A sign-in was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionActivity {
    /// Which.
    pub session: SessionId,
    /// When.
    pub at: Timestamp,
}

/// A refresh token presented for exchange; its signature was checked.
#[derive(Clone, Debug)]
pub struct RotateSession {
    /// The family.
    pub session: SessionId,
    /// Which of the family's tokens.
    pub generation: u32,
    /// SHA-256 of the token presented, in hexadecimal.
    pub presented_hash: String,
    /// SHA-256 of the token of the next generation, in hexadecimal.
    pub successor_hash: String,
    /// How long the family lives on from now.
    pub lifetime: std::time::Duration,
}

/// For this long after a rotation the rotated token still yields the same successor, since the response may have
/// been lost on a bad network.
pub const ROTATION_GRACE: std::time::Duration = std::time::Duration::from_secs(10);

/// Changes to a business; `None` leaves a field as it is.
#[derive(Clone, Debug, Default)]
pub struct BusinessPatch {
    /// What customers call it.
    pub name: Option<String>,
    /// Where drivers pick up.
    pub location: Option<Location>,
    /// The delivery zone.
    pub zone: Option<String>,
    /// Decides when its day begins.
    pub timezone: Option<Zone>,
    /// Minutes an order takes.
    pub prep_minutes: Option<u16>,
    /// How many tables.
    pub tables: Option<u16>,
    /// Whether it takes orders.
    pub state: Option<BusinessState>,
}

/// Changes to an item; `None` leaves a field as it is.
#[derive(Clone, Debug, Default)]
pub struct ItemPatch {
    /// What customers see.
    pub name: Option<String>,
    /// Where on the menu; `Some(None)` takes it out of its category.
    pub category: Option<Option<String>>,
    /// Price of one, in minor units.
    pub price_minor: Option<i64>,
    /// Whether it can be ordered now.
    pub available: Option<bool>,
}

/// A device has everything of a room up to the cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceAck {
    /// The room.
    pub room: RoomId,
    /// The device's own id, else its session's.
    pub device: String,
    /// Who is signed in on it.
    pub user: UserId,
    /// The last event received.
    pub cursor: Cursor,
    /// When the hub heard of it.
    pub at: Timestamp,
}

/// What a device did with one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkKind {
    /// A person could see it.
    Shown,
    /// A person did something about it.
    Acted,
}

impl MarkKind {
    /// The word in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Shown => "shown",
            Self::Acted => "acted",
        }
    }
}

/// One event was shown or acted upon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceMark {
    /// The room.
    pub room: RoomId,
    /// The device's own id, else its session's.
    pub device: String,
    /// Who is signed in on it.
    pub user: UserId,
    /// The event.
    pub cursor: Cursor,
    /// Which of the two.
    pub kind: MarkKind,
    /// When the hub heard of it.
    pub at: Timestamp,
}

/// What a command came to. Each is final and committed; refusals have changed nothing.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Of `PlaceOrder`.
    Placed(PlaceOutcome),
    /// Of `MoveOrder`: the order as it is now, or why it was not moved.
    Moved(Result<Order, MoveError>),
    /// Of `CreateUser`: false when the address is taken.
    UserCreated(Creation),
    /// Of `RotateSession`.
    Rotated(Rotation),
    /// Of `RedeemTicket`: `AlreadyThere` when it was used before.
    TicketRedeemed(Creation),
    /// Of `UpdateBusiness`: as it is now; `None` when there is no such business.
    BusinessUpdated(Option<Box<Business>>),
    /// Of `AddItem`.
    ItemAdded(Creation),
    /// Of `UpdateItem`: as it is now; `None` when there is no such item.
    ItemUpdated(Option<MenuItem>),
    /// Of `RemoveItem`, `RemoveMember` and `EndSession`.
    Removed(Removal),
    /// Of `PutMember`.
    MemberPut(Result<(), MemberRefusal>),
    /// Of `Purge`: how many rows were deleted; less than the limit when there are no more.
    Purged(u64),
    /// Of `ReadNotification`: when they first read it; `None` when there is no such notification.
    NotificationRead(Option<Timestamp>),
    /// Of `Reseal`: how many values were sealed anew; the others were so already, or are gone.
    Resealed(u64),
    /// Of `RotateEpoch`.
    Advanced(Advanced),
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
