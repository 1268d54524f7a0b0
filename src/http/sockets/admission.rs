//! The bound on sockets of one user and of one address: on all nodes while Redis answers, else on this one.

use std::hash::Hash;
use std::sync::Arc;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use tokio_util::sync::CancellationToken;

use crate::domain::address::AddressBlock;
use crate::domain::ids::UserId;
use crate::redis_client::RedisClient;
use crate::storage::KnownNodes;

use super::shared_places::{Counted, SharedPlaces};

/// The counts of open sockets. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Admission(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    users: DashMap<UserId, usize>,
    addresses: DashMap<AddressBlock, usize>,
    max_per_user: usize,
    max_per_address: usize,
    shared: Option<Arc<SharedPlaces>>,
}

/// A socket's place in the counts, given back when it is dropped.
#[derive(Debug)]
pub struct Permit {
    counts: Arc<Counts>,
    user: UserId,
    address: AddressBlock,
}

/// The user or the address has as many sockets as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many sockets")]
pub enum TooManySockets {
    /// The user holds as many as this.
    OfUser(usize),
    /// The address holds as many as this.
    OfAddress(usize),
}

impl Admission {
    /// Nothing is open yet.
    pub fn new(max_per_user: usize, max_per_address: usize) -> Self {
        Self::over(max_per_user, max_per_address, None)
    }

    /// Nothing is open yet here; other nodes tell through Redis what is open there.
    pub fn shared(
        max_per_user: usize,
        max_per_address: usize,
        redis: Option<RedisClient>,
        nodes: KnownNodes,
    ) -> Self {
        let shared = redis.map(|client| Arc::new(SharedPlaces::new(client, nodes)));
        Self::over(max_per_user, max_per_address, shared)
    }

    fn over(max_per_user: usize, max_per_address: usize, shared: Option<Arc<SharedPlaces>>) -> Self {
        let (users, addresses) = (DashMap::new(), DashMap::new());
        Self(Arc::new(Counts { users, addresses, max_per_user, max_per_address, shared }))
    }

    /// Tells the other nodes what is open here until it is stopped.
    pub async fn keep_shared(self, stop: CancellationToken) {
        let Some(shared) = self.0.shared.clone() else { return };
        let counts = self.0;
        let count = |counted| counts.of(counted);
        shared.keep(count, || counts.all(), stop).await;
    }

    /// Takes a place for one more socket, or none at all.
    ///
    /// # Errors
    /// The user or the address that has as many sockets as it may.
    pub async fn admit(&self, user: UserId, address: AddressBlock) -> Result<Permit, TooManySockets> {
        let permit = self.admit_here(user, address)?;
        let Some(shared) = &self.0.shared else { return Ok(permit) };
        let Counts { max_per_user, max_per_address, .. } = &*self.0;
        let (of_user, of_address) = (Counted::User(user), Counted::Address(address));
        let (user_fits, address_fits) = tokio::join!(
            shared.admits(of_user, self.0.of(of_user), *max_per_user),
            shared.admits(of_address, self.0.of(of_address), *max_per_address),
        );
        match (user_fits, address_fits) {
            (true, true) => Ok(permit),
            (false, _) => Err(TooManySockets::OfUser(*max_per_user)),
            (true, false) => Err(TooManySockets::OfAddress(*max_per_address)),
        }
    }

    fn admit_here(&self, user: UserId, address: AddressBlock) -> Result<Permit, TooManySockets> {
        let Counts { users, addresses, max_per_user, max_per_address, .. } = &*self.0;
        if !take(users, user, *max_per_user) {
            return Err(TooManySockets::OfUser(*max_per_user));
        }
        if !take(addresses, address, *max_per_address) {
            release(users, user);
            return Err(TooManySockets::OfAddress(*max_per_address));
        }
        Ok(Permit { counts: self.0.clone(), user, address })
    }
}

impl Counts {
    fn of(&self, counted: Counted) -> usize {
        match counted {
            Counted::User(user) => self.users.get(&user).map_or(0, |count| *count),
            Counted::Address(address) => self.addresses.get(&address).map_or(0, |count| *count),
        }
    }

    fn all(&self) -> Vec<Counted> {
        let users = self.users.iter().map(|entry| Counted::User(*entry.key()));
        users.chain(self.addresses.iter().map(|entry| Counted::Address(*entry.key()))).collect()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        release(&self.counts.users, self.user);
        release(&self.counts.addresses, self.address);
        if let Some(shared) = &self.counts.shared {
            shared.changed(Counted::User(self.user));
            shared.changed(Counted::Address(self.address));
        }
    }
}

fn take<K: Eq + Hash>(counts: &DashMap<K, usize>, key: K, max: usize) -> bool {
    let mut count = counts.entry(key).or_insert(0);
    let has_room = *count < max;
    *count += usize::from(has_room);
    has_room
}

fn release<K: Eq + Hash>(counts: &DashMap<K, usize>, key: K) {
    if let Entry::Occupied(mut entry) = counts.entry(key) {
        *entry.get_mut() = entry.get().saturating_sub(1);
        if *entry.get() == 0 {
            entry.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(text: &str) -> AddressBlock {
        AddressBlock::of(text.parse().unwrap())
    }

    #[test]
    fn a_place_that_is_given_back_can_be_taken_again_and_nothing_is_kept_of_it() {
        let admission = Admission::new(2, 3);
        let (a, b) = (UserId::generate(), UserId::generate());
        let here = block("127.0.0.1");
        let first = admission.admit_here(a, here).expect("the first");
        let second = admission.admit_here(a, here).expect("the second");
        assert_eq!(admission.admit_here(a, here).err(), Some(TooManySockets::OfUser(2)));
        let third = admission.admit_here(b, here).expect("another user's");
        assert_eq!(admission.admit_here(b, here).err(), Some(TooManySockets::OfAddress(3)));
        drop(first);
        let again = admission.admit_here(b, here).expect("there is room again");
        drop((second, third, again));
        assert!(admission.0.users.is_empty() && admission.0.addresses.is_empty());
    }

    #[test]
    fn the_addresses_of_one_ipv6_block_share_its_places() {
        let admission = Admission::new(10, 1);
        let _first = admission.admit_here(UserId::generate(), block("2001:db8::1")).expect("the first");
        let neighbour = admission.admit_here(UserId::generate(), block("2001:db8::2:3"));
        assert_eq!(neighbour.err(), Some(TooManySockets::OfAddress(1)));
        assert!(admission.admit_here(UserId::generate(), block("2001:db8:0:1::1")).is_ok());
    }
}
