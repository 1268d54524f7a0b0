//! The pure state of reachability on one node: which device said that it can ring, and which businesses have a lease for it.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use crate::domain::ephemeral::Presence;
use crate::domain::ids::{BusinessId, ConnectionId, UserId};
use crate::storage::commands::Lease;

use super::settings::{LEASE_FOR, MAX_DEVICES, MAX_DEVICES_OF_USER, SAID_FOR};

/// A device of a user.
pub(in crate::actors) type DeviceOf = (UserId, Arc<str>);

/// The place a device speaks from; its newest word from there replaces the one before.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::actors) enum RingSource {
    /// An open socket.
    Socket(ConnectionId),
    /// A device without one, by its requests.
    Requests(DeviceOf),
}

/// A device that said that it can ring.
#[derive(Debug)]
struct Said {
    device: DeviceOf,
    businesses: Box<[BusinessId]>,
    until: Instant,
}

/// A business that has a lease of this node, or had one.
#[derive(Debug)]
struct Leased {
    until: Instant,
    /// The number of devices, on all nodes, that the business was told last.
    told: Option<u32>,
}

/// What came of the word of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::actors) enum Heard {
    /// Its businesses have leases.
    Leased,
    /// One of its businesses has none.
    NeedsLease,
    /// The node remembers as many devices as it may.
    Full,
}

/// One write of leases.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Round {
    /// Businesses that devices of this node can ring for, by their ids.
    pub(super) leases: Vec<Lease>,
    /// Businesses whose lease of this node has run out: others may hold one.
    pub(super) lapsed: Vec<BusinessId>,
}

/// At most [`MAX_DEVICES`] devices, [`MAX_DEVICES_OF_USER`] of a user, and the businesses they can ring for.
#[derive(Debug, Default)]
pub(super) struct ReachState {
    said: HashMap<RingSource, Said>,
    /// The places in `said` that devices of a user speak from, the oldest word first.
    of_user: HashMap<UserId, VecDeque<RingSource>>,
    leased: HashMap<BusinessId, Leased>,
}

impl ReachState {
    /// A device says that it can ring for these businesses, for [`SAID_FOR`] from `now`. Of a user with too many, the oldest word
    /// makes place.
    pub(super) fn said(
        &mut self,
        source: RingSource,
        device: DeviceOf,
        businesses: Box<[BusinessId]>,
        now: Instant,
    ) -> Heard {
        self.silent(&source);
        let user = device.0;
        if let Some(sources) = self.of_user.get(&user)
            && sources.len() >= MAX_DEVICES_OF_USER
            && let Some(oldest) = sources.front().cloned()
        {
            self.silent(&oldest);
        }
        if self.said.len() >= MAX_DEVICES {
            self.expire(now);
            if self.said.len() >= MAX_DEVICES {
                return Heard::Full;
            }
        }
        let needs_lease = businesses.iter().any(|business| !self.has_lease(*business, now));
        self.said.insert(source.clone(), Said { device, businesses, until: now + SAID_FOR });
        self.of_user.entry(user).or_default().push_back(source);
        if needs_lease { Heard::NeedsLease } else { Heard::Leased }
    }

    /// A device can no longer ring, or its socket is closed. Its lease runs out by itself, so that a device that comes back soon
    /// was never away.
    pub(super) fn silent(&mut self, source: &RingSource) {
        if let Some(said) = self.said.remove(source) {
            self.forget(said.device.0, source);
        }
    }

    fn forget(&mut self, user: UserId, source: &RingSource) {
        if let Some(sources) = self.of_user.get_mut(&user) {
            sources.retain(|other| other != source);
            if sources.is_empty() {
                self.of_user.remove(&user);
            }
        }
    }

    fn expire(&mut self, now: Instant) {
        let expired: Vec<(RingSource, Said)> = self.said.extract_if(|_, said| said.until <= now).collect();
        for (source, said) in expired {
            self.forget(said.device.0, &source);
        }
    }

    fn has_lease(&self, business: BusinessId, now: Instant) -> bool {
        self.leased.get(&business).is_some_and(|leased| leased.until > now)
    }

    fn counts(&self, mut counted: impl FnMut(BusinessId) -> bool) -> BTreeMap<BusinessId, u32> {
        let mut devices: BTreeMap<BusinessId, BTreeSet<&DeviceOf>> = BTreeMap::new();
        for said in self.said.values() {
            for business in said.businesses.iter().filter(|business| counted(**business)) {
                devices.entry(*business).or_default().insert(&said.device);
            }
        }
        let count = |devices: BTreeSet<_>| u32::try_from(devices.len()).unwrap_or(u32::MAX);
        devices.into_iter().map(|(business, devices)| (business, count(devices))).collect()
    }

