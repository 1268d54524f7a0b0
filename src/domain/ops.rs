//! What operators are told, and how changes of businesses are announced to them and to the businesses.

use super::business::{Business, BusinessEvent};
use super::event::{Announcement, EventPayload, OpsNotification, PendingEvent, Priority};
use super::ids::{BusinessId, EventId, NotificationId};
use super::json::JsonObject;
use super::room::RoomId;
use super::saga::OpsAlarm;
use super::time::Timestamp;

/// The ids of the two events of one change.
#[derive(Clone, Copy, Debug)]
pub struct ChangeIds {
    /// Of the event in the room of the business.
    pub in_business: EventId,
    /// Of the event in the room of the operators.
    pub in_ops: EventId,
}

/// A change of whether a business takes orders, for its room and the one of the operators.
pub fn business_updated(business: &Business, ids: ChangeIds, now: Timestamp) -> Announcement {
    let mut told = business_updated_for_members(business, ids.in_business, now);
    let in_ops = PendingEvent { id: ids.in_ops, room: RoomId::Ops, ..told.events[0].clone() };
    told.events.push(in_ops);
    told
}

/// A change of the state, the pauses or the mute of a business that is nothing for operators, for its room alone.
pub fn business_updated_for_members(business: &Business, id: EventId, now: Timestamp) -> Announcement {
    let payload = EventPayload::BusinessUpdated(Box::new(BusinessEvent::of(business, now)));
    let room = RoomId::Business(business.id);
    let event = PendingEvent { id, room, at: now, payload, order: None };
    Announcement { notification: None, events: vec![event] }
}

/// Something that operators are told.
#[derive(Clone, Debug, PartialEq)]
pub struct Alarm {
    /// The type of the notification.
    pub kind: OpsAlarm,
    /// The business it is about, if it is about one.
    pub business: Option<BusinessId>,
    /// One line of text.
    pub title: String,
    /// What it means and what can be done.
    pub message: String,
    /// More for programs.
    pub data: JsonObject,
}

impl Alarm {
    /// The event of the alarm in the room of the operators.
    pub fn announce(self, id: EventId, notification: NotificationId, now: Timestamp) -> Announcement {
        let told = OpsNotification {
            id: notification,
            business_id: self.business,
            kind: self.kind.as_str().to_owned(),
            title: self.title,
            message: self.message,
            data: self.data,
            priority: Priority::High,
            created_at: now,
        };
        let payload = EventPayload::OpsNotification(Box::new(told));
        let event = PendingEvent { id, room: RoomId::Ops, at: now, payload, order: None };
        Announcement { notification: None, events: vec![event] }
    }
}
