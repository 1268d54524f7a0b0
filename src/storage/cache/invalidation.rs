//! What a commit, or one without an answer, takes out of memory.

use crate::storage::command::{Change, Command, Outcome};

use super::marks::Subject;
use super::{CachedReads, Key, Value};

impl CachedReads {
    /// Hears that nobody knows for now whether these commands happened. What they would change is not given out until
    /// it was read again, however long that takes.
    pub fn uncertain(&self, commands: &[Command]) {
        let marks = &self.0.marks;
        for command in commands {
            command.action.each_change(&mut |change| match change {
                Change::NewOrder { business, customer } => {
                    marks.move_on(&[
                        Subject::OrdersAt(business),
                        Subject::OrdersBy(customer),
                        Subject::Orders,
                    ]);
                }
                Change::Order(id) => {
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
                Change::Business(_) | Change::Menu(_) | Change::Memberships(_) | Change::LoginSession(_) => {
                    self.changed(change);
                }
            });
        }
    }

    /// Hears of a commit before its callers do.
    pub fn committed(&self, commands: &[Command], outcomes: &[Outcome]) {
        for (command, outcome) in commands.iter().zip(outcomes) {
            command.action.each_change(&mut |change| self.changed(change));
            // By the outcome, whatever command it was that changed an order.
            let Some(order) = outcome.order() else { continue };
            self.0.marks.move_on(&[
                Subject::Order(order.id),
                Subject::OrdersAt(order.business_id),
                Subject::OrdersBy(order.customer_id),
                Subject::Orders,
            ]);
        }
    }

    fn changed(&self, change: Change) {
        let marks = &self.0.marks;
        match change {
            // The lists an order is in are known from the order itself, in the outcome; login sessions are not cached.
            Change::NewOrder { .. } | Change::Order(_) | Change::LoginSession(_) => {}
            Change::Business(business) => marks.move_on(&[Subject::Business(business)]),
            Change::Menu(business) => marks.move_on(&[Subject::Menu(business)]),
            Change::Memberships(user) => marks.move_on(&[Subject::Memberships(user)]),
        }
    }
}
