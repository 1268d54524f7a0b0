//! How many sockets one user and one address may hold on this node.

use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

use crate::domain::ids::UserId;

/// Counts open sockets. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Admission(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    users: DashMap<UserId, usize>,
    addresses: DashMap<IpAddr, usize>,
    max_per_user: usize,
    max_per_address: usize,
}

/// A socket's place in the counts, given back when it is dropped.
#[derive(Debug)]
pub struct Permit {
    counts: Arc<Counts>,
    user: UserId,
    address: IpAddr,
}

/// As many sockets are open as this user or address may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many sockets")]
pub struct TooManySockets;

impl Admission {
    /// Nothing is open yet.
    pub fn new(max_per_user: usize, max_per_address: usize) -> Self {
        let counts =
            Counts { users: DashMap::new(), addresses: DashMap::new(), max_per_user, max_per_address };
        Self(Arc::new(counts))
    }

    /// Takes a place for one more socket, or none at all.
    pub fn admit(&self, user: UserId, address: IpAddr) -> Result<Permit, TooManySockets> {
        take(&self.0.users, user, self.0.max_per_user)?;
        if take(&self.0.addresses, address, self.0.max_per_address).is_err() {
            give_back(&self.0.users, user);
            return Err(TooManySockets);
        }
        Ok(Permit { counts: self.0.clone(), user, address })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        give_back(&self.counts.users, self.user);
        give_back(&self.counts.addresses, self.address);
    }
}

fn take<K: Eq + Hash>(counts: &DashMap<K, usize>, key: K, max: usize) -> Result<(), TooManySockets> {
    let mut count = counts.entry(key).or_insert(0);
    if *count >= max {
        return Err(TooManySockets);
    }
    *count += 1;
    Ok(())
}

fn give_back<K: Eq + Hash>(counts: &DashMap<K, usize>, key: K) {
    if let Entry::Occupied(mut entry) = counts.entry(key) {
        *entry.get_mut() = entry.get().saturating_sub(1);
        if *entry.get() == 0 {
            entry.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn a_place_that_is_given_back_can_be_taken_again_and_nothing_is_kept_of_it() {
        let admission = Admission::new(2, 3);
        let (a, b) = (UserId::generate(), UserId::generate());
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let first = admission.admit(a, here).expect("the first");
        let second = admission.admit(a, here).expect("the second");
        assert_eq!(admission.admit(a, here).err(), Some(TooManySockets), "two a user");
        let third = admission.admit(b, here).expect("another user's");
        assert_eq!(admission.admit(b, here).err(), Some(TooManySockets), "three an address");
        drop(first);
        let again = admission.admit(b, here).expect("there is room again");
        drop((second, third, again));
        assert!(admission.0.users.is_empty() && admission.0.addresses.is_empty());
    }
}
