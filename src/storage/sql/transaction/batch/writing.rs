//! Writing everything that the commands of a batch came to, rows in the order of their locks.

use crate::storage::sql::errors::TxError;

use super::super::events::{self, Emitted};
use super::super::idempotency::Responses;
use super::super::{audit, device_acks, devices, intents};
use super::Transaction;
use super::written::Written;

impl<'a> Transaction<'a> {
    pub(super) async fn write(
        &mut self,
        emitted: &Emitted,
        responses: &Responses,
    ) -> Result<Written<'a>, TxError> {
        self.catalog.write(self.connection).await?;
        self.orders.write(self.connection, self.cipher).await?;
        self.sagas.write(self.connection, self.now).await?;
        let (orders, now) = (&self.orders, self.now);
        let money_due = self.moneys.write(self.connection, |id| orders.get(id), now).await?;
        let drivers = self.deliveries.write(self.connection, self.cipher, now).await?;
        let intents = intents::write(self.connection, &self.intents).await?;
        audit::record(self.connection, self.audits.drain(..), now).await?;
        let taken = self.inbox.write(self.connection, self.cipher, now).await?;
        events::write_notifications(self.connection, &emitted.notifications).await?;
        self.keys.finish(self.connection, self.cipher, responses).await?;
        let acks = self.acks.iter().map(|received| &received.ack);
        devices::seen(self.connection, acks.map(|ack| (ack.user, ack.device.as_str(), ack.at))).await?;
        let left = device_acks::store(self.connection, &self.acks, &mut self.sagas, self.now).await?;
        let money_due = money_due || !taken.is_empty();
        Ok(Written { left, intents, money_due, taken, drivers })
    }
}
