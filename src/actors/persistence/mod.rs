//! Persistence: the only door to writing. Commands wait in bounded queues, share transactions, and are answered
//! after the commit.

mod actor;
mod backlog;
mod lane;
mod messages;
mod permits;
mod state;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::Arbiter;
use tokio::sync::{mpsc, oneshot};

use crate::domain::access::MemberRole;
use crate::domain::business::MenuItem;
use crate::domain::cursor::Epoch;
use crate::domain::ids::{BusinessId, CommandId, InvitationId, NotificationId, SessionId, UserId};
use crate::domain::order::Order;
use crate::domain::room::RoomId;
use crate::domain::time::Timestamp;
use crate::protocol::event::RoomEvent;
use crate::storage::command::{
    Action, Advanced, BusinessPatch, BusinessUpdate, Command, Creation, DeviceMark, EpochChange,
    InvitationAnswer, InvitationOutcome, ItemPatch, MemberRefusal, MoveError, MoveOrder, NewSession, NewUser,
    Outcome, PlaceOrder, PlaceOutcome, Purgeable, ReceivedAck, Removal, RotateSession, Rotation, RowKey,
    SessionActivity, SetPassword, Sweepable, UserChange,
};
use crate::storage::{Store, StoreError};
use crate::telemetry::Metrics;

use super::FatalSignal;
use super::mailbox::Mailbox;
use super::settings::PersistenceSettings;
use actor::PersistenceActor;
use backlog::Backlog;
use messages::{Drain, Job, LaneIdle, Submit, Waiter};
use permits::Permits;
use state::{Class, QueueLimits};

/// Most sign-ins in one command: a row of each is locked until the transaction ends.
const ACTIVITY_A_COMMAND: usize = 256;

/// Most transactions for one call of [`Persistence::store_acks`]: beyond what as many acknowledgements as one command holds
/// need when each is about as much as it may be.
const ACKS_TRANSACTIONS: usize = 4096;

/// Why a command has no outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// It did not happen: too much waits. Try again after [`RETRY_AFTER`].
    #[error("too many commands wait for the store")]
    Overloaded,
    /// It did not happen: the store is away or too slow, or the hub is going down.
    #[error("the store is not available")]
    Unavailable,
    /// It did not happen: alone, and twice, it met a time limit of the hub's own. The log has which.
    #[error("the command takes longer than the store's time limits")]
    TooSlow,
    /// It did not happen, and would not if tried again: the log has the cause.
    #[error("the store refused the command")]
    Refused,
    /// The deadline passed while it was being written: it may have happened.
    #[error("the deadline passed while the command was being written")]
    OutcomeUnknown,
}

/// When to try again after [`SubmitError::Overloaded`] or [`SubmitError::Unavailable`].
pub const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How long a caller waits for its outcome. A command still queued by then is taken out untried.
pub const DEADLINE: Duration = Duration::from_secs(5);

/// What the caller adds to [`DEADLINE`] so that the queue's own answer arrives first.
const ANSWER_MARGIN: Duration = Duration::from_millis(200);

/// Hears of every commit, in commit order for each lane, before the callers do. Must return soon: the lane waits.
pub trait CommitObserver: Send + Sync + 'static {
    /// These commands were committed with these outcomes, and rooms have these events to hear.
    fn committed(&self, commands: &[Command], outcomes: &[Outcome], events: Vec<RoomEvent>);

    /// A COMMIT of these commands had no answer. They are tried until it is known what became of them, which can take as
    /// long as the store is away; until then they may have happened. Called once, before [`Self::committed`]
    /// if they did.
    fn uncertain(&self, commands: &[Command]);
}

/// The handle: cheap to clone, safe to use from any thread.
#[derive(Clone)]
pub struct Persistence {
    mailbox: Mailbox<PersistenceActor>,
    lanes: usize,
    /// Commands that are queued or under way; what is beyond is refused before it reaches the mailbox.
    permits: Permits,
    backlog: Arc<Backlog>,
}

