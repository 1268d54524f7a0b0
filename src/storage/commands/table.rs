//! Every write there is, one row each.
//!
//! A row says what a write holds, what comes of it, how a transaction runs it, whether somebody waits for it, how it
//! goes before others, by which lane it is written, how large it is in memory, and which cached values it changes. The
//! macro that is given the rows makes code of them, so a write that is forgotten somewhere does not compile.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use crate::domain::business::MenuItem;
use crate::domain::delivery::{AnswerRefusal, AssignRefusal, LeaveRefusal, StepRefusal};
use crate::domain::dispatch::DriverRefusal;
use crate::domain::event::Notification;
use crate::domain::ids::{BusinessId, LoginSessionId, OrderId, UserId};
use crate::domain::order::Order;
use crate::domain::time::Timestamp;

use super::*;

/// Which writes go first while several wait for a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WritePriority {
    /// Finishes what was begun: moves of orders, ends of login sessions. Goes first.
    Finishing,
    /// Acknowledgements of devices. Goes next.
    Acknowledging,
    /// Begins something, and is refused when it would wait too long.
    NewWork,
    /// Deadlines and rings of orders. New work does not wait for it; a quarter of each batch is its own. It is never refused for
    /// its age: what finds no place stays due in the store.
    Alerting,
}

/// Something that a write may change and that is remembered outside of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// An order that was not there before.
    NewOrder {
        /// Its business, whose lists change.
        business: BusinessId,
        /// Its customer, whose lists change.
        customer: UserId,
    },
    /// An order, and the lists it is in.
    Order(OrderId),
    /// A business without its menu.
    Business(BusinessId),
    /// The menu of a business.
    Menu(BusinessId),
    /// The businesses somebody works for.
    Memberships(UserId),
    /// A login session, with its tokens and sockets.
    LoginSession(LoginSessionId),
}

/// A write whose outcome has a type of its own.
pub trait WriteRequest: Into<Write> {
    /// The outcome of such a write.
    type Output;

    /// The outcome of such a write by its own type; the outcome itself when it is that of another write.
    ///
    /// # Errors
    /// The outcome, when it is another write's.
    fn output(outcome: Outcome) -> Result<Self::Output, Outcome>;
}

