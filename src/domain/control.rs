//! What every node has to hear of: the events of [`RoomId::Control`](super::room::RoomId::Control), a room that no client can be in.

use serde::{Deserialize, Serialize};

use super::ids::{BusinessId, EventId, LoginSessionId, OrderId, UserId};
use super::string_enum::string_enum;
use super::time::Timestamp;

string_enum! {
    /// The types of events of the control room. A node leaves one that it does not know alone.
    pub enum ControlKind {
        /// A login session has ended.
        SessionEnded = "session_ended",
        /// The businesses somebody works for have changed.
        MembershipsChanged = "memberships_changed",
        /// What an account may do has changed.
        AccountChanged = "account_changed",
        /// A driver has an order no more.
        DriverLeft = "driver_left",
        /// A business has changed, without its menu.
        BusinessChanged = "business_changed",
        /// The menu of a business has changed.
        MenuChanged = "menu_changed",
    }
}

/// A change that every node acts on. Each only makes a node look at what the store says: acting on one twice, or late, changes
/// nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ControlChange {
    /// The tokens of a login session are refused, and its sockets close (4001).
    SessionEnded(LoginSessionId),
    /// Memberships of a user are read again, and sockets leave the rooms that are lost (4003).
    MembershipsChanged(UserId),
    /// An account was approved, suspended or restored: its sockets leave the rooms that are lost (4003).
    AccountChanged(UserId),
    /// The sockets of this driver leave the room of this order (4003).
    DriverLeft {
        /// The order whose room they leave.
        order: OrderId,
        /// The account of the driver.
        driver: UserId,
    },
    /// A business is read again.
    BusinessChanged(BusinessId),
    /// A menu is read again.
    MenuChanged(BusinessId),
}

/// A change and the time of its commit: not numbered yet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ControlEvent {
    /// An id that begins with `evt_`.
    pub id: EventId,
    /// When it happened.
    pub at: Timestamp,
    /// What has happened.
    pub change: ControlChange,
}

/// The data of an event of the control room: the ids that its type needs. Fields of a newer release are passed over.
#[derive(Default, Serialize, Deserialize)]
struct ControlData {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session: Option<LoginSessionId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<UserId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    business: Option<BusinessId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    order: Option<OrderId>,
}

impl ControlChange {
    /// The type of its event.
    pub const fn kind(self) -> ControlKind {
        match self {
            Self::SessionEnded(_) => ControlKind::SessionEnded,
            Self::MembershipsChanged(_) => ControlKind::MembershipsChanged,
            Self::AccountChanged(_) => ControlKind::AccountChanged,
            Self::DriverLeft { .. } => ControlKind::DriverLeft,
            Self::BusinessChanged(_) => ControlKind::BusinessChanged,
            Self::MenuChanged(_) => ControlKind::MenuChanged,
        }
    }

    /// The data of its event as JSON.
    pub fn to_json(self) -> String {
        let none = ControlData::default();
        let data = match self {
            Self::SessionEnded(session) => ControlData { session: Some(session), ..none },
            Self::MembershipsChanged(user) | Self::AccountChanged(user) => {
                ControlData { user: Some(user), ..none }
            }
            Self::DriverLeft { order, driver } => {
                ControlData { order: Some(order), user: Some(driver), ..none }
            }
            Self::BusinessChanged(business) | Self::MenuChanged(business) => {
                ControlData { business: Some(business), ..none }
            }
        };
        serde_json::to_string(&data).expect("ids are texts")
    }

    /// The change of an event of this type with this data; `None` for one of another release.
    pub fn read(kind: &str, json: &str) -> Option<Self> {
        let kind: ControlKind = kind.parse().ok()?;
        let data: ControlData = serde_json::from_str(json).ok()?;
        match kind {
            ControlKind::SessionEnded => data.session.map(Self::SessionEnded),
            ControlKind::MembershipsChanged => data.user.map(Self::MembershipsChanged),
            ControlKind::AccountChanged => data.user.map(Self::AccountChanged),
            ControlKind::DriverLeft => Some(Self::DriverLeft { order: data.order?, driver: data.user? }),
            ControlKind::BusinessChanged => data.business.map(Self::BusinessChanged),
            ControlKind::MenuChanged => data.business.map(Self::MenuChanged),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_reads_back_and_what_another_release_says_is_left_alone() {
        let (user, business) = (UserId::generate(), BusinessId::generate());
        let changes = [
            ControlChange::SessionEnded(LoginSessionId::generate()),
            ControlChange::MembershipsChanged(user),
            ControlChange::AccountChanged(user),
            ControlChange::DriverLeft { order: OrderId::generate(), driver: user },
            ControlChange::BusinessChanged(business),
            ControlChange::MenuChanged(business),
        ];
        assert_eq!(changes.map(ControlChange::kind), ControlKind::ALL, "each of them once");
        for change in changes {
            let (kind, json) = (change.kind().as_str(), change.to_json());
            assert_eq!(ControlChange::read(kind, &json), Some(change), "{json}");
            let newer = format!("{},\"since\":[1]}}", json.trim_end_matches('}'));
            assert_eq!(ControlChange::read(kind, &newer), Some(change), "{newer}");
            assert_eq!(ControlChange::read("shop_moved", &json), None);
            for bad in ["{}", "[]", "", "{\"session\":1,\"user\":\"biz_1\",\"business\":\"x\"}"] {
                assert_eq!(ControlChange::read(kind, bad), None, "{kind} {bad}");
            }
        }
    }
}
