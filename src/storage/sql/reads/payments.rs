//! Payments, refunds, messages of the provider, and dead letters: what is due by the indexes of their times.

use async_trait::async_trait;
use sqlx_macros::FromRow;

use crate::domain::ids::{DeadLetterId, OrderId, RefundId};
use crate::domain::money::Currency;
use crate::domain::payment::{OrderMoney, RefundState};
use crate::domain::private::Private;
use crate::domain::time::Timestamp;
use crate::storage::crypto::cipher::{Aad, Cipher};
use crate::storage::error::StoreError;
use crate::storage::ports::{DeadLetter, DueMessage, DueRefund, ListedRefund, PaymentReads, PaymentToAsk};
use crate::storage::sql::rows::{
    AFTER_ALL, PaymentRow, RefundRow, corrupt, number, open, parse, report_unreadable,
};
use crate::storage::sql::statement::Arg;
use crate::storage::sql::store::SqlStore;

mod statements;

#[cfg(test)]
pub(super) use statements::STATEMENTS;
use statements::{
    DEAD_LETTER, DEAD_LETTERS, DUE_MESSAGES, DUE_REFUNDS, LATE_REFUNDS, OPEN_DEAD_LETTERS, PAYMENTS_OF,
    REFUND, REFUNDS_IN_STATE, REFUNDS_NOT_DONE, REFUNDS_OF, TO_ASK, WAITING_MESSAGES,
};

#[derive(FromRow)]
struct MessageRow {
    id: String,
    body: String,
    attempts: i64,
    due_at: i64,
    order_id: Option<String>,
    business_id: Option<String>,
}

impl MessageRow {
    fn into_message(self, cipher: &Cipher) -> Result<DueMessage, StoreError> {
        let payment = match (self.order_id, self.business_id) {
            (Some(order), Some(business)) => {
                Some((parse("payments.order_id", &order)?, parse("payments.business_id", &business)?))
            }
            _ => None,
        };
        Ok(DueMessage {
            body: opened(&self.id, &self.body, cipher)?,
            id: parse("payment_messages.id", &self.id)?,
            attempts: number("payment_messages.attempts", self.attempts)?,
            payment,
            due_at: Timestamp::from_micros(self.due_at),
        })
    }
}

fn opened(id: &str, body: &str, cipher: &Cipher) -> Result<Private<String>, StoreError> {
    open(cipher, Aad { table: "payment_messages", column: "body", row: id }, body).map(Private)
}

#[derive(FromRow)]
struct ToAskRow {
    id: String,
    order_id: String,
    business_id: String,
    ask_at: i64,
    updated_at: i64,
}

#[derive(FromRow)]
struct DueRefundRow {
    id: String,
    order_id: String,
    business_id: String,
    zone: String,
    attempt: i64,
    due_at: i64,
}

impl DueRefundRow {
    fn into_refund(self) -> Result<DueRefund, StoreError> {
        Ok(DueRefund {
            refund: parse("refunds.id", &self.id)?,
            order: parse("refunds.order_id", &self.order_id)?,
            business: parse("refunds.business_id", &self.business_id)?,
            zone: self.zone,
            attempt: number("refunds.attempt", self.attempt)?,
            due_at: Timestamp::from_micros(self.due_at),
        })
    }
}

#[derive(FromRow)]
struct ListedRow {
    #[sqlx(flatten)]
    refund: RefundRow,
    currency: String,
    paid_by: String,
}

impl ListedRow {
    fn into_refund(self) -> Result<ListedRefund, StoreError> {
        Ok(ListedRefund {
            business: parse("refunds.business_id", &self.refund.business_id)?,
            currency: Currency::stored(&self.currency).map_err(|_| corrupt("payments.currency"))?,
            paid_by: parse("payments.way", &self.paid_by)?,
            refund: self.refund.into_refund()?,
        })
    }
}

#[derive(FromRow)]
struct LetterRow {
    id: String,
    kind: String,
    source: String,
    reason: String,
    order_id: Option<String>,
    payment_id: Option<String>,
    state: String,
    replays: i64,
    created_at: i64,
    updated_at: i64,
}

impl LetterRow {
    fn into_letter(self) -> Result<DeadLetter, StoreError> {
        Ok(DeadLetter {
            id: parse("dead_letters.id", &self.id)?,
            kind: self.kind,
            source: self.source,
            reason: parse("dead_letters.reason", &self.reason)?,
            order: self.order_id.map(|id| parse("dead_letters.order_id", &id)).transpose()?,
            payment: self.payment_id.map(|id| parse("dead_letters.payment_id", &id)).transpose()?,
            state: parse("dead_letters.state", &self.state)?,
            replays: number("dead_letters.replays", self.replays)?,
            body: None,
            created_at: Timestamp::from_micros(self.created_at),
            updated_at: Timestamp::from_micros(self.updated_at),
        })
    }
}

#[derive(FromRow)]
struct WholeLetterRow {
    #[sqlx(flatten)]
    letter: LetterRow,
    body: Option<String>,
}

#[derive(FromRow)]
struct CountRow {
    open: i64,
}

