//! Single values: how they are parsed, sealed and opened.

use std::str::FromStr;

use secrecy::ExposeSecret;

use crate::domain::cursor::{Cursor, Epoch};
use crate::domain::time::Timestamp;
use crate::storage::crypto::cipher::{Aad, Cipher, Nonce};
use crate::storage::error::StoreError;
use crate::telemetry::Metrics;

/// A column that does not hold what this version writes there. The value itself stays out of the logs.
pub(in crate::storage::sql) fn corrupt(column: &str) -> StoreError {
    StoreError::Corrupt(format!("unexpected value in {column}"))
}

pub(in crate::storage::sql) fn parse<T: FromStr>(column: &str, text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|_| corrupt(column))
}

pub(in crate::storage::sql) fn number<T: TryFrom<i64>>(column: &str, value: i64) -> Result<T, StoreError> {
    value.try_into().map_err(|_| corrupt(column))
}

pub(in crate::storage::sql) fn cursor(epoch: i64, seq: i64) -> Result<Cursor, StoreError> {
    Ok(Cursor::new(Epoch::new(number("epoch", epoch)?), number("seq", seq)?))
}

/// A moment that may be missing, as it is stored.
pub(super) fn micros(at: Option<Timestamp>) -> Option<i64> {
    at.map(Timestamp::as_micros)
}

/// A moment that may be missing, as it was stored.
pub(super) fn time(at: Option<i64>) -> Option<Timestamp> {
    at.map(Timestamp::from_micros)
}

/// Numbers of rooms start at 1 and grow by 1: none comes near the end of 63 bits.
pub(in crate::storage::sql) fn seq_column(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

/// No text of the store comes after this one, by bytes as it compares ids: where a walk downwards begins.
pub(in crate::storage::sql) const AFTER_ALL: &str = "\u{10FFFF}";

/// Logs and counts a row that cannot be read: it costs itself and not the list it stands in.
pub(in crate::storage::sql) fn report_unreadable(
    metrics: &Metrics,
    table: &'static str,
    row: &str,
    error: &StoreError,
) {
    metrics.unreadable_rows_total.with_label_values(&[table]).inc();
    tracing::error!(table, row, %error, "a stored row cannot be read and is left out");
}

/// Seals `plain` for its place.
pub(in crate::storage::sql) fn seal(
    cipher: &Cipher,
    aad: Aad<'_>,
    plain: &str,
) -> Result<String, StoreError> {
    let nonce = Nonce::generate().map_err(|e| StoreError::Unavailable(format!("no random numbers: {e}")))?;
    cipher.seal(aad, plain, nonce).map_err(|e| StoreError::NotHappened(e.to_string()))
}

/// Opens what [`seal`] wrote at the same place.
pub(in crate::storage::sql) fn open(
    cipher: &Cipher,
    aad: Aad<'_>,
    sealed: &str,
) -> Result<String, StoreError> {
    let plain = cipher
        .open(aad, sealed)
        .map_err(|e| StoreError::Corrupt(format!("{}.{}: {e}", aad.table, aad.column)))?;
    Ok(plain.expose_secret().to_owned())
}
