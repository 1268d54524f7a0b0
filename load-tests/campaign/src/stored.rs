//! What the store holds at the end, read from Postgres itself.

use std::collections::HashMap;

use anyhow::{Context as _, Result};
use bellhop_client::Cursor;
use serde_json::Value;
use sqlx::{Connection as _, PgConnection};

use crate::history::{
    StoredDelivery, StoredDriver, StoredEvent, StoredMove, StoredOffer, StoredOrder, StoredPayment,
    StoredRoom,
};

const MICROS_OF_A_DAY: i64 = 86_400_000_000;

/// A connection past all proxies.
pub(crate) struct Store(PgConnection);

/// What is not at its end yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unsettled {
    pub(crate) orders: i64,
    pub(crate) refunds: i64,
    pub(crate) messages: i64,
    pub(crate) payments: i64,
}

impl Store {
    /// Connects to the database at this URL.
    ///
    /// # Errors
    /// When it does not answer.
    pub(crate) async fn connect(url: &str) -> Result<Self> {
        Ok(Self(PgConnection::connect(url).await?))
    }

    /// Counts what is not at its end yet.
    ///
    /// # Errors
    /// As every read here: when the database does not answer, or holds what it should not.
    pub(crate) async fn unsettled(&mut self) -> Result<Unsettled> {
        let (orders, refunds, messages, payments) = sqlx::query_as(
            "SELECT (SELECT count(*) FROM orders WHERE status NOT IN ('delivered', 'rejected', 'cancelled', 'failed')), \
             (SELECT count(*) FROM refunds WHERE state <> 'succeeded'), \
             (SELECT count(*) FROM payment_messages WHERE state <> 'done'), \
             (SELECT count(*) FROM payments WHERE state = 'initiated')",
        )
        .fetch_one(&mut self.0)
        .await?;
        Ok(Unsettled { orders, refunds, messages, payments })
    }

    /// Lets a minute pass for refunds whose outcome is not known: the next look is due at once.
    ///
    /// # Errors
    /// See [`Store::unsettled`].
    pub(crate) async fn let_a_minute_pass(&mut self) -> Result<()> {
        let sql = "UPDATE refunds SET due_at = due_at - 60000000 WHERE due_at IS NOT NULL";
        sqlx::query(sql).execute(&mut self.0).await?;
        let sql = "UPDATE payments SET ask_at = ask_at - 60000000 WHERE ask_at IS NOT NULL";
        sqlx::query(sql).execute(&mut self.0).await?;
        Ok(())
    }

    /// Businesses that are paused.
    ///
    /// # Errors
    /// See [`Store::unsettled`].
    pub(crate) async fn paused(&mut self) -> Result<i64> {
        let sql = "SELECT count(*) FROM businesses WHERE state = 'paused' OR pauses LIKE '%cause%'";
        Ok(sqlx::query_scalar(sql).fetch_one(&mut self.0).await?)
    }

    /// The heads of all rooms.
    ///
    /// # Errors
    /// See [`Store::unsettled`].
    pub(crate) async fn heads(&mut self) -> Result<HashMap<String, Cursor>> {
        let rows: Vec<(String, i64, i64)> =
            sqlx::query_as("SELECT room, epoch, seq FROM room_seq").fetch_all(&mut self.0).await?;
        rows.into_iter().map(|(room, epoch, seq)| Ok((room, cursor(epoch, seq)?))).collect()
    }

    /// All rooms with their events.
    ///
    /// # Errors
    /// See [`Store::unsettled`].
    pub(crate) async fn rooms(&mut self) -> Result<Vec<StoredRoom>> {
        let heads = self.heads().await?;
        let mut rooms: HashMap<String, StoredRoom> = heads
            .into_iter()
            .map(|(room, head)| (room.clone(), StoredRoom { room, head, events: Vec::new() }))
            .collect();
        let rows: Vec<(String, i64, i64, String, String, String)> = sqlx::query_as(
            "SELECT room, epoch, seq, id, kind, data FROM room_events ORDER BY room, epoch, seq",
        )
        .fetch_all(&mut self.0)
        .await?;
        for (room, epoch, seq, id, kind, data) in rows {
            let at = cursor(epoch, seq)?;
            // A message whose data is no JSON is an event all the same.
            let data = serde_json::from_str(&data).unwrap_or(Value::Null);
            let unnumbered = || StoredRoom {
                room: room.clone(),
                head: Cursor { epoch: at.epoch, seq: 0 },
                events: Vec::new(),
            };
            rooms.entry(room.clone()).or_insert_with(unnumbered).events.push(StoredEvent {
                at,
                id,
                kind,
                data,
            });
        }
        Ok(rooms.into_values().collect())
    }