impl Persistence {
    /// Opens `lanes` writers (never more than the store can use) on arbiters of their own and starts taking
    /// commands. If a writer panics, `fatal` is raised: the process must end.
    ///
    /// # Errors
    /// When a writer cannot be opened.
    pub async fn start(
        store: &Arc<dyn Store>,
        lanes: usize,
        settings: &PersistenceSettings,
        observer: Arc<dyn CommitObserver>,
        metrics: Metrics,
        fatal: FatalSignal,
    ) -> Result<Self, StoreError> {
        let lanes = lanes.clamp(1, store.max_lanes());
        let limits = QueueLimits {
            batch_commands: settings.batch_commands,
            batch_bytes: settings.batch_bytes,
            queue_commands: settings.queue_commands,
            queue_bytes: settings.queue_bytes,
            max_wait: Duration::from_millis(settings.queue_age_ms),
        };
        let permits = Permits::new(&limits, lanes);
        let capacity = permits.total();
        let mut senders = Vec::with_capacity(lanes);
        let mut writers = Vec::with_capacity(lanes);
        for _ in 0..lanes {
            let (sender, receiver) = mpsc::channel(1);
            senders.push(sender);
            writers.push((store.open_lane().await?, receiver));
        }
        let arbiter = Arbiter::new();
        let guard = fatal.guard("the persistence actor");
        let backlog = Arc::new(Backlog::new(lanes, limits.max_wait, Instant::now()));
        let actor = PersistenceActor::new(senders, limits, backlog.clone(), metrics.clone(), guard);
        // What lanes report must never be refused; permits bound the rest.
        let mailbox = Mailbox::start_in(&arbiter.handle(), capacity + lanes + 2, actor);
        for (lane, (writer, receiver)) in writers.into_iter().enumerate() {
            let (observer, metrics, back) = (observer.clone(), metrics.clone(), mailbox.clone());
            let guard = fatal.guard("a writer lane");
            Arbiter::new().spawn(async move {
                let idle = move |ended| {
                    if let Err(error) = back.offer(LaneIdle { lane, ended }) {
                        tracing::error!(lane, %error, "a lane could not report");
                    }
                };
                lane::run(writer, receiver, observer, metrics, idle).await;
                guard.disarm();
                actix::prelude::Arbiter::current().stop();
            });
        }
        Ok(Self { mailbox, lanes, permits, backlog })
    }

    /// Whether new work has a chance now, for saying no before anything was done for it.
    ///
    /// # Errors
    /// `Overloaded` while nearly every lane's queue is as long as it may be.
    pub fn takes_new_work(&self) -> Result<(), SubmitError> {
        let full = self.permits.of(Class::NewWork).available_permits() == 0;
        if full || self.backlog.is_too_long_on_the_whole(Instant::now()) {
            return Err(SubmitError::Overloaded);
        }
        Ok(())
    }

    /// Takes no more commands, waits for those it has, and stops.
    pub async fn drain(&self) {
        let (done, drained) = oneshot::channel();
        if self.mailbox.offer(Drain { done }).is_ok() {
            // A sender that was dropped means the actor is gone, which is what was asked for.
            let _ = drained.await;
        }
    }

