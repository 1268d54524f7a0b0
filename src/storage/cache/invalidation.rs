//! Invalidation: the versions that a commit, or one without an answer, bumps.

use crate::domain::control::ControlChange;
use crate::domain::event::EventType;
use crate::domain::ids::OrderId;
use crate::domain::room::RoomId;
use crate::protocol::event::RoomEvent;
use crate::storage::commands::{Change, Command, Outcome};

use super::CachedReads;
use super::entry::{CacheKey as _, OrderKey};
use super::versions::Input;

impl CachedReads {
    /// Bumps what these commands change if they happened, which is not known for now: it is not served until it was read
    /// again, however long that takes.
    pub fn commit_unknown(&self, commands: &[Command]) {
        let versions = &self.0.versions;
        for command in commands {
            command.write.each_change(&mut |change| match change {
                Change::NewOrder { business, customer } => {
                    versions.bump(&[Input::OrdersAt(business), Input::OrdersBy(customer), Input::Orders]);
                }
                Change::Order(id) => self.order_changed(id),
                Change::Business(_) | Change::Menu(_) | Change::Memberships(_) | Change::LoginSession(_) => {
                    self.changed(change);
                }
            });
        }
    }

    /// Bumps what a commit changed; called before its callers are answered.
    pub fn committed(&self, commands: &[Command], outcomes: &[Outcome]) {
        for (command, outcome) in commands.iter().zip(outcomes) {
            let order = outcome.order();
            command.write.each_change(&mut |change| match change {
                // Money changes an order without giving it back.
                Change::Order(id) if order.is_none() => self.order_changed(id),
                change => self.changed(change),
            });
            // By the outcome, whatever command it was that changed an order.
            let Some(order) = order else { continue };
            self.0.versions.bump(&[
                Input::Order(order.id),
                Input::OrdersAt(order.business_id),
                Input::OrdersBy(order.customer_id),
                Input::Orders,
            ]);
        }
    }

    /// Bumps an order and the lists that it is in, as far as they are known.
    fn order_changed(&self, id: OrderId) {
        let versions = &self.0.versions;
        let entry = self.0.entries.as_ref().and_then(|entries| entries.get(&OrderKey(id).key()));
        versions.bump(&[Input::Order(id), Input::Orders]);
        match entry.and_then(|entry| OrderKey::unpack(entry.value)) {
            Some(order) => {
                versions.bump(&[Input::OrdersAt(order.business_id), Input::OrdersBy(order.customer_id)]);
            }
            None => versions.bump(&[Input::OrdersOfSomebody]),
        }
    }

    /// Bumps what a change concerns, whichever node made it: it is read again before it is served.
    pub fn changed_anywhere(&self, change: ControlChange) {
        match change {
            // Accounts and login sessions are not cached.
            ControlChange::SessionEnded(_) | ControlChange::AccountChanged(_) => {}
            ControlChange::MembershipsChanged(user) => self.changed(Change::Memberships(user)),
            ControlChange::DriverLeft { order, .. } => self.order_changed(order),
            ControlChange::BusinessChanged(business) => self.changed(Change::Business(business)),
            ControlChange::MenuChanged(business) => self.changed(Change::Menu(business)),
        }
    }

    /// Bumps everything: changes of other nodes may have been missed.
    pub fn forget_all(&self) {
        self.0.versions.bump_all();
    }

    /// Bumps the business or the order of an event that says that its state or its delivery has changed, whatever write or node changed it.
    pub fn told(&self, event: &RoomEvent) {
        if let RoomId::Business(business) = event.room
            && event.kind == EventType::BusinessUpdated
        {
            self.0.versions.bump(&[Input::Business(business)]);
        }
        // It may have lost its offers by a write for another order, or by another node.
        if let RoomId::Order(order) = event.room
            && event.kind == EventType::DeliveryUpdated
        {
            self.order_changed(order);
        }
    }

    fn changed(&self, change: Change) {
        let versions = &self.0.versions;
        match change {
            // The lists an order is in are known from the order itself, in the outcome; login sessions are not cached.
            Change::NewOrder { .. } | Change::Order(_) | Change::LoginSession(_) => {}
            Change::Business(business) => versions.bump(&[Input::Business(business)]),
            Change::Menu(business) => versions.bump(&[Input::Menu(business)]),
            Change::Memberships(user) => versions.bump(&[Input::Memberships(user)]),
        }
    }
}