    /// Every lease of this node, to be renewed.
    pub(super) fn renewal(&mut self, now: Instant) -> Round {
        self.expire(now);
        let counts = self.counts(|_| true);
        let gone = |(business, leased): (&BusinessId, &Leased)| {
            (leased.until <= now && !counts.contains_key(business)).then_some(*business)
        };
        let mut lapsed: Vec<BusinessId> = self.leased.iter().filter_map(gone).collect();
        lapsed.sort_unstable();
        Round { leases: leases(counts), lapsed }
    }

    /// Leases of businesses that have none.
    pub(super) fn missing(&mut self, now: Instant) -> Round {
        self.expire(now);
        let counts = self.counts(|business| !self.has_lease(business, now));
        Round { leases: leases(counts), lapsed: Vec::new() }
    }

    /// A round that was begun at `begun` is in the store, where these businesses have so many devices on all nodes. Returns what is
    /// to be told to businesses whose number has changed.
    pub(super) fn renewed(
        &mut self,
        round: &Round,
        devices: &HashMap<BusinessId, u32>,
        begun: Instant,
    ) -> Vec<Presence> {
        let mut changed = Vec::new();
        let mut tell = |business_id: BusinessId, told: &mut Option<u32>| {
            let devices = devices.get(&business_id).copied().unwrap_or_default();
            if told.replace(devices) != Some(devices) {
                changed.push(Presence { business_id, reachable: devices > 0, devices });
            }
        };
        for lease in &round.leases {
            let until = begun + LEASE_FOR;
            let leased = self.leased.entry(lease.business).or_insert(Leased { until, told: None });
            leased.until = until;
            tell(lease.business, &mut leased.told);
        }
        for business in &round.lapsed {
            if let Some(mut leased) = self.leased.remove(business) {
                tell(*business, &mut leased.told);
            }
        }
        changed
    }
}

