//! Everything that is ever written, as commands. A lane runs many in one transaction; each is answered on its own.

mod devices;
mod invitations;
mod outcome;
mod upkeep;

use std::sync::Arc;

use crate::domain::access::{MemberRole, Role};
use crate::domain::business::{Business, BusinessContact, BusinessState, Location, MenuItem, Zone};
use crate::domain::cursor::Epoch;
use crate::domain::delivery::DeliveredBy;
use crate::domain::event::Notification;
use crate::domain::ids::{BusinessId, CommandId, InvitationId, NotificationId, OrderId, SessionId, UserId};
use crate::domain::money::Currency;
use crate::domain::order::{Draft, MoveRequest};
use crate::domain::private::Private;
use crate::domain::room::RoomId;
use crate::domain::time::Timestamp;

pub use devices::{DeviceAck, DeviceMark, MarkKind, Reach, ReceivedAck};
pub use invitations::{InvitationAnswer, InvitationOutcome, Invitee, NewInvitation};
pub use outcome::{
    Addition, BusinessUpdate, Committed, Creation, KeyedRepeat, MemberRefusal, MoveError, Outcome,
    PlaceOutcome, Removal, Rotation, UserChange,
};
pub use upkeep::{Advanced, EpochChange, Purgeable, RETENTION, Retention, RowKey, SealedColumn, Sweepable};

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
    /// Do something at most once for an idempotency key.
    Keyed(Box<Keyed>),
    /// Store a notification and tell the business's room.
    PostNotification(Box<Notification>),
    /// Make an account.
    CreateUser(Box<NewUser>),
    /// Give an account another password.
    SetPassword(Box<SetPassword>),
    /// Let an account be used for what its role is for.
    ApproveUser {
        /// Whose.
        user: UserId,
    },
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
    /// Invite somebody to work for a business; nothing is stored for somebody without a merchant's account and for a member.
    Invite(Box<NewInvitation>),
    /// Accept or decline an invitation.
    AnswerInvitation {
        /// Which.
        invitation: InvitationId,
        /// Whose it has to be.
        user: UserId,
        /// Yes or no.
        answer: InvitationAnswer,
    },
    /// End a membership.
    RemoveMember {
        /// Of which business.
        business: BusinessId,
        /// Whose.
        user: UserId,
    },
    /// Store how far devices have received their rooms. A position never goes back within an epoch.
    StoreAcks(Arc<[ReceivedAck]>),
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
    /// Go through rows in the order of their keys and delete what is older than `before`.
    Sweep {
        /// Of what.
        what: Sweepable,
        /// What is of this moment or later stays.
        before: Timestamp,
        /// Go on behind this row: the `last` of the command before.
        after: Option<RowKey>,
        /// The most rows to look at.
        limit: u32,
    },
    /// Put orders into the text index that are not in it yet, at most `limit` of them.
    IndexOrders {
        /// The most orders to index; all of them are locked together, so a few hundred at most.
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
    /// Put one room into another epoch, if it is still in the one seen: however many notice that the store is an older
    /// copy, the room changes once. The hub's epoch, in which rooms begin, changes with it under the same condition.
    RotateRoom {
        /// Which.
        room: RoomId,
        /// The epoch it was last seen in.
        seen: Epoch,
        /// The new one, drawn at random.
        epoch: Epoch,
    },
    /// Tell the query planner how the data is spread, where the database does not find out by itself.
    Analyze,
}

impl Action {
    /// What is done, whether or not once for a key.
    pub fn unkeyed(&self) -> &Self {
        match self {
            Self::Keyed(keyed) => &keyed.action,
            action => action,
        }
    }

    /// Whether nobody stands and waits for it: what is told by devices in passing, and upkeep.
    pub fn can_wait(&self) -> bool {
        matches!(
            self,
            Self::StoreAcks(_)
                | Self::StoreActivity(_)
                | Self::Purge { .. }
                | Self::Sweep { .. }
                | Self::IndexOrders { .. }
                | Self::Reseal { .. }
                | Self::RotateEpoch { .. }
                | Self::Analyze
        )
    }
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
#[derive(Clone, PartialEq, Eq)]
pub struct KeptAnswer {
    /// HMAC of the request it answered.
    pub request_mac: String,
    /// The HTTP status.
    pub status: u16,
    /// The body, byte for byte.
    pub body: String,
}

impl std::fmt::Debug for KeptAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeptAnswer")
            .field("status", &self.status)
            .field("request_mac", &self.request_mac)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// Something that is done at most once for an idempotency key, and whose answer is known before it is done. It is kept with the key
/// when something was made.
#[derive(Clone, Debug)]
pub struct Keyed {
    /// The key of the request.
    pub key: IdempotencyKey,
    /// The HTTP status of the answer.
    pub status: u16,
    /// The body of the answer.
    pub body: Private<String>,
    /// What to do: nothing that places or moves an order.
    pub action: Action,
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

/// Another password for an account.
#[derive(Clone)]
pub struct SetPassword {
    /// Whose.
    pub user: UserId,
    /// PHC string of the new one.
    pub password_hash: String,
    /// Only while this is the stored one.
    pub instead_of: Option<String>,
}

impl std::fmt::Debug for SetPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SetPassword").field("user", &self.user).finish_non_exhaustive()
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
#[derive(Clone)]
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

impl std::fmt::Debug for NewSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewSession").field("id", &self.id).field("user", &self.user).finish_non_exhaustive()
    }
}

/// A sign-in was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionActivity {
    /// Which.
    pub session: SessionId,
    /// When.
    pub at: Timestamp,
    /// Tokens its client was seen to have.
    pub used: Option<TokenUse>,
}

/// The client of a sign-in has tokens of this generation: it used the access token that came with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenUse {
    /// Which tokens.
    pub generation: u32,
    /// When they were first used.
    pub at: Timestamp,
}

/// A refresh token presented for exchange; its signature was checked.
#[derive(Clone)]
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
    /// What this node has seen of the family's newest tokens and may not have stored yet.
    pub used: Option<TokenUse>,
}

impl std::fmt::Debug for RotateSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RotateSession")
            .field("session", &self.session)
            .field("generation", &self.generation)
            .field("used", &self.used)
            .finish_non_exhaustive()
    }
}

/// For this long after the first use of a successor the token before it still yields the same one, for a client that
/// refreshes in several places at once. As long as the successor was never used its answer may have been lost, and the token
/// before it yields it however late.
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
    /// The currency of every price; only while there are no prices and no orders.
    pub currency: Option<Currency>,
    /// Minutes an order takes.
    pub prep_minutes: Option<u16>,
    /// How many tables.
    pub tables: Option<u16>,
    /// Who brings its deliveries.
    pub delivered_by: Option<DeliveredBy>,
    /// Where it is reached; all of it is replaced.
    pub contact: Option<BusinessContact>,
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
