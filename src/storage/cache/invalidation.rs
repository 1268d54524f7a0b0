//! What a commit, or one without an answer, takes out of memory.

use crate::domain::ids::UserId;
use crate::storage::command::{Action, Command, Outcome, PlaceOutcome};

use super::marks::Subject;
use super::{CachedReads, Key, Value};

impl CachedReads {
    /// Hears that nobody knows for now whether these commands happened. What they would change is not given out until
    /// it was read again, however long that takes.
    pub fn uncertain(&self, commands: &[Command]) {
        for command in commands {
            self.changed_by(&command.action);
            let marks = &self.0.marks;
            match &command.action {
                Action::PlaceOrder(order) => marks.move_on(&[
                    Subject::OrdersAt(order.draft.business_id),
                    Subject::OrdersBy(order.draft.customer_id),
                    Subject::Orders,
                ]),
                Action::MoveOrder(wanted) => {
                    let id = wanted.order;
                    let kept = self.0.entries.as_ref().and_then(|entries| entries.get(&Key::Order(id)));
                    marks.move_on(&[Subject::Order(id), Subject::Orders]);
                    match kept.map(|entry| entry.value) {
                        Some(Value::Order(order)) => {
                            marks.move_on(&[
                                Subject::OrdersAt(order.business_id),
                                Subject::OrdersBy(order.customer_id),
                            ]);
                        }
                        _ => marks.move_on(&[Subject::OrdersOfSomebody]),
                    }
                }
                _ => {}
            }
        }
    }

    /// Hears of a commit before its callers do.
    pub fn committed(&self, commands: &[Command], outcomes: &[Outcome]) {
        for (command, outcome) in commands.iter().zip(outcomes) {
            self.changed_by(&command.action);
            // By the outcome, whatever command it was that changed an order.
            let order = match outcome {
                Outcome::Placed(PlaceOutcome::Placed(order)) => order,
                Outcome::Moved(Ok(order)) => order,
                _ => continue,
            };
            self.0.marks.move_on(&[
                Subject::Order(order.id),
                Subject::OrdersAt(order.business_id),
                Subject::OrdersBy(order.customer_id),
                Subject::Orders,
            ]);
        }
    }

    /// Memberships of a user were changed by another node: they are read again before they are given out.
    pub fn memberships_changed(&self, user: UserId) {
        self.0.marks.move_on(&[Subject::Memberships(user)]);
    }

    /// What a command changes besides orders.
    fn changed_by(&self, action: &Action) {
        let marks = &self.0.marks;
        match action.unkeyed() {
            Action::CreateBusiness { owner, .. } => marks.move_on(&[Subject::Memberships(*owner)]),
            Action::UpdateBusiness { business, .. } => marks.move_on(&[Subject::Business(*business)]),
            Action::AddItem { business, .. }
            | Action::UpdateItem { business, .. }
            | Action::RemoveItem { business, .. } => marks.move_on(&[Subject::Menu(*business)]),
            Action::PutMember { user, .. }
            | Action::RemoveMember { user, .. }
            | Action::AnswerInvitation { user, .. } => {
                marks.move_on(&[Subject::Memberships(*user)]);
            }
            _ => {}
        }
    }
}
