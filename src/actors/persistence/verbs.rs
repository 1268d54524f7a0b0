//! A verb for each write that is made in more than one place, or in a way of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::access::MemberRole;
use crate::domain::business::MenuItem;
use crate::domain::cursor::Epoch;
use crate::domain::ids::{BusinessId, InvitationId, LoginSessionId, NotificationId, UserId};
use crate::domain::order::Order;
use crate::domain::room::RoomId;
use crate::domain::time::Timestamp;
use crate::storage::commands::{
    AcksProgress, AnswerInvitation, ApproveUser, Creation, DeviceMark, EndSession, EpochChange,
    InvitationAnswer, InvitationOutcome, ItemPatch, MemberRefusal, MoveError, MoveOrder, NewSession, NewUser,
    PlaceOrder, PlaceOutcome, PutMember, ReadNotification, RedeemTicket, Removal, RemoveItem, RemoveMember,
    RotateRoom, RotateSession, Rotation, ScopedAck, SessionActivity, SetAlertMe, SetPassword, SetPhone,
    UpdateItem, UserChange, lane_of,
};

use super::{Persistence, SubmitError};

/// Most login sessions in one command: a row of each is locked until the transaction ends.
const ACTIVITY_A_COMMAND: usize = 256;

/// Most transactions for one call of [`Persistence::store_acks`]: beyond what as many acknowledgements as one command holds
/// need when each is about as much as it may be.
const ACKS_TRANSACTIONS: usize = 4096;

impl Persistence {
    /// Places an order.
    pub async fn place_order(&self, order: PlaceOrder) -> Result<PlaceOutcome, SubmitError> {
        self.write(Box::new(order)).await
    }

    /// Moves an order.
    pub async fn move_order(&self, order: MoveOrder) -> Result<Result<Order, MoveError>, SubmitError> {
        Ok(self.write(order).await?.map(|order| *order))
    }

    /// Stores that somebody has read a notification, and tells when they first did; `None` when there is no such.
    pub async fn read_notification(
        &self,
        business: BusinessId,
        notification: NotificationId,
        user: UserId,
    ) -> Result<Option<Timestamp>, SubmitError> {
        self.write(ReadNotification { business, notification, user }).await
    }

    /// Makes an account.
    pub async fn create_user(&self, user: NewUser) -> Result<Creation, SubmitError> {
        self.write(Box::new(user)).await
    }

    /// Gives an account another password; `NotThere` when there is no such, or its password is not the one named.
    pub async fn set_password(&self, set: SetPassword) -> Result<UserChange, SubmitError> {
        self.write(Box::new(set)).await
    }

    /// Gives an account another phone number, or none.
    pub async fn set_phone(&self, user: UserId, phone: Option<String>) -> Result<UserChange, SubmitError> {
        self.write(Box::new(SetPhone { user, phone })).await
    }

    /// Stores whether a member wants to be called for a business; `NotThere` for somebody who is none.
    pub async fn set_alert_me(
        &self,
        business: BusinessId,
        user: UserId,
        alert_me: bool,
    ) -> Result<UserChange, SubmitError> {
        self.write(SetAlertMe { business, user, alert_me }).await
    }

    /// Lets an account be used for what its role is for; repeated, it changes nothing.
    pub async fn approve_user(&self, user: UserId) -> Result<UserChange, SubmitError> {
        self.write(ApproveUser { user }).await
    }

    /// Starts a login session; `NotThere` when there is no such account, or it is suspended.
    pub async fn open_session(&self, session: NewSession) -> Result<UserChange, SubmitError> {
        self.write(Box::new(session)).await
    }

    /// Exchanges a refresh token.
    pub async fn rotate_session(&self, rotate: RotateSession) -> Result<Rotation, SubmitError> {
        self.write(rotate).await
    }