/// The lane that writes of this key share: they are written one after another, by one connection.
pub fn lane_of(key: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

/// The key of maintenance: one lane at a time is held up by it.
const MAINTENANCE: &str = "upkeep";

/// The key of all acknowledgements: rows of a device are locked by one lane only, so that lanes never wait for each other in
/// a circle.
const ACKS: &str = "acks";

/// The key of signs of life of drivers: their rows are written by one lane.
const DRIVERS: &str = "drivers";

/// The key of leases: the rows of a node are written by one lane.
const LEASES: &str = "leases";

/// The key of money that belongs to no business that is known.
const PAYMENTS: &str = "payments";

/// Gives the rows to the macro named. The columns:
///
/// - how a transaction runs it: `alone` (it shares nothing with other commands and implements `Execute`), `posted` (it
///   is told to a room and implements `Posted`) or `batched` (it is run together with others of its kind);
/// - `Awaited` or `Background`: whether somebody stands and waits for it;
/// - the priority;
/// - the lane key, the bytes in memory, and what it changes in the cache.
macro_rules! write_table {
    ($then:ident) => {
        $then! {
            /// Decide on a draft and store the order with its events.
            PlaceOrder(w: Box<PlaceOrder>) => Placed(PlaceOutcome), batched, Awaited, NewWork,
                lane: lane_of(w.draft.business_id),
                bytes: 512 + w.draft.items.len() * 64 + w.draft.notes.as_ref().map_or(0, String::len),
                changes: [Change::NewOrder { business: w.draft.business_id, customer: w.draft.customer_id }];
            /// Move an order along its table.
            MoveOrder(w: MoveOrder) => Moved(Result<Box<Order>, MoveError>), batched, Awaited, Finishing,
                lane: lane_of(w.business), bytes: 256, changes: [Change::Order(w.order)];
            /// Do what is due in the life of an order.
            FireDeadline(w: FireDeadline) => Fired(FireOutcome), batched, Background, Alerting,
                lane: lane_of(w.business), bytes: 256,
                changes: [Change::Order(w.order), Change::Business(w.business)];
            /// Take a use of a channel to the outside before other nodes do.
            BeginIntent(w: BeginIntent) => IntentBegun(bool), alone, Background, Alerting,
                lane: lane_of(w.intent), bytes: 128, changes: [];
            /// Store what came of a use of a channel to the outside.
            FinishIntent(w: FinishIntent) => Done(()), alone, Background, Alerting,
                lane: lane_of(w.intent), bytes: 128, changes: [];
            /// Change what an order says, without moving it.
            ChangeOrder(w: Box<ChangeOrder>) => Changed(Result<Box<Order>, ChangeError>), batched, Awaited, Finishing,
                lane: lane_of(w.business), bytes: 1024, changes: [Change::Order(w.order)];
            /// Let devices ring at once for an order that waits.
            RingOrder(w: RingOrder) => RingOrdered(RingOutcome), batched, Awaited, Finishing,
                lane: lane_of(w.business), bytes: 128, changes: [Change::Order(w.order)];
            /// Begin a payment of an order through the provider, unless one is open.
            InitiatePayment(w: InitiatePayment) => PaymentInitiated(InitiateOutcome), batched, Awaited, NewWork,
                lane: lane_of(w.business), bytes: 256, changes: [];
            /// Note where the customer pays.
            PaymentOpened(w: Box<PaymentOpened>) => PaymentInitiated(InitiateOutcome), batched, Awaited, Finishing,
                lane: lane_of(w.business), bytes: 256 + w.redirect_url.len(), changes: [];
            /// Record what was paid otherwise than through the provider.
            RecordPayment(w: Box<RecordPayment>) => PaymentRecorded(RecordOutcome), batched, Awaited, Finishing,
                lane: lane_of(w.business), bytes: 512, changes: [Change::Order(w.order), Change::Business(w.business)];
            /// Take in a message of the payment provider.
            ReceiveMessage(w: Box<ReceiveMessage>) => MessageReceived(Receipt), batched, Awaited, Finishing,
                lane: lane_of(&w.key), bytes: 256 + w.body.0.len(), changes: [];
            /// Apply news of the provider to the money of an order.
            ApplyNews(w: Box<ApplyNews>) => NewsApplied(NewsOutcome), batched, Background, Finishing,
                lane: w.business.map_or_else(|| lane_of(PAYMENTS), lane_of), bytes: 512,
                changes: [..w];
            /// Let the provider be asked about an open payment again.
            AskPaymentAgain(w: AskPaymentAgain) => Done(()), batched, Background, Alerting,
                lane: lane_of(w.business), bytes: 128, changes: [];
            /// Make a refund due that a person wants, or book what they gave back by hand.
            DemandRefund(w: Box<DemandRefund>) => RefundChanged(RefundOutcome), batched, Awaited, Finishing,
                lane: lane_of(w.business), bytes: 512, changes: [Change::Order(w.order)];
            /// Begin an attempt at a refund.
            BeginRefund(w: BeginRefund) => RefundBegun(Option<RefundBegun>), batched, Background, Finishing,
                lane: lane_of(w.business), bytes: 128, changes: [Change::Order(w.order)];
            /// Store what came of an attempt at a refund.
            RefundAnswered(w: Box<RefundAnswered>) => Done(()), batched, Background, Finishing,
                lane: lane_of(w.business), bytes: 256, changes: [Change::Order(w.order)];
            /// Tell operators of a refund that has not succeeded in its time.
            RefundLate(w: RefundLate) => Done(()), batched, Background, Alerting,
                lane: lane_of(w.business), bytes: 128, changes: [];
            /// Let a refund be sent again, or book that it was given back another way.
            HandleRefund(w: Box<HandleRefund>) => RefundChanged(RefundOutcome), batched, Awaited, Finishing,
                lane: lane_of(w.business), bytes: 256, changes: [Change::Order(w.order)];
            /// Let dead letters be worked on again.
            ReplayDeadLetters(w: Box<ReplayDeadLetters>) => Replayed(u32), alone, Awaited, Finishing,
                lane: lane_of(PAYMENTS), bytes: 128, changes: [];
            /// Change what a driver says about themselves.
            ChangeDriver(w: Box<ChangeDriver>) => DriverChanged(Result<(), DriverRefusal>), batched, Awaited, NewWork,
                lane: lane_of(w.driver), bytes: 512, changes: [];
            /// Let a driver get offers, or no more of them.
            SetDriverOnline(w: SetDriverOnline) => DriverChanged(Result<(), DriverRefusal>), batched, Awaited, Finishing,
                lane: lane_of(w.driver), bytes: 128, changes: [];
            /// Say in which zones a driver works.
            ApproveZones(w: Box<ApproveZones>) => DriverChanged(Result<(), DriverRefusal>), batched, Awaited, NewWork,
                lane: lane_of(w.driver), bytes: 512, changes: [];
            /// Store signs of life and positions of drivers.
            StoreDriversSeen(w: Vec<DriverSeen>) => Done(()), alone, Background, Acknowledging,
                lane: lane_of(DRIVERS), bytes: 96 * w.len(), changes: [];
            /// Set drivers offline of whom nothing was heard for too long.
            EndSilentDrivers(w: EndSilentDrivers) => Purged(u64), batched, Background, Alerting,
                lane: lane_of(DRIVERS), bytes: 64, changes: [];
            /// Ask drivers whether they bring an order.
            OpenWave(w: Box<OpenWave>) => WaveOpened(u32), batched, Background, Finishing,
                lane: lane_of(w.business), bytes: 256 + 40 * w.wave.candidates.len(), changes: [Change::Order(w.order)];
            /// Take a driver's answer to an offer.
            AnswerOffer(w: Box<AnswerOffer>) => OfferAnswered(Result<DeliveryChanged, AnswerRefusal>), batched, Awaited, Finishing,
                lane: lane_of(w.business), bytes: 512, changes: [Change::Order(w.order)];
            /// Take a step of a delivery, and move its order with it.
            ReportStep(w: Box<ReportStep>) => StepReported(Result<StepTaken, StepRefusal>), batched, Awaited, Finishing,
                lane: lane_of(w.business), bytes: 1024, changes: [Change::Order(w.order)];
            /// Give a delivery to a driver by an operator's hand.
            AssignDriver(w: AssignDriver) => DriverAssigned(Result<DeliveryChanged, AssignRefusal>), batched, Awaited, Finishing,
                lane: lane_of(w.business), bytes: 128, changes: [Change::Order(w.order)];
            /// Take a delivery from its driver before it was picked up.
            LeaveDelivery(w: Box<LeaveDelivery>) => DeliveryLeft(Result<DeliveryChanged, LeaveRefusal>), batched, Awaited, Finishing,
                lane: lane_of(w.business), bytes: 512, changes: [Change::Order(w.order)];
            /// Let an order take another way than by drivers.
            ChangeWay(w: ChangeWay) => WayChanged(Result<(), WayRefusal>), batched, Awaited, Finishing,
                lane: lane_of(w.business), bytes: 128, changes: [Change::Order(w.order)];
            /// Say until when a driver is searched.
            ExtendSearch(w: ExtendSearch) => WayChanged(Result<(), WayRefusal>), batched, Awaited, Finishing,
                lane: lane_of(w.business), bytes: 128, changes: [Change::Order(w.order)];
            /// Look at once whether somebody is to be asked.
            LookAgain(w: LookAgain) => Done(()), batched, Background, Alerting,
                lane: lane_of(w.business), bytes: 64, changes: [Change::Order(w.order)];
            /// Do something at most once for an idempotency key.
            Keyed(w: Box<Keyed>) => Any(Outcome), batched, Awaited, NewWork,
                lane: w.write.lane_key(), bytes: w.body.0.len() + w.write.bytes(), changes: [..w.write];
            /// Store a notification and tell the business's room.
            PostNotification(w: Box<Notification>) => Done(()), posted, Awaited, NewWork,
                lane: lane_of(w.business_id),
                bytes: 256 + w.title.len() + w.message.len() + w.data.to_string().len(), changes: [];
            /// Make an account.
            CreateUser(w: Box<NewUser>) => UserCreated(Creation), alone, Awaited, NewWork,
                lane: lane_of(w.id), bytes: 256, changes: [];
            /// Give an account another password.
            SetPassword(w: Box<SetPassword>) => UserChanged(UserChange), alone, Awaited, NewWork,
                lane: lane_of(w.user), bytes: 256, changes: [];
            /// Give an account another phone number, or none.
            SetPhone(w: Box<SetPhone>) => UserChanged(UserChange), alone, Awaited, NewWork,
                lane: lane_of(w.user), bytes: 256, changes: [];
            /// Let an account be used for what its role is for.
            ApproveUser(w: ApproveUser) => UserChanged(UserChange), alone, Awaited, NewWork,
                lane: lane_of(w.user), bytes: 256, changes: [];
            /// Close an account to its owner.
            SuspendUser(w: SuspendUser) => SessionsEnded(Option<Vec<LoginSessionId>>), batched, Awaited, Finishing,
                lane: lane_of(w.user), bytes: 128, changes: [];
            /// Open a suspended account to its owner again.
            RestoreUser(w: RestoreUser) => UserChanged(UserChange), alone, Awaited, Finishing,
                lane: lane_of(w.user), bytes: 128, changes: [];
            /// End every login session of an account.
            EndSessions(w: EndSessions) => SessionsEnded(Option<Vec<LoginSessionId>>), alone, Awaited, Finishing,
                lane: lane_of(w.user), bytes: 128, changes: [];
            /// Start a login session; nothing is stored for an account that is suspended.
            OpenSession(w: Box<NewSession>) => UserChanged(UserChange), alone, Awaited, NewWork,
                lane: lane_of(w.id), bytes: 256, changes: [];
            /// Exchange a refresh token for its successor.
            RotateSession(w: RotateSession) => Rotated(Rotation), alone, Awaited, NewWork,
                lane: lane_of(w.session), bytes: 256, changes: [];
            /// End a login session.
            EndSession(w: EndSession) => Removed(Removal), alone, Awaited, Finishing,
                lane: lane_of(w.session), bytes: 128, changes: [Change::LoginSession(w.session)];
            /// Store when login sessions were last seen. The time of one never goes back. They are of one lane.
            StoreActivity(w: Vec<SessionActivity>) => Done(()), alone, Background, NewWork,
                lane: w.first().map_or(0, |seen| lane_of(seen.session)), bytes: 64 * w.len(), changes: [];
            /// Use up a one-time ticket.
            RedeemTicket(w: RedeemTicket) => TicketRedeemed(Creation), alone, Awaited, NewWork,
                lane: lane_of(&w.jti), bytes: 128, changes: [];
            /// Make a business; the user becomes its owner.
            CreateBusiness(w: CreateBusiness) => Done(()), alone, Awaited, NewWork,
                lane: lane_of(w.business.id), bytes: 512,
                changes: [Change::Business(w.business.id), Change::Memberships(w.owner)];
            /// Change fields of a business.
            UpdateBusiness(w: UpdateBusiness) => BusinessUpdated(BusinessUpdate), alone, Awaited, Finishing,
                lane: lane_of(w.business), bytes: 256, changes: [Change::Business(w.business)];
            /// Hold something that the hub does, or lift that.
            SetHold(w: SetHold) => Done(()), alone, Awaited, Finishing,
                lane: lane_of(&w.scope), bytes: 256 + w.reason.len(), changes: [];
            /// Put a new item on the menu.
            AddItem(w: AddItem) => ItemAdded(Addition), alone, Awaited, NewWork,
                lane: lane_of(w.business), bytes: 256, changes: [Change::Menu(w.business)];
            /// Change fields of an item.
            UpdateItem(w: UpdateItem) => ItemUpdated(Option<MenuItem>), alone, Awaited, NewWork,
                lane: lane_of(w.business), bytes: 256, changes: [Change::Menu(w.business)];
            /// Take an item off the menu; orders keep their copy.
            RemoveItem(w: RemoveItem) => Removed(Removal), alone, Awaited, Finishing,
                lane: lane_of(w.business), bytes: 128, changes: [Change::Menu(w.business)];
            /// Make somebody a member, or change what they may do.
            PutMember(w: PutMember) => MemberPut(Result<(), MemberRefusal>), alone, Awaited, NewWork,
                lane: lane_of(w.business), bytes: 128, changes: [Change::Memberships(w.user)];
            /// Store whether a member wants to be called for a business.
            SetAlertMe(w: SetAlertMe) => UserChanged(UserChange), alone, Awaited, NewWork,
                lane: lane_of(w.business), bytes: 128, changes: [];
            /// Invite somebody to work for a business; nothing is stored for somebody without a merchant's account and for a member.
            Invite(w: Box<NewInvitation>) => Done(()), alone, Awaited, NewWork,
                lane: lane_of(w.business), bytes: 512, changes: [];
            /// Accept or decline an invitation.
            AnswerInvitation(w: AnswerInvitation) => InvitationAnswered(InvitationOutcome), alone, Awaited, NewWork,
                lane: lane_of(w.invitation), bytes: 128, changes: [Change::Memberships(w.user)];
            /// End a membership.
            RemoveMember(w: RemoveMember) => Removed(Removal), alone, Awaited, Finishing,
                lane: lane_of(w.business), bytes: 128, changes: [Change::Memberships(w.user)];
            /// Store how far devices have received their rooms. A position never goes back within an epoch.
            StoreAcks(w: Arc<[ScopedAck]>) => Acks(AcksProgress), batched, Background, Acknowledging,
                lane: lane_of(ACKS), bytes: 160 * w.len(), changes: [];
            /// Renew the leases of a node's reachable businesses, say that the node lives, and end pauses that this ends.
            RenewLeases(w: RenewLeases) => LeasesRenewed(LeasesRenewed), alone, Background, Finishing,
                lane: lane_of(LEASES), bytes: 256 + 64 * w.leases.len() + 16 * w.lapsed.len(), changes: [];
            /// Pause the businesses that no device can ring for.
            PauseUnreachable(w: PauseUnreachable) => Done(()), alone, Background, Finishing,
                lane: lane_of(LEASES), bytes: 256, changes: [];
            /// Say that a node leaves.
            LeaveHub(w: LeaveHub) => Done(()), alone, Background, Finishing,
                lane: lane_of(LEASES), bytes: 64, changes: [];
            /// Give everybody their quotas back.
            ResetQuotas(w: ResetQuotas) => QuotaEra(i64), alone, Awaited, Finishing,
                lane: lane_of(LEASES), bytes: 64, changes: [];
            /// Take a job that no node runs.
            ClaimJob(w: ClaimJob) => JobClaimed(JobClaim), alone, Background, NewWork,
                lane: lane_of(MAINTENANCE), bytes: 128, changes: [];
            /// Do a step of a job, unless another node has taken it.
            WriteOfJob(w: Box<WriteOfJob>) => Any(Outcome), batched, Background, NewWork,
                lane: lane_of(MAINTENANCE), bytes: 128 + w.write.bytes(), changes: [..w.write];
            /// Note the end of a job.
            EndJob(w: Box<EndJob>) => Done(()), alone, Background, NewWork,
                lane: lane_of(MAINTENANCE), bytes: 256, changes: [];
            /// Store that one event was shown or acted upon on a device.
            StoreMark(w: DeviceMark) => Done(()), alone, Awaited, NewWork,
                lane: lane_of(w.room), bytes: 160, changes: [];
            /// Delete rows that are older than a moment.
            Purge(w: Purge) => Purged(u64), alone, Background, NewWork,
                lane: lane_of(MAINTENANCE), bytes: 128, changes: [];
            /// Go through rows in the order of their keys and delete those older than a moment.
            Sweep(w: Sweep) => Advanced(MaintenanceProgress), alone, Background, NewWork,
                lane: lane_of(MAINTENANCE), bytes: 256, changes: [];
            /// Put orders into the text index that are not in it yet.
            IndexOrders(w: IndexOrders) => Advanced(MaintenanceProgress), alone, Background, NewWork,
                lane: lane_of(MAINTENANCE), bytes: 256, changes: [];
            /// Make live orders due that have no saga.
            TakeInOrders(w: TakeInOrders) => Advanced(MaintenanceProgress), alone, Background, NewWork,
                lane: lane_of(MAINTENANCE), bytes: 128, changes: [];
            /// Store that somebody has read a notification; the first time counts.
            ReadNotification(w: ReadNotification) => NotificationRead(Option<Timestamp>), alone, Awaited, NewWork,
                lane: lane_of(w.business), bytes: 128, changes: [];
            /// Seal values of a column with the current key, where an older one still seals them.
            Reseal(w: Reseal) => Resealed(u64), alone, Background, NewWork,
                lane: lane_of(MAINTENANCE), bytes: 64 * w.rows.len(), changes: [];
            /// Put the hub and rooms into another epoch.
            RotateEpoch(w: RotateEpoch) => Advanced(MaintenanceProgress), alone, Background, NewWork,
                lane: lane_of(MAINTENANCE), bytes: 128, changes: [];
            /// Hold the orders of a restored copy, or let them go.
            SetCopyHeld(w: SetCopyHeld) => Done(()), alone, Awaited, NewWork,
                lane: lane_of(MAINTENANCE), bytes: 64, changes: [];
            /// Put one room into another epoch, if it is still in the one seen: however many notice that the store is an older
            /// copy, the room changes once. The hub's epoch, in which rooms begin, changes with it under the same condition.
            RotateRoom(w: RotateRoom) => RoomRotated(EpochChange), alone, Awaited, Finishing,
                lane: lane_of(w.room), bytes: 128, changes: [];
            /// Tell the query planner how the data is spread, where the database does not find out by itself.
            Analyze(w: Analyze) => Done(()), alone, Background, NewWork,
                lane: lane_of(MAINTENANCE), bytes: 128, changes: [];
        }
    };
}

pub(in crate::storage) use write_table;

/// The outcome that a value of a write's own type makes.
macro_rules! outcome_of {
    (Any, $value:expr) => {
        $value
    };
    (Acks, $value:expr) => {
        Outcome::from($value)
    };
    (Done, $value:expr) => {{
        let () = $value;
        Outcome::Done
    }};
    ($variant:ident, $value:expr) => {
        Outcome::$variant($value)
    };
}

pub(in crate::storage) use outcome_of;

/// The value that a write's own outcome holds; another write's outcome is an error.
macro_rules! value_of {
    (Any, $outcome:expr) => {
        Ok($outcome)
    };
    (Acks, $outcome:expr) => {
        AcksProgress::try_from($outcome)
    };
    (Done, $outcome:expr) => {
        match $outcome {
            Outcome::Done => Ok(()),
            other => Err(other),
        }
    };
    ($variant:ident, $outcome:expr) => {
        match $outcome {
            Outcome::$variant(value) => Ok(value),
            other => Err(other),
        }
    };
}

/// Whether nobody stands and waits.
macro_rules! is_background {
    (Awaited) => {
        false
    };
    (Background) => {
        true
    };
}

macro_rules! each {
    ($change:ident, ..$inner:expr) => { $inner.each_change($change) };
    ($change:ident, $($each:expr),*) => {{ $($change($each);)* }};
}

macro_rules! define_writes {
    ($($(#[$doc:meta])* $name:ident($w:ident: $payload:ty) => $outcome:ident($output:ty), $how:ident, $urgency:ident,
        $priority:ident, lane: $lane:expr, bytes: $bytes:expr, changes: [$($changes:tt)*];)*) => {
        /// A change of the store.
        #[derive(Clone, Debug)]
        pub enum Write {
            $($(#[$doc])* $name($payload),)*
        }

        impl Write {
            /// Which goes first of several that wait for a lane.
            pub const fn priority(&self) -> WritePriority {
                match self { $(Self::$name(_) => WritePriority::$priority,)* }
            }

            /// Whether nobody stands and waits for it: acknowledgements that devices send in passing, and maintenance.
            pub const fn can_wait(&self) -> bool {
                match self { $(Self::$name(_) => is_background!($urgency),)* }
            }

            /// Decides the lane: writes of one key are written one after another.
            pub fn lane_key(&self) -> u64 {
                match self { $(Self::$name($w) => { let _ = $w; $lane })* }
            }

            /// Its size in memory while it waits, in bytes, about.
            pub fn bytes(&self) -> usize {
                match self { $(Self::$name($w) => { let _ = $w; $bytes })* }
            }

            /// Names each cached value that it may change.
            pub fn each_change(&self, change: &mut dyn FnMut(Change)) {
                match self { $(Self::$name($w) => { let _ = $w; each!(change, $($changes)*) })* }
            }
        }

        $(
            impl From<$payload> for Write {
                fn from(write: $payload) -> Self {
                    Self::$name(write)
                }
            }

            impl WriteRequest for $payload {
                type Output = $output;

                fn output(outcome: Outcome) -> Result<$output, Outcome> {
                    value_of!($outcome, outcome)
                }
            }
        )*
    };
}

write_table!(define_writes);
