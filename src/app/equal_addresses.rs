//! Accounts of earlier versions whose addresses mean the same mailbox by today's rules.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::email::EmailAddress;
use crate::domain::ids::UserId;
use crate::storage::{Store, StoreError};

/// Most accounts looked at: those whose stored address is not in today's form, of which there are next to none.
const MOST: u32 = 1_000;

/// Logs the accounts that share an address. Both stay: an address typed as it is stored opens that account.
pub(super) async fn log_all(store: Arc<dyn Store>) {
    match find(store.as_ref()).await {
        Ok(groups) => groups.iter().for_each(|users| {
            let users: Vec<String> = users.iter().map(UserId::to_string).collect();
            tracing::warn!(
                users = users.join(" "),
                "accounts have addresses that mean the same mailbox; both stay"
            );
        }),
        Err(error) => tracing::warn!(%error, "accounts with equal addresses could not be read"),
    }
}

/// Accounts whose addresses are one, each group in the order of its ids.
async fn find(store: &dyn Store) -> Result<Vec<Vec<UserId>>, StoreError> {
    let mut groups: BTreeMap<String, Vec<UserId>> = BTreeMap::new();
    for (user, email) in store.unusual_addresses(MOST).await? {
        match EmailAddress::parse(&email) {
            Ok(address) if address.as_str() != email => {
                groups.entry(address.into_string()).or_default().push(user);
            }
            // It is written as one is today, or opens its account only as it is stored.
            Ok(_) | Err(_) => {}
        }
    }
    let mut equal = Vec::new();
    for (address, mut users) in groups {
        users.extend(store.user_by_email(&address).await?.map(|user| user.id));
        if users.len() > 1 {
            users.sort_unstable();
            equal.push(users);
        }
    }
    Ok(equal)
}