    async fn submit(
        &self,
        key: impl Hash,
        class: Class,
        bytes: usize,
        action: Action,
    ) -> Result<Outcome, SubmitError> {
        let key = hash_of(key);
        let lane = (key % self.lanes as u64) as usize;
        // The lane would say the same; this spares it the question.
        if class == Class::NewWork && self.backlog.is_too_long(lane, Instant::now()) {
            return Err(SubmitError::Overloaded);
        }
        let permits = self.permits.of(class).clone();
        let permit = permits.try_acquire_owned().map_err(|_| SubmitError::Overloaded)?;
        let (reply, outcome) = oneshot::channel();
        let command = Command { id: CommandId::generate(), at: Timestamp::now(), action };
        let submit = Submit {
            job: Job { command, waiter: Waiter { reply, permit } },
            lane,
            class,
            key,
            bytes,
            deadline: Instant::now() + DEADLINE,
        };
        self.mailbox.offer(submit).map_err(|_| SubmitError::Overloaded)?;
        let answer = tokio::time::timeout(DEADLINE + ANSWER_MARGIN, outcome).await;
        match answer {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) | Err(_) => Err(SubmitError::OutcomeUnknown),
        }
    }

    /// Places an order.
    pub async fn place_order(&self, order: PlaceOrder) -> Result<PlaceOutcome, SubmitError> {
        let bytes = 512 + order.draft.items.len() * 64 + order.draft.notes.as_ref().map_or(0, String::len);
        let key = order.draft.business_id;
        match self.submit(key, Class::NewWork, bytes, Action::PlaceOrder(Box::new(order))).await? {
            Outcome::Placed(outcome) => Ok(outcome),
            other => Err(unexpected(&other)),
        }
    }

    /// Makes something of `business`: the business itself, an item of its menu, a notification or an invitation, once for a key
    /// if the action is keyed. `bytes` is what the action takes up in memory.
    pub async fn make(
        &self,
        business: BusinessId,
        bytes: usize,
        action: Action,
    ) -> Result<Outcome, SubmitError> {
        self.submit(business, Class::NewWork, bytes, action).await
    }

    /// Moves an order of `business`.
    pub async fn move_order(
        &self,
        business: BusinessId,
        order: MoveOrder,
    ) -> Result<Result<Order, MoveError>, SubmitError> {
        match self.submit(business, Class::Finishing, 256, Action::MoveOrder(order)).await? {
            Outcome::Moved(moved) => Ok(moved.map(|order| *order)),
            other => Err(unexpected(&other)),
        }
    }

    /// Stores that somebody has read a notification, and tells when they first did; `None` when there is no such.
    pub async fn read_notification(
        &self,
        business: BusinessId,
        notification: NotificationId,
        user: UserId,
    ) -> Result<Option<Timestamp>, SubmitError> {
        let action = Action::ReadNotification { business, notification, user };
        match self.submit(business, Class::NewWork, 128, action).await? {
            Outcome::NotificationRead(at) => Ok(at),
            other => Err(unexpected(&other)),
        }
    }

    /// Makes an account.
    pub async fn create_user(&self, user: NewUser) -> Result<Creation, SubmitError> {
        match self.submit(user.id, Class::NewWork, 256, Action::CreateUser(Box::new(user))).await? {
            Outcome::UserCreated(creation) => Ok(creation),
            other => Err(unexpected(&other)),
        }
    }

    /// Gives an account another password; `NotThere` when there is no such, or its password is not the one named.
    pub async fn set_password(&self, set: SetPassword) -> Result<UserChange, SubmitError> {
        self.change_user(set.user, Action::SetPassword(Box::new(set))).await
    }

    /// Lets an account be used for what its role is for; repeated, it changes nothing.
    pub async fn approve_user(&self, user: UserId) -> Result<UserChange, SubmitError> {
        self.change_user(user, Action::ApproveUser { user }).await
    }

    async fn change_user(&self, user: UserId, action: Action) -> Result<UserChange, SubmitError> {
        match self.submit(user, Class::NewWork, 256, action).await? {
            Outcome::UserChanged(change) => Ok(change),
            other => Err(unexpected(&other)),
        }
    }

    /// Starts a sign-in.
    pub async fn open_session(&self, session: NewSession) -> Result<(), SubmitError> {
        self.submit(session.id, Class::NewWork, 256, Action::OpenSession(Box::new(session))).await.map(drop)
    }

    /// Exchanges a refresh token.
    pub async fn rotate_session(&self, rotate: RotateSession) -> Result<Rotation, SubmitError> {
        match self.submit(rotate.session, Class::NewWork, 256, Action::RotateSession(rotate)).await? {
            Outcome::Rotated(rotation) => Ok(rotation),
            other => Err(unexpected(&other)),
        }
    }

    /// Ends a sign-in. The observer hears of it before this returns, so its tokens are refused by then.
    pub async fn end_session(&self, session: SessionId) -> Result<Removal, SubmitError> {
        self.removal(session, Action::EndSession { session }).await
    }

    /// Stores when sign-ins were last seen; gives back those that could not be stored now.
    pub async fn store_activity(&self, seen: Vec<SessionActivity>) -> Vec<SessionActivity> {
        // A sign-in's row is locked by its own lane only, so that lanes never wait for each other in a circle.
        let mut by_lane: BTreeMap<u64, Vec<SessionActivity>> = BTreeMap::new();
        for seen in seen {
            by_lane.entry(hash_of(seen.session) % self.lanes as u64).or_default().push(seen);
        }
        let mut left = Vec::new();
        for chunk in by_lane.values().flat_map(|of_lane| of_lane.chunks(ACTIVITY_A_COMMAND)) {
            // One wait for a store that is away is enough.
            if !left.is_empty() {
                left.extend_from_slice(chunk);
                continue;
            }
            let (key, bytes) = (chunk[0].session, 64 * chunk.len());
            match self.submit(key, Class::NewWork, bytes, Action::StoreActivity(chunk.to_vec())).await {
                // It would be refused again.
                Ok(_) | Err(SubmitError::Refused | SubmitError::TooSlow) => {}
                Err(SubmitError::Overloaded | SubmitError::Unavailable | SubmitError::OutcomeUnknown) => {
                    left.extend_from_slice(chunk);
                }
            }
        }
        left
    }

    /// Uses up a ticket; `AlreadyThere` when it was used before.
    pub async fn redeem_ticket(&self, jti: String, expires_at: Timestamp) -> Result<Creation, SubmitError> {
        let key = jti.clone();
        match self.submit(key, Class::NewWork, 128, Action::RedeemTicket { jti, expires_at }).await? {
            Outcome::TicketRedeemed(creation) => Ok(creation),
            other => Err(unexpected(&other)),
        }
    }

    /// Changes a business.
    pub async fn update_business(
        &self,
        business: BusinessId,
        patch: BusinessPatch,
    ) -> Result<BusinessUpdate, SubmitError> {
        let action = Action::UpdateBusiness { business, patch: Box::new(patch) };
        match self.submit(business, Class::Finishing, 256, action).await? {
            Outcome::BusinessUpdated(update) => Ok(update),
            other => Err(unexpected(&other)),
        }
    }

    /// Changes an item; `None` when there is no such.
    pub async fn update_item(
        &self,
        business: BusinessId,
        sku: String,
        patch: ItemPatch,
    ) -> Result<Option<MenuItem>, SubmitError> {
        match self.submit(business, Class::NewWork, 256, Action::UpdateItem { business, sku, patch }).await? {
            Outcome::ItemUpdated(item) => Ok(item),
            other => Err(unexpected(&other)),
        }
    }

    /// Takes an item off a menu.
    pub async fn remove_item(&self, business: BusinessId, sku: String) -> Result<Removal, SubmitError> {
        self.removal(business, Action::RemoveItem { business, sku }).await
    }

    /// Makes somebody a member.
    pub async fn put_member(
        &self,
        business: BusinessId,
        user: UserId,
        role: MemberRole,
    ) -> Result<Result<(), MemberRefusal>, SubmitError> {
        match self.submit(business, Class::NewWork, 128, Action::PutMember { business, user, role }).await? {
            Outcome::MemberPut(put) => Ok(put),
            other => Err(unexpected(&other)),
        }
    }

    /// Accepts or declines an invitation of this user.
    pub async fn answer_invitation(
        &self,
        invitation: InvitationId,
        user: UserId,
        answer: InvitationAnswer,
    ) -> Result<InvitationOutcome, SubmitError> {
        let action = Action::AnswerInvitation { invitation, user, answer };
        match self.submit(invitation, Class::NewWork, 128, action).await? {
            Outcome::InvitationAnswered(outcome) => Ok(outcome),
            other => Err(unexpected(&other)),
        }
    }

    /// Ends a membership. The observer hears of it before this returns, so its sockets are being closed by then.
    pub async fn remove_member(&self, business: BusinessId, user: UserId) -> Result<Removal, SubmitError> {
        self.removal(business, Action::RemoveMember { business, user }).await
    }

    /// Stores acknowledgements, in as many transactions as they need, between which others have their turn.
    pub async fn store_acks(&self, acks: Arc<[ReceivedAck]>) -> Result<(), SubmitError> {
        let bytes = 160 * acks.len();
        for _ in 0..ACKS_TRANSACTIONS {
            let action = Action::StoreAcks(acks.clone());
            match self.submit("acks", Class::Acknowledging, bytes, action).await? {
                Outcome::AcksLeft => {}
                Outcome::Done => return Ok(()),
                other => return Err(unexpected(&other)),
            }
        }
        Err(SubmitError::TooSlow)
    }

    /// Stores that an event was shown or acted upon.
    pub async fn store_mark(&self, mark: DeviceMark) -> Result<(), SubmitError> {
        self.submit(mark.room, Class::NewWork, 160, Action::StoreMark(mark)).await.map(drop)
    }

    /// Deletes at most `limit` rows of what is older than `before`, and tells how many. Gives way to orders: refused
    /// like them when too much waits.
    pub async fn purge(&self, what: Purgeable, before: Timestamp, limit: u32) -> Result<u64, SubmitError> {
        match self.submit("upkeep", Class::NewWork, 128, Action::Purge { what, before, limit }).await? {
            Outcome::Purged(rows) => Ok(rows),
            other => Err(unexpected(&other)),
        }
    }

    /// Puts a room into `epoch` if it is still in the one seen: once, however many ask.
    pub async fn rotate_room(
        &self,
        room: RoomId,
        seen: Epoch,
        epoch: Epoch,
    ) -> Result<EpochChange, SubmitError> {
        match self.submit(room, Class::Finishing, 128, Action::RotateRoom { room, seen, epoch }).await? {
            Outcome::RoomRotated(change) => Ok(change),
            other => Err(unexpected(&other)),
        }
    }

    /// Goes through the next `limit` rows of `what` behind `after` and deletes those older than `before`. Gives way to
    /// orders like [`Persistence::purge`].
    pub async fn sweep(
        &self,
        what: Sweepable,
        before: Timestamp,
        after: Option<RowKey>,
        limit: u32,
    ) -> Result<Advanced, SubmitError> {
        self.advance(Action::Sweep { what, before, after, limit }).await
    }

    /// Puts at most `limit` orders into the text index that are not in it yet.
    pub async fn index_orders(&self, limit: u32) -> Result<Advanced, SubmitError> {
        self.advance(Action::IndexOrders { limit }).await
    }

    async fn advance(&self, action: Action) -> Result<Advanced, SubmitError> {
        match self.submit("upkeep", Class::NewWork, 256, action).await? {
            Outcome::Advanced(advanced) => Ok(advanced),
            other => Err(unexpected(&other)),
        }
    }

    /// Tells the query planner how the data is spread.
    pub async fn analyze(&self) -> Result<(), SubmitError> {
        self.submit("upkeep", Class::NewWork, 128, Action::Analyze).await.map(drop)
    }

    async fn removal(&self, key: impl Hash, action: Action) -> Result<Removal, SubmitError> {
        match self.submit(key, Class::Finishing, 128, action).await? {
            Outcome::Removed(removal) => Ok(removal),
            other => Err(unexpected(&other)),
        }
    }
}

/// Decides the lane, and is what makes commands of one key wait for each other.
fn hash_of(key: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

fn unexpected(outcome: &Outcome) -> SubmitError {
    tracing::error!(?outcome, "a command was answered with another command's outcome");
    SubmitError::Refused
}
