//! The sealed column of accounts.

use crate::domain::ids::UserId;
use crate::storage::crypto::cipher::{Aad, Cipher};
use crate::storage::error::StoreError;

use super::values::{open, seal};

fn phone_aad(row: &str) -> Aad<'_> {
    Aad { table: "users", column: "phone", row }
}

/// The phone number of an account as it is stored.
pub(in crate::storage::sql) fn sealed_user_phone(
    user: UserId,
    phone: &str,
    cipher: &Cipher,
) -> Result<String, StoreError> {
    seal(cipher, phone_aad(&user.to_string()), phone)
}

/// The phone number of an account as it is called.
pub(in crate::storage::sql) fn opened_user_phone(
    user: UserId,
    sealed: &str,
    cipher: &Cipher,
) -> Result<String, StoreError> {
    open(cipher, phone_aad(&user.to_string()), sealed)
}
