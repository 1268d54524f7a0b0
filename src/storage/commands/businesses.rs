//! Businesses, their menus, members and notifications.

use crate::domain::access::MemberRole;
use crate::domain::business::{Business, BusinessContact, BusinessState, Location, MenuItem, Timezone};
use crate::domain::delivery::DeliveredBy;
use crate::domain::ids::{BusinessId, NotificationId, UserId};
use crate::domain::money::Currency;

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
    pub state: Option<BusinessState>,
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
