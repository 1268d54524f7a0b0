//! Businesses, their menus, members and notifications.

use crate::domain::access::MemberRole;
use crate::domain::business::{
    Accepts, Business, BusinessContact, Hand, Location, MenuItem, PauseCause, Reach, Timezone, TradingChange,
};
use crate::domain::delivery::DeliveredBy;
use crate::domain::ids::{BusinessId, NotificationId, UserId};
use crate::domain::money::Currency;
use crate::domain::time::Timestamp;

/// Changes to a business; `None` leaves a field as it is.
#[derive(Clone, Debug, Default)]
pub struct BusinessPatch {
    /// Name shown to customers.
    pub name: Option<String>,
    /// Place at which drivers pick up.
    pub location: Option<Location>,
    /// The delivery zone.
    pub zone: Option<String>,
    /// Decides when its day begins.
    pub timezone: Option<Timezone>,
    /// The currency of every price; only while there are no prices and no orders.
    pub currency: Option<Currency>,
    /// Minutes an order takes.
    pub prep_minutes: Option<u16>,
    /// Number of tables.
    pub tables: Option<u16>,
    /// Party that delivers its orders.
    pub delivered_by: Option<DeliveredBy>,
    /// Contact; replaced as a whole.
    pub contact: Option<BusinessContact>,
    /// Whether it takes orders.
    pub trading: Option<TradingChange>,
    /// The pause that ends.
    pub ended_pause: Option<PauseCause>,
    /// Until when calls and mail are silent; `Some(None)` ends that.
    pub muted_until: Option<Option<Timestamp>>,
    /// Its own times of alerts; replaced as a whole.
    pub alert_times: Option<AlertTimes>,
    /// Whether its orders are accepted after the first acknowledgement.
    pub auto_accept: Option<bool>,
    /// The evidence that it is reachable.
    pub reach: Option<Reach>,
    /// The kinds of orders it takes; replaced as a whole.
    pub accepts: Option<Accepts>,
}

/// The times of alerts of a business that are not the hub's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AlertTimes {
    /// Its own time to answer an order, seconds.
    pub accept_s: Option<u16>,
    /// Its own pause between rings, seconds.
    pub ring_every_s: Option<u16>,
}

impl BusinessPatch {
    /// Changes what of a business decides whether and how it takes orders.
    pub fn apply_terms(&self, business: &mut Business, hand: Hand, now: Timestamp) {
        let before = business.clone();
        business.settle_pauses(now);
        if let Some(change) = self.trading {
            business.trade(change, hand, now);
        }
        if let Some(cause) = self.ended_pause {
            business.end_pause(cause, now);
        }
        let alerts = &mut business.alerts;
        if let Some(muted_until) = self.muted_until {
            alerts.muted_until = muted_until;
        }
        if let Some(AlertTimes { accept_s, ring_every_s }) = self.alert_times {
            (alerts.accept_s, alerts.ring_every_s) = (accept_s, ring_every_s);
        }
        alerts.auto_accept = self.auto_accept.unwrap_or(alerts.auto_accept);
        alerts.reach = self.reach.unwrap_or(alerts.reach);
        if let Some(accepts) = &self.accepts {
            business.accepts = accepts.clone();
        }
        business.note_opening(&before, now);
    }
}

/// Changes to an item; `None` leaves a field as it is.
#[derive(Clone, Debug, Default)]
pub struct ItemPatch {
    /// Name shown to customers.
    pub name: Option<String>,
    /// Category on the menu; `Some(None)` removes the item from its category.
    pub category: Option<Option<String>>,
    /// Price of one, in minor units.
    pub price_minor: Option<i64>,
    /// Whether it can be ordered now.
    pub available: Option<bool>,
}

/// Makes a business; the user becomes its owner.
#[derive(Clone, Debug)]
pub struct CreateBusiness {
    /// The business as it is stored.
    pub business: Box<Business>,
    /// Its first owner.
    pub owner: UserId,
}

/// Changes fields of a business.
#[derive(Clone, Debug)]
pub struct UpdateBusiness {
    /// The business.
    pub business: BusinessId,
    /// The user who changes it.
    pub user: UserId,
    /// The capacity in which they do.
    pub hand: Hand,
    /// Only fields that are given change.
    pub patch: Box<BusinessPatch>,
}

/// Puts a new item on the menu.
#[derive(Clone, Debug)]
pub struct AddItem {
    /// The business of the menu.
    pub business: BusinessId,
    /// The item.
    pub item: MenuItem,
}

/// Changes fields of an item.
#[derive(Clone, Debug)]
pub struct UpdateItem {
    /// The business of the menu.
    pub business: BusinessId,
    /// The item.
    pub sku: String,
    /// Only fields that are given change.
    pub patch: ItemPatch,
}

/// Takes an item off the menu; orders keep their copy.
#[derive(Clone, Debug)]
pub struct RemoveItem {
    /// The business of the menu.
    pub business: BusinessId,
    /// The item.
    pub sku: String,
}

/// Makes somebody a member, or changes what they may do.
#[derive(Clone, Copy, Debug)]
pub struct PutMember {
    /// The business.
    pub business: BusinessId,
    /// The member.
    pub user: UserId,
    /// Decides which changes the member may make.
    pub role: MemberRole,
}

/// Stores whether a member wants to be called when the contact of the business does not answer.
#[derive(Clone, Copy, Debug)]
pub struct SetAlertMe {
    /// The business.
    pub business: BusinessId,
    /// The member.
    pub user: UserId,
    /// Whether they do.
    pub alert_me: bool,
}

/// Ends a membership.
#[derive(Clone, Copy, Debug)]
pub struct RemoveMember {
    /// The business.
    pub business: BusinessId,
    /// The member.
    pub user: UserId,
}

/// Stores that somebody has read a notification; the first time counts.
#[derive(Clone, Copy, Debug)]
pub struct ReadNotification {
    /// The business.
    pub business: BusinessId,
    /// One of its notifications.
    pub notification: NotificationId,
    /// The reader.
    pub user: UserId,
}