    /// All orders with their transitions.
    ///
    /// # Errors
    /// See [`Store::unsettled`].
    pub(crate) async fn orders(&mut self) -> Result<Vec<StoredOrder>> {
        let rows: Vec<(String, i64, Option<String>, String)> = sqlx::query_as(
            "SELECT order_id, version, from_status, to_status FROM order_events ORDER BY order_id, version",
        )
        .fetch_all(&mut self.0)
        .await?;
        let mut moves: HashMap<String, Vec<StoredMove>> = HashMap::new();
        for (order, version, from, to) in rows {
            moves.entry(order).or_default().push(StoredMove { version, from, to });
        }
        type Row = (String, String, i64, i64, Option<String>, String, Option<String>, i64, i64);
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT id, business_id, created_at, order_number, notes, status, ended_code, version, total_minor \
             FROM orders ORDER BY id",
        )
        .fetch_all(&mut self.0)
        .await?;
        let order =
            |(id, business, created, number, notes, status, ended_code, version, total_minor): Row| {
                StoredOrder {
                    moves: moves.remove(&id).unwrap_or_default(),
                    id,
                    business,
                    number: (created.div_euclid(MICROS_OF_A_DAY), number),
                    key: notes.unwrap_or_default(),
                    status,
                    ended_code,
                    version,
                    total_minor,
                }
            };
        Ok(rows.into_iter().map(order).collect())
    }

    /// All payments.
    ///
    /// # Errors
    /// See [`Store::unsettled`].
    pub(crate) async fn payments(&mut self) -> Result<Vec<StoredPayment>> {
        type Row = (String, String, String, bool, i64, i64);
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT id, order_id, state, counts, captured_minor, refunded_minor FROM payments",
        )
        .fetch_all(&mut self.0)
        .await?;
        let payment = |(id, order, state, counts, captured_minor, refunded_minor): Row| StoredPayment {
            id,
            order,
            state,
            counts,
            captured_minor,
            refunded_minor,
        };
        Ok(rows.into_iter().map(payment).collect())
    }

    /// All offers, deliveries and drivers.
    ///
    /// # Errors
    /// See [`Store::unsettled`].
    pub(crate) async fn deliveries(
        &mut self,
    ) -> Result<(Vec<StoredOffer>, Vec<StoredDelivery>, Vec<StoredDriver>)> {
        let offers: Vec<(String, String, String, i64, String)> =
            sqlx::query_as("SELECT id, delivery_id, driver_id, attempt, state FROM offers")
                .fetch_all(&mut self.0)
                .await?;
        let offers = offers.into_iter().map(|(id, delivery, driver, attempt, state)| StoredOffer {
            id,
            delivery,
            driver,
            attempt,
            state,
        });
        let deliveries: Vec<(String, String, Option<String>, bool)> =
            sqlx::query_as("SELECT id, order_id, driver_id, counts FROM deliveries")
                .fetch_all(&mut self.0)
                .await?;
        let deliveries = deliveries.into_iter().map(|(id, order, driver, counts)| StoredDelivery {
            id,
            order,
            driver,
            counts,
        });
        let drivers: Vec<(String, i64, i64)> =
            sqlx::query_as("SELECT user_id, active, capacity FROM drivers").fetch_all(&mut self.0).await?;
        let drivers = drivers.into_iter().map(|(id, active, capacity)| StoredDriver { id, active, capacity });
        Ok((offers.collect(), deliveries.collect(), drivers.collect()))
    }
}

fn cursor(epoch: i64, seq: i64) -> Result<Cursor> {
    let epoch = u32::try_from(epoch).context("an epoch")?;
    Ok(Cursor { epoch, seq: u64::try_from(seq).context("a number of an event")? })
}