#[async_trait]
impl PaymentReads for SqlStore {
    async fn money_of(&self, order: OrderId) -> Result<OrderMoney, StoreError> {
        let args = [Arg::text(order)];
        // Refunds last: one whose payment was not there yet when payments were read belongs to nothing.
        let payments: Vec<PaymentRow> = self.fetch(&PAYMENTS_OF, &args).await?;
        let refunds: Vec<RefundRow> = self.fetch(&REFUNDS_OF, &args).await?;
        let payments = payments.into_iter().map(PaymentRow::into_payment).collect::<Result<_, _>>()?;
        let refunds = refunds.into_iter().map(RefundRow::into_refund).collect::<Result<_, _>>()?;
        Ok(OrderMoney::new(payments, refunds))
    }

    async fn due_messages(&self, before: Timestamp, limit: u32) -> Result<Vec<DueMessage>, StoreError> {
        let args = [Arg::Int(before.as_micros()), Arg::Int(limit.into())];
        let rows: Vec<MessageRow> = self.fetch(&DUE_MESSAGES, &args).await?;
        let mut messages = Vec::with_capacity(rows.len());
        for row in rows {
            let id = row.id.clone();
            // One that cannot be opened costs itself: its key may come back.
            match row.into_message(&self.cipher) {
                Ok(message) => messages.push(message),
                Err(error) => report_unreadable(&self.metrics, "payment_messages", &id, &error),
            }
        }
        Ok(messages)
    }

    async fn payments_to_ask(&self, before: Timestamp, limit: u32) -> Result<Vec<PaymentToAsk>, StoreError> {
        let args = [Arg::Int(before.as_micros()), Arg::Int(limit.into())];
        let rows: Vec<ToAskRow> = self.fetch(&TO_ASK, &args).await?;
        let to_ask = |row: ToAskRow| {
            Ok(PaymentToAsk {
                payment: parse("payments.id", &row.id)?,
                order: parse("payments.order_id", &row.order_id)?,
                business: parse("payments.business_id", &row.business_id)?,
                ask_at: Timestamp::from_micros(row.ask_at),
                begun_at: Timestamp::from_micros(row.updated_at),
            })
        };
        rows.into_iter().map(to_ask).collect()
    }

    async fn due_refunds(&self, before: Timestamp, limit: u32) -> Result<Vec<DueRefund>, StoreError> {
        let args = [Arg::Int(before.as_micros()), Arg::Int(limit.into())];
        let rows: Vec<DueRefundRow> = self.fetch(&DUE_REFUNDS, &args).await?;
        rows.into_iter().map(DueRefundRow::into_refund).collect()
    }

    async fn late_refunds(&self, before: Timestamp, limit: u32) -> Result<Vec<DueRefund>, StoreError> {
        let args = [Arg::Int(before.as_micros()), Arg::Int(limit.into())];
        let rows: Vec<DueRefundRow> = self.fetch(&LATE_REFUNDS, &args).await?;
        rows.into_iter().map(DueRefundRow::into_refund).collect()
    }

    async fn refund(&self, id: RefundId) -> Result<Option<ListedRefund>, StoreError> {
        let row: Option<ListedRow> = self.fetch_first(&REFUND, &[Arg::text(id)]).await?;
        row.map(ListedRow::into_refund).transpose()
    }

    async fn refunds(
        &self,
        state: Option<RefundState>,
        after: Option<RefundId>,
        limit: u32,
    ) -> Result<Vec<ListedRefund>, StoreError> {
        let after = after.map_or(AFTER_ALL.to_owned(), |id| id.to_string());
        let mut args = vec![Arg::Text(after), Arg::Int(limit.into())];
        let rows: Vec<ListedRow> = match state {
            Some(state) => {
                args.push(Arg::text(state));
                self.fetch(&REFUNDS_IN_STATE, &args).await?
            }
            None => self.fetch(&REFUNDS_NOT_DONE, &args).await?,
        };
        rows.into_iter().map(ListedRow::into_refund).collect()
    }

    async fn dead_letters(
        &self,
        kind: Option<&str>,
        after: Option<DeadLetterId>,
        limit: u32,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        let after = after.map_or(AFTER_ALL.to_owned(), |id| id.to_string());
        let args = [Arg::Text(after), Arg::Int(limit.into()), Arg::text(kind.unwrap_or_default())];
        let rows: Vec<LetterRow> = self.fetch(&DEAD_LETTERS, &args).await?;
        rows.into_iter().map(LetterRow::into_letter).collect()
    }

    async fn dead_letter(&self, id: DeadLetterId) -> Result<Option<DeadLetter>, StoreError> {
        let row: Option<WholeLetterRow> = self.fetch_first(&DEAD_LETTER, &[Arg::text(id)]).await?;
        let Some(WholeLetterRow { letter, body }) = row else { return Ok(None) };
        let body = body.map(|body| opened(&letter.source, &body, &self.cipher)).transpose()?;
        Ok(Some(DeadLetter { body, ..letter.into_letter()? }))
    }

    async fn waiting_messages(&self) -> Result<u32, StoreError> {
        let row: Option<CountRow> = self.fetch_first(&WAITING_MESSAGES, &[]).await?;
        Ok(number("count", row.ok_or_else(|| corrupt("count"))?.open)?)
    }

    async fn open_dead_letters(&self) -> Result<u32, StoreError> {
        let row: Option<CountRow> = self.fetch_first(&OPEN_DEAD_LETTERS, &[]).await?;
        Ok(number("count", row.ok_or_else(|| corrupt("count"))?.open)?)
    }
}
