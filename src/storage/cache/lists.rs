//! What lists of orders are made of.

use crate::storage::error::StoreError;
use crate::storage::ports::{OrderQuery, OrderScope};

use super::CachedReads;
use super::versions::{Input, Snapshot};

/// Lists over more businesses than this are read anew each time.
const MAX_BUSINESSES: u32 = 32;

impl CachedReads {
    /// Versions of everything a list is made of; `None` for a list over more than [`MAX_BUSINESSES`].
    pub(super) async fn inputs_of_list(&self, query: &OrderQuery) -> Result<Option<Snapshot>, StoreError> {
        let versions = &self.0.versions;
        let unknown = Input::OrdersOfSomebody;
        Ok(Some(match (query.scope, query.business) {
            (OrderScope::Customer(user), _) => versions.snapshot(&[unknown, Input::OrdersBy(user)]),
            (OrderScope::Everybody, None) => versions.snapshot(&[unknown, Input::Orders]),
            (OrderScope::Everybody, Some(business)) => {
                versions.snapshot(&[unknown, Input::OrdersAt(business)])
            }
            (OrderScope::Member(user), Some(business)) => {
                versions.snapshot(&[unknown, Input::Memberships(user), Input::OrdersAt(business)])
            }
            (OrderScope::Member(user), None) => {
                let mut inputs = versions.snapshot(&[unknown, Input::Memberships(user)]);
                let theirs = self.0.store.businesses_of(user, None, MAX_BUSINESSES + 1).await?;
                if theirs.len() > MAX_BUSINESSES as usize {
                    return Ok(None);
                }
                let orders: Vec<Input> = theirs.iter().map(|b| Input::OrdersAt(b.id)).collect();
                inputs.extend(versions.snapshot(&orders));
                inputs
            }
        }))
    }
}
