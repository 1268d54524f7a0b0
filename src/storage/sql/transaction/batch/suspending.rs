//! Accounts that operators close: those of drivers have deliveries and offers.

use crate::domain::control::ControlChange;
use crate::domain::time::Timestamp;
use crate::storage::commands::{LookAgain, Outcome, SuspendUser};
use crate::storage::sql::errors::TxError;

use super::super::answer::Answer;
use super::super::suspensions;
use super::Transaction;

impl Transaction<'_> {
    /// Suspends an account. Open offers of a driver are withdrawn; the orders they carry look for another one at once, but for food under
    /// way, of which operators are told.
    pub(super) async fn suspend_user(&mut self, wish: SuspendUser, at: Timestamp) -> Result<Answer, TxError> {
        let SuspendUser { user, by } = wish;
        let ended = suspensions::suspend(self.connection, user, self.now, at).await?;
        if let Some(ended) = &ended {
            self.control.push(ControlChange::AccountChanged(user));
            self.control.extend(ended.iter().copied().map(ControlChange::SessionEnded));
            self.audits.push(suspensions::entry(by, "user.suspended", user));
            if let Some(driver) = self.deliveries.driver_mut(user) {
                driver.suspend(self.now);
                self.withdraw_offers_of(user);
                for (order, business) in self.deliveries.carried_by(self.connection, user).await? {
                    self.look_again.push(LookAgain { order, business });
                }
            }
        }
        Ok(Outcome::SessionsEnded(ended).into())
    }
}