fn leases(counts: BTreeMap<BusinessId, u32>) -> Vec<Lease> {
    counts.into_iter().map(|(business, devices)| Lease { business, devices }).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;

    fn business(n: u128) -> BusinessId {
        BusinessId::from_uuid(Uuid::from_u128(n))
    }

    fn device(user: u128, id: &str) -> DeviceOf {
        (UserId::from_uuid(Uuid::from_u128(user)), id.into())
    }

    fn socket(n: u128) -> RingSource {
        RingSource::Socket(ConnectionId::from_uuid(Uuid::from_u128(n)))
    }

    fn lease(n: u128, devices: u32) -> Lease {
        Lease { business: business(n), devices }
    }

    fn presence(n: u128, devices: u32) -> Presence {
        Presence { business_id: business(n), reachable: devices > 0, devices }
    }

    /// Renews all, with no other node.
    fn renew(state: &mut ReachState, now: Instant) -> Vec<Presence> {
        let round = state.renewal(now);
        let devices = round.leases.iter().map(|lease| (lease.business, lease.devices)).collect();
        state.renewed(&round, &devices, now)
    }

    #[test]
    fn a_device_counts_once_however_many_sockets_it_has_and_for_each_of_its_businesses() {
        let (mut state, now) = (ReachState::default(), Instant::now());
        assert_eq!(
            state.said(socket(1), device(1, "till"), [business(1), business(2)].into(), now),
            Heard::NeedsLease
        );
        state.said(socket(2), device(1, "till"), [business(1)].into(), now);
        state.said(socket(3), device(2, "till"), [business(1)].into(), now);
        state.said(RingSource::Requests(device(2, "phone")), device(2, "phone"), [business(1)].into(), now);
        assert_eq!(state.renewal(now).leases, [lease(1, 3), lease(2, 1)]);
    }

    #[test]
    fn a_word_holds_45_seconds_and_a_newer_one_from_the_same_place_replaces_it() {
        let (mut state, now) = (ReachState::default(), Instant::now());
        state.said(socket(1), device(1, "till"), [business(1)].into(), now);
        let before = now + SAID_FOR.checked_sub(Duration::from_millis(1)).unwrap();
        assert_eq!(state.renewal(before).leases, [lease(1, 1)]);
        state.said(socket(1), device(1, "till"), [business(2)].into(), before);
        assert_eq!(state.renewal(now + SAID_FOR).leases, [lease(2, 1)]);
        assert_eq!(state.renewal(before + SAID_FOR).leases, []);
    }

    #[test]
    fn only_a_business_without_a_lease_is_written_at_once() {
        let (mut state, now) = (ReachState::default(), Instant::now());
        state.said(socket(1), device(1, "till"), [business(1)].into(), now);
        renew(&mut state, now);
        assert_eq!(state.said(socket(1), device(1, "till"), [business(1)].into(), now), Heard::Leased);
        assert_eq!(
            state.said(socket(2), device(2, "till"), [business(1), business(2)].into(), now),
            Heard::NeedsLease
        );
        assert_eq!(state.missing(now), Round { leases: vec![lease(2, 1)], lapsed: vec![] });
        assert_eq!(
            state.said(socket(1), device(1, "till"), [business(1)].into(), now + LEASE_FOR),
            Heard::NeedsLease,
            "it ran out"
        );
    }

    #[test]
    fn a_business_is_told_when_the_number_of_its_devices_changes_and_only_then() {
        let (mut state, now) = (ReachState::default(), Instant::now());
        state.said(socket(1), device(1, "till"), [business(1)].into(), now);
        assert_eq!(renew(&mut state, now), [presence(1, 1)]);
        assert_eq!(renew(&mut state, now), []);
        let round = state.renewal(now);
        let with_another_node = HashMap::from([(business(1), 3)]);
        assert_eq!(state.renewed(&round, &with_another_node, now), [presence(1, 3)]);
        state.silent(&socket(1));
        assert_eq!(renew(&mut state, now), [], "its lease still holds: it may come back");
        let round = state.renewal(now + LEASE_FOR);
        assert_eq!(round, Round { leases: vec![], lapsed: vec![business(1)] });
        let on_another_node = HashMap::from([(business(1), 2)]);
        assert_eq!(state.renewed(&round, &on_another_node, now + LEASE_FOR), [presence(1, 2)]);
        assert_eq!(state.renewal(now + LEASE_FOR), Round::default(), "nothing is remembered of it");
    }

    #[test]
    fn a_device_that_comes_back_before_its_lease_runs_out_was_never_away() {
        let (mut state, now) = (ReachState::default(), Instant::now());
        state.said(socket(1), device(1, "till"), [business(1)].into(), now);
        renew(&mut state, now);
        state.silent(&socket(1));
        renew(&mut state, now + Duration::from_secs(5));
        let back = now + Duration::from_secs(8);
        assert_eq!(state.said(socket(2), device(1, "till"), [business(1)].into(), back), Heard::Leased);
        assert_eq!(renew(&mut state, now + Duration::from_secs(10)), []);
    }

    #[test]
    fn a_node_remembers_no_more_devices_than_it_may_and_those_that_expired_make_place() {
        let (mut state, now) = (ReachState::default(), Instant::now());
        for n in 0..MAX_DEVICES as u128 {
            state.said(socket(n), device(n, "till"), [business(1)].into(), now);
        }
        assert_eq!(state.said(socket(u128::MAX), device(7, "new"), [business(2)].into(), now), Heard::Full);
        assert_eq!(state.missing(now).leases, [lease(1, MAX_DEVICES as u32)]);
        assert_eq!(
            state.said(socket(0), device(0, "till"), [business(3)].into(), now),
            Heard::NeedsLease,
            "one that is known"
        );
        let later = now + SAID_FOR;
        assert_eq!(
            state.said(socket(u128::MAX), device(7, "new"), [business(2)].into(), later),
            Heard::NeedsLease
        );
        assert_eq!(state.missing(later).leases, [lease(2, 1)]);
    }

    #[test]
    fn a_user_has_fifty_devices_at_most_and_a_new_one_replaces_the_one_that_spoke_longest_ago() {
        let (mut state, now) = (ReachState::default(), Instant::now());
        let most = MAX_DEVICES_OF_USER as u128;
        let say = |state: &mut ReachState, n: u128| {
            state.said(socket(n), device(1, &n.to_string()), [business(n)].into(), now)
        };
        for n in 0..most {
            say(&mut state, n);
        }
        state.said(socket(u128::MAX), device(2, "till"), [business(7)].into(), now);
        say(&mut state, 0);
        assert_eq!(say(&mut state, most), Heard::NeedsLease);
        let leased: Vec<BusinessId> = state.missing(now).leases.iter().map(|lease| lease.business).collect();
        let left: Vec<BusinessId> = (0..=most).filter(|n| *n != 1).map(business).collect();
        assert_eq!(leased, left, "the first one spoke again, so the second one is the oldest");
        assert_eq!(state.missing(now).leases[6], lease(7, 2), "nobody else has lost a device");
        state.renewal(now + SAID_FOR);
        assert!(
            state.said.is_empty() && state.of_user.is_empty(),
            "nothing is remembered of those that are gone"
        );
    }
}
