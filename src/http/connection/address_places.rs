//! The bound on connections of one address.

use std::net::IpAddr;
use std::sync::Arc;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

use crate::domain::address::AddressBlock;
use crate::http::middleware::cidr::Network;

/// Counts of the connections of the whole node that are no sockets, by address block. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct AddressPlaces(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    taken: DashMap<AddressBlock, usize>,
    most: usize,
    /// Proxies speak for many clients and are not counted.
    proxies: Vec<Network>,
}

/// A connection's place, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    counts: Arc<Counts>,
    block: Option<AddressBlock>,
}

/// The address has as many connections as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooManyConnections;

impl AddressPlaces {
    pub(super) fn new(most: usize, proxies: Vec<Network>) -> Self {
        Self(Arc::new(Counts { taken: DashMap::new(), most, proxies }))
    }

    /// Takes a place.
    ///
    /// # Errors
    /// When the address block has as many connections as it may.
    pub(super) fn take(&self, peer: IpAddr) -> Result<Place, TooManyConnections> {
        let counts = self.0.clone();
        if counts.proxies.iter().any(|network| network.contains(peer)) {
            return Ok(Place { counts, block: None });
        }
        let block = AddressBlock::of(peer);
        {
            let mut taken = counts.taken.entry(block).or_insert(0);
            if *taken >= counts.most {
                return Err(TooManyConnections);
            }
            *taken += 1;
        }
        Ok(Place { counts, block: Some(block) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(block) = self.block else { return };
        if let Entry::Occupied(mut taken) = self.counts.taken.entry(block) {
            *taken.get_mut() = taken.get().saturating_sub(1);
            if *taken.get() == 0 {
                taken.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_block_has_so_many_connections_and_a_trusted_proxy_any_number() {
        let places = AddressPlaces::new(2, vec!["10.0.0.0/8".parse().unwrap()]);
        let take = |peer: &str| places.take(peer.parse().unwrap());
        let first = take("2001:db8::1").unwrap();
        let second = take("2001:db8::ffff:2").unwrap();
        assert_eq!(take("2001:db8::3").err(), Some(TooManyConnections));
        let other = take("2001:db8:0:1::1").unwrap();
        let many: Vec<_> = (0..9).map(|_| take("::ffff:10.0.0.1").unwrap()).collect();
        drop(first);
        let again = take("2001:db8::3").unwrap();
        drop((second, other, many, again));
        assert!(places.0.taken.is_empty());
    }
}
