//! Invalidation: the versions that a commit, or one without an answer, bumps.

use crate::storage::command::{Action, Command, Outcome, PlaceOutcome};

use super::CachedReads;
use super::entry::{CacheKey as _, OrderKey};
use super::versions::Input;

impl CachedReads {
    /// Bumps what these commands change if they happened, which is not known for now: it is not served until it was read
    /// again, however long that takes.
    pub fn commit_unknown(&self, commands: &[Command]) {
        for command in commands {
            self.changed_by(&command.action);
            let versions = &self.0.versions;
            match &command.action {
                Action::PlaceOrder(order) => versions.bump(&[
                    Input::OrdersAt(order.draft.business_id),
                    Input::OrdersBy(order.draft.customer_id),
                    Input::Orders,
                ]),
                Action::MoveOrder(wanted) => {
                    let id = wanted.order;
                    let entry = self.0.entries.as_ref().and_then(|entries| entries.get(&OrderKey(id).key()));
                    versions.bump(&[Input::Order(id), Input::Orders]);
                    match entry.and_then(|entry| OrderKey::unpack(entry.value)) {
                        Some(order) => {
                            versions.bump(&[
                                Input::OrdersAt(order.business_id),
                                Input::OrdersBy(order.customer_id),
                            ]);
                        }
                        None => versions.bump(&[Input::OrdersOfSomebody]),
                    }
                }
                _ => {}
            }
        }
    }

    /// Bumps what a commit changed; called before its callers are answered.
    pub fn committed(&self, commands: &[Command], outcomes: &[Outcome]) {
        for (command, outcome) in commands.iter().zip(outcomes) {
            self.changed_by(&command.action);
            // By the outcome, whatever command it was that changed an order.
            let order = match outcome {
                Outcome::Placed(PlaceOutcome::Placed(order)) => order,
                Outcome::Moved(Ok(order)) => order,
                _ => continue,
            };
            self.0.versions.bump(&[
                Input::Order(order.id),
                Input::OrdersAt(order.business_id),
                Input::OrdersBy(order.customer_id),
                Input::Orders,
            ]);
        }
    }

    /// Bumps what a command changes besides orders.
    fn changed_by(&self, action: &Action) {
        let versions = &self.0.versions;
        match action.unkeyed() {
            Action::CreateBusiness { owner, .. } => versions.bump(&[Input::Memberships(*owner)]),
            Action::UpdateBusiness { business, .. } => versions.bump(&[Input::Business(*business)]),
            Action::AddItem { business, .. }
            | Action::UpdateItem { business, .. }
            | Action::RemoveItem { business, .. } => versions.bump(&[Input::Menu(*business)]),
            Action::PutMember { user, .. }
            | Action::RemoveMember { user, .. }
            | Action::AnswerInvitation { user, .. } => {
                versions.bump(&[Input::Memberships(*user)]);
            }
            _ => {}
        }
    }
}