    /// Ends a login session. The observer hears of it before this returns, so its tokens are refused by then.
    pub async fn end_session(&self, session: LoginSessionId) -> Result<Removal, SubmitError> {
        self.write(EndSession { session }).await
    }

    /// Stores when login sessions were last seen; gives back those that could not be stored now.
    pub async fn store_activity(&self, seen: Vec<SessionActivity>) -> Vec<SessionActivity> {
        // A login session's row is locked by its own lane only, so that lanes never wait for each other in a circle.
        let mut by_lane: BTreeMap<u64, Vec<SessionActivity>> = BTreeMap::new();
        for seen in seen {
            by_lane.entry(lane_of(seen.session) % self.lanes as u64).or_default().push(seen);
        }
        let mut left = Vec::new();
        for chunk in by_lane.values().flat_map(|of_lane| of_lane.chunks(ACTIVITY_A_COMMAND)) {
            // One wait for a store that is away is enough.
            if !left.is_empty() {
                left.extend_from_slice(chunk);
                continue;
            }
            match self.write(chunk.to_vec()).await {
                // It would be refused again.
                Ok(()) | Err(SubmitError::Refused | SubmitError::TooSlow) => {}
                Err(SubmitError::Overloaded | SubmitError::Unavailable | SubmitError::OutcomeUnknown) => {
                    left.extend_from_slice(chunk);
                }
            }
        }
        left
    }

    /// Uses up a ticket; `AlreadyThere` when it was used before.
    pub async fn redeem_ticket(&self, jti: String, expires_at: Timestamp) -> Result<Creation, SubmitError> {
        self.write(RedeemTicket { jti, expires_at }).await
    }

    /// Changes an item; `None` when there is no such.
    pub async fn update_item(
        &self,
        business: BusinessId,
        sku: String,
        patch: ItemPatch,
    ) -> Result<Option<MenuItem>, SubmitError> {
        self.write(UpdateItem { business, sku, patch }).await
    }

    /// Takes an item off a menu.
    pub async fn remove_item(&self, business: BusinessId, sku: String) -> Result<Removal, SubmitError> {
        self.write(RemoveItem { business, sku }).await
    }

    /// Makes somebody a member.
    pub async fn put_member(
        &self,
        business: BusinessId,
        user: UserId,
        role: MemberRole,
    ) -> Result<Result<(), MemberRefusal>, SubmitError> {
        self.write(PutMember { business, user, role }).await
    }

    /// Accepts or declines an invitation of this user.
    pub async fn answer_invitation(
        &self,
        invitation: InvitationId,
        user: UserId,
        answer: InvitationAnswer,
    ) -> Result<InvitationOutcome, SubmitError> {
        self.write(AnswerInvitation { invitation, user, answer }).await
    }

    /// Ends a membership. The observer hears of it before this returns, so its sockets are being closed by then.
    pub async fn remove_member(&self, business: BusinessId, user: UserId) -> Result<Removal, SubmitError> {
        self.write(RemoveMember { business, user }).await
    }

    /// Stores acknowledgements, in as many transactions as they need, between which others have their turn.
    pub async fn store_acks(&self, acks: Arc<[ScopedAck]>) -> Result<(), SubmitError> {
        for _ in 0..ACKS_TRANSACTIONS {
            match self.write(acks.clone()).await? {
                AcksProgress::Left => {}
                AcksProgress::Stored => return Ok(()),
            }
        }
        Err(SubmitError::TooSlow)
    }

    /// Stores that an event was shown or acted upon.
    pub async fn store_mark(&self, mark: DeviceMark) -> Result<(), SubmitError> {
        self.write(mark).await
    }

    /// Puts a room into `epoch` if it is still in the one seen: once, however many ask.
    pub async fn rotate_room(
        &self,
        room: RoomId,
        seen: Epoch,
        epoch: Epoch,
    ) -> Result<EpochChange, SubmitError> {
        self.write(RotateRoom { room, seen, epoch }).await
    }
}
