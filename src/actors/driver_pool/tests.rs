use std::time::Duration;

use actix::{Arbiter, System};

use super::*;
use crate::actors::FatalSignal;
use crate::actors::persistence::{CommitListener, PersistenceSettings};
use crate::bus::InProcessBus;
use crate::domain::dispatch::Job;
use crate::domain::ids::{BusinessId, OrderId};
use crate::domain::location::Location;
use crate::domain::time::Timestamp;
use crate::storage::commands::Command;
use crate::telemetry::Metrics;

struct NobodyHears;

impl CommitListener for NobodyHears {
    fn committed(&self, _: &[Command], _: &mut Committed) {}

    fn commit_unknown(&self, _: &[Command]) {}
}

fn look_in(zone: &str) -> LookDue {
    let at = Location { lat: 38.7, lng: -9.1 };
    let business = BusinessId::generate();
    let job = Job {
        business,
        pickup: at,
        dropoff: at,
        ready_at: Timestamp::default(),
        is_cash: false,
        radius_m: 0,
        most: 0,
        not: Vec::new(),
        after: Vec::new(),
    };
    let (order, zone) = (OrderId::generate(), zone.to_owned());
    LookDue { order, business, zone, attempt: 0, wave: 1, payout_minor: 0, job }
}

/// Pools that run, over an empty store.
async fn started(arbiter: &Arbiter) -> (DriverPools, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let metrics = Metrics::new(folder.path());
    let store = crate::storage::sqlite::empty(folder.path(), metrics.clone()).await;
    let (settings, fatal) = (PersistenceSettings::default(), FatalSignal::new());
    let persistence = Persistence::start(&store, 1, &settings, Arc::new(NobodyHears), metrics, fatal);
    let persistence = persistence.await.unwrap();
    let (bus, _) = InProcessBus::default().connect();
    let pools = DriverPools::default();
    pools.start(&arbiter.handle(), store, persistence, bus, DispatchRules::default());
    (pools, folder)
}

fn is_open(pools: &DriverPools, zone: &str) -> bool {
    pools.pools().get(zone).is_some_and(|pool| pool.mailbox.is_open())
}

async fn until(holds: impl Fn() -> bool) {
    let mut looks = tokio::time::interval(Duration::from_millis(2));
    let held = async {
        while !holds() {
            looks.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), held).await.expect("it comes to that");
}

#[test]
fn a_pool_that_panicked_is_made_anew_by_the_next_look() {
    System::new().block_on(async {
        let arbiter = Arbiter::new();
        let (pools, _folder) = started(&arbiter).await;
        pools.look(look_in("centre"));
        assert!(is_open(&pools, "centre"));
        pools.tell_every(|| PoolMessage::Break);
        until(|| !is_open(&pools, "centre")).await;
        pools.moved(
            UserId::generate(),
            Position { location: look_in("x").job.pickup, at: Timestamp::default() },
            &["centre".to_owned()],
        );
        pools.look(look_in("centre"));
        assert!(is_open(&pools, "centre") && pools.count() == 1);
        pools.stop();
        assert_eq!(pools.count(), 0);
        arbiter.stop();
    });
}

#[test]
fn the_pool_that_was_wanted_least_recently_makes_room() {
    System::new().block_on(async {
        let arbiter = Arbiter::new();
        let (pools, _folder) = started(&arbiter).await;
        for number in 0..MAX_POOLS {
            pools.look(look_in(&number.to_string()));
        }
        pools.look(look_in("0"));
        pools.look(look_in("one more"));
        assert_eq!(pools.count(), MAX_POOLS);
        assert!(is_open(&pools, "0") && is_open(&pools, "one more") && !is_open(&pools, "1"));
        pools.stop();
        arbiter.stop();
    });
}
