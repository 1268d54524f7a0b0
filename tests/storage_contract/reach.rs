//! Leases of businesses that can be reached, and pauses of those that cannot.

use std::sync::Arc;
use std::time::Duration;

use bellhop::domain::business::{Pause, PauseCause, TradingChange};
use bellhop::domain::event::EventType;
use bellhop::domain::ids::{BusinessId, NodeId, UserId};
use bellhop::domain::order::{Draft, DraftItem};
use bellhop::domain::room::RoomId;
use bellhop::domain::saga::Clocks;
use bellhop::domain::time::Timestamp;
use bellhop::protocol::event::RoomEvent;
use bellhop::storage::commands::{
    AddItem, BusinessPatch, Committed, CreateBusiness, Lease, LeaseHistory, Outcome, PauseUnreachable,
    RenewLeases, Write,
};
use bellhop::storage::{BusinessesInUse, Lane};

use crate::fixtures::{Fixture, business, item, place, placed, run, run_one, trade, update};
use crate::harness::TestStore;

const LEASE: Duration = Duration::from_secs(15);

/// Time between two renewals in these tests.
const STEP: Duration = Duration::from_secs(10);

const UNREACHABLE: Duration = Duration::from_secs(300);

/// A node that renews leases, with a lane of its own.
struct Node {
    id: NodeId,
    lane: Box<dyn Lane>,
    store: Arc<TestStore>,
}

impl Node {
    async fn new(store: &Arc<TestStore>) -> Self {
        Self { id: NodeId::generate(), lane: store.lane().await, store: store.clone() }
    }

    fn renewal(&self, businesses: &[BusinessId], history: LeaseHistory) -> Write {
        let leases = businesses.iter().map(|business| Lease { business: *business, devices: 2 }).collect();
        let clocks = Clocks::default();
        Write::RenewLeases(RenewLeases {
            node: self.id,
            leases,
            lapsed: Vec::new(),
            lease: LEASE,
            history,
            clocks,
            beat: None,
        })
    }

    async fn renew(&mut self, businesses: &[BusinessId]) -> Committed {
        let renewal = self.renewal(businesses, LeaseHistory::Unbroken);
        run(&mut *self.lane, vec![renewal]).await
    }

    async fn pause(&mut self) -> Committed {
        let pause = PauseUnreachable { clocks: Clocks::default() };
        run(&mut *self.lane, vec![Write::PauseUnreachable(pause)]).await
    }

    /// Lets time pass in which the node goes on renewing these leases.
    async fn pass(&mut self, time: Duration, businesses: &[BusinessId]) {
        for _ in 0..time.as_secs().div_ceil(STEP.as_secs()) {
            self.store.store.clock().advance(STEP);
            self.renew(businesses).await;
        }
    }

    /// Lets leases be written without a gap for long enough to be believed.
    async fn settled(store: &Arc<TestStore>, businesses: &[BusinessId]) -> Self {
        let mut node = Self::new(store).await;
        node.renew(businesses).await;
        node.pass(UNREACHABLE + STEP, businesses).await;
        node
    }

    fn now(&self) -> Timestamp {
        self.store.store.clock().now()
    }
}

async fn causes(store: &TestStore, business: BusinessId) -> Vec<PauseCause> {
    let business = store.store.business(business).await.unwrap().unwrap();
    business.pauses.iter().map(|pause| pause.cause).collect()
}

/// The rooms and types of events, and of notifications their type instead.
fn told(events: &[RoomEvent]) -> Vec<(RoomId, String)> {
    let word = |event: &RoomEvent| {
        let data: serde_json::Value = serde_json::from_str(event.data.as_str()).unwrap();
        match event.kind == EventType::Notification {
            true => data["type"].as_str().unwrap().to_owned(),
            false => event.kind.as_str().to_owned(),
        }
    };
    events.iter().map(|event| (event.room, word(event))).collect()
}

fn changed(business: BusinessId, alarm: &str) -> Vec<(RoomId, String)> {
    let updated = EventType::BusinessUpdated.as_str();
    [(RoomId::Business(business), updated), (RoomId::Ops, updated), (RoomId::Ops, alarm)]
        .map(|(room, word)| (room, word.to_owned()))
        .into()
}

/// Businesses that take orders, none of which has had one.
async fn new_businesses(lane: &mut dyn Lane, owner: UserId, count: usize) -> Vec<BusinessId> {
    let made: Vec<_> = (0..count).map(|_| business()).collect();
    let ids = made.iter().map(|business| business.id).collect();
    let create = |business| Write::CreateBusiness(CreateBusiness { business: Box::new(business), owner });
    run(lane, made.into_iter().map(create).collect()).await;
    ids
}

/// Each of them has an order.
async fn order_at(lane: &mut dyn Lane, world: &Fixture, businesses: &[BusinessId]) {
    let add = |business: &BusinessId| Write::AddItem(AddItem { business: *business, item: item("TEA", 100) });
    run(lane, businesses.iter().map(add).collect()).await;
    let items = vec![DraftItem { sku: "TEA".to_owned(), qty: 1 }];
    let order =
        |business: &BusinessId| Draft { business_id: *business, items: items.clone(), ..world.draft() };
    let placing = run(lane, businesses.iter().map(order).map(place).collect()).await;
    placing.outcomes.iter().for_each(|outcome| drop(placed(outcome)));
}

/// Businesses in use.
async fn businesses(lane: &mut dyn Lane, world: &Fixture, count: usize) -> Vec<BusinessId> {
    let ids = new_businesses(lane, world.owner, count).await;
    order_at(lane, world, &ids).await;
    ids
}

on_every_store! {
    async fn devices_of_a_business_are_counted_over_all_nodes_while_their_leases_hold(store) {
        let (world, _) = Fixture::new(&store).await;
        let own = world.business.id;
        let (mut one, mut two) = (Node::new(&store).await, Node::new(&store).await);
        let devices = async |node: &mut Node| {
            let Write::RenewLeases(renewal) = node.renewal(&[], LeaseHistory::Unbroken) else { unreachable!() };
            let asked = Write::RenewLeases(RenewLeases { lapsed: vec![own], ..renewal });
            let Outcome::LeasesRenewed(renewed) = run_one(&mut *node.lane, asked).await else { panic!("another outcome") };
            renewed.devices.unwrap().get(&own).copied()
        };
        assert_eq!(devices(&mut one).await, None);
        one.renew(&[own]).await;
        two.renew(&[own]).await;
        assert_eq!(devices(&mut one).await, Some(4));
        store.store.clock().advance(STEP);
        one.renew(&[own]).await;
        store.store.clock().advance(STEP);
        assert_eq!(devices(&mut two).await, Some(2), "the lease of one node has run out");
    }

    async fn a_business_without_a_device_for_five_minutes_is_paused_and_a_device_resumes_it(store) {
        let (world, _) = Fixture::new(&store).await;
        let own = world.business.id;
        let mut node = Node::settled(&store, &[own]).await;
        assert!(node.store.store.business(own).await.unwrap().unwrap().alerts.can_ring_since.is_some());
        node.pass(UNREACHABLE, &[]).await;
        assert!(node.pause().await.events.is_empty(), "its last lease held for 15 s more");
        node.pass(LEASE, &[]).await;
        assert_eq!(told(&node.pause().await.events), changed(own, "BUSINESS_PAUSED"));
        assert_eq!(causes(&store, own).await, [PauseCause::Unreachable]);
        let paused = store.store.business(own).await.unwrap().unwrap();
        assert!(paused.takes_orders(node.now()).is_err());
        assert_eq!(paused.version, world.business.version + 1);
        assert!(node.pause().await.events.is_empty(), "a second time nothing changes");
        assert_eq!(told(&node.renew(&[own]).await.events), changed(own, "BUSINESS_RESUMED"));
        assert_eq!(causes(&store, own).await, []);
        assert!(node.renew(&[own]).await.events.is_empty());
        assert!(node.pause().await.events.is_empty());
    }

    async fn businesses_that_are_paused_by_machine_are_counted_apart_from_those_that_people_pause(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let own = businesses(&mut *lane, &world, 3).await;
        let mut node = Node::settled(&store, &own).await;
        node.pass(UNREACHABLE + LEASE, &own[1..]).await;
        node.pause().await;
        assert_eq!(causes(&store, own[0]).await, [PauseCause::Unreachable]);
        let paused = TradingChange::Paused { until: Some(node.now().plus(UNREACHABLE)) };
        run_one(&mut *lane, trade(own[1], paused)).await;
        let counted = BusinessesInUse { open: 1, paused_by_machine: 1 };
        assert_eq!(store.store.businesses_in_use(node.now()).await.unwrap(), counted);
        let open_again = BusinessesInUse { open: 2, ..counted };
        let later = node.now().plus(UNREACHABLE + STEP);
        assert_eq!(store.store.businesses_in_use(later).await.unwrap(), open_again, "a pause ends by time");
        node.renew(&own).await;
        let all = BusinessesInUse { open: 3, paused_by_machine: 0 };
        assert_eq!(store.store.businesses_in_use(later).await.unwrap(), all);
    }

    async fn changes_of_a_business_do_not_put_off_its_pause_and_opening_does(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let own = world.business.id;
        let mut node = Node::settled(&store, &[own]).await;
        node.pass(UNREACHABLE, &[]).await;
        let renamed = BusinessPatch { name: Some("x".to_owned()), ..BusinessPatch::default() };
        run_one(&mut *lane, update(own, renamed)).await;
        node.pass(LEASE, &[]).await;
        assert_eq!(told(&node.pause().await.events), changed(own, "BUSINESS_PAUSED"));
        let ended = BusinessPatch { ended_pause: Some(PauseCause::Unreachable), ..BusinessPatch::default() };
        for opening in [ended, BusinessPatch { trading: Some(TradingChange::Open), ..BusinessPatch::default() }] {
            run_one(&mut *lane, trade(own, TradingChange::Closed)).await;
            run_one(&mut *lane, update(own, opening)).await;
            assert!(node.pause().await.events.is_empty(), "it has time to connect its devices");
        }
    }

    async fn a_business_no_device_of_which_could_ever_ring_is_not_paused(store) {
        let (world, _) = Fixture::new(&store).await;
        let mut node = Node::settled(&store, &[]).await;
        node.pass(UNREACHABLE + LEASE, &[]).await;
        assert!(node.pause().await.events.is_empty());
        assert_eq!(causes(&store, world.business.id).await, []);
    }

    async fn a_device_ends_the_pause_for_having_none_and_no_other(store) {
        let (world, _) = Fixture::new(&store).await;
        let own = world.business.id;
        let mut node = Node::new(&store).await;
        for cause in PauseCause::ALL {
            let since = node.now();
            let pauses = [PauseCause::Unreachable, cause].map(|cause| Pause { cause, since, until: None });
            let pauses = serde_json::to_string(&pauses).unwrap();
            let sql = format!("UPDATE businesses SET pauses = '{pauses}', unreachable_since = 1 WHERE id = '{own}'");
            store.tamper(sql.leak()).await;
            node.renew(&[own]).await;
            let left: Vec<_> = [cause].into_iter().filter(|cause| *cause != PauseCause::Unreachable).collect();
            assert_eq!(causes(&store, own).await, left);
        }
    }

    async fn forty_of_a_hundred_businesses_without_devices_at_once_pause_none_and_alarm_once(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let mut all = businesses(&mut *lane, &world, 99).await;
        order_at(&mut *lane, &world, &[world.business.id]).await;
        all.push(world.business.id);
        let mut node = Node::settled(&store, &all).await;
        node.pass(UNREACHABLE + LEASE, &all[40..]).await;
        let braked = node.pause().await;
        assert_eq!(told(&braked.events), [(RoomId::Ops, "BUSINESS_PAUSED".to_owned())]);
        let data: serde_json::Value = serde_json::from_str(braked.events[0].data.as_str()).unwrap();
        assert_eq!(data["business_id"], serde_json::Value::Null, "{data}");
        node.pass(STEP, &all[40..]).await;
        assert!(node.pause().await.events.is_empty(), "one alarm is enough");
        assert_eq!(store.peek("SELECT count(*) FROM businesses WHERE pauses IS NOT NULL").await, 0);
        node.pass(STEP, &all[3..]).await;
        assert_eq!(node.pause().await.events.len(), 9, "three are paused when the others are there again");
        node.pass(UNREACHABLE + LEASE, &all[40..]).await;
        assert_eq!(node.pause().await.events.len(), 1, "the next time is another alarm");
    }

    async fn businesses_that_nobody_uses_hold_no_brake_for_the_others(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let mut all = businesses(&mut *lane, &world, 20).await;
        all.extend(new_businesses(&mut *lane, world.owner, 30).await);
        let mut node = Node::settled(&store, &all).await;
        // Three of twenty that are used, and all that nobody uses.
        node.pass(UNREACHABLE + LEASE, &all[3..20]).await;
        assert_eq!(node.pause().await.events.len(), 3 * 33);
        assert_eq!(store.peek("SELECT count(*) FROM hub WHERE brake_alarmed_at IS NOT NULL").await, 0);
    }

    async fn a_business_whose_pause_has_ended_by_time_counts_as_open(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let all = businesses(&mut *lane, &world, 30).await;
        let mut node = Node::settled(&store, &all).await;
        let (since, until) = (Timestamp::default(), Some(node.now()));
        let ended = serde_json::to_string(&[Pause { cause: PauseCause::Manual, since, until }]).unwrap();
        store.tamper(format!("UPDATE businesses SET pauses = '{ended}' WHERE can_ring_since IS NOT NULL").leak()).await;
        node.pass(UNREACHABLE + LEASE, &all[6..]).await;
        assert_eq!(node.pause().await.events.len(), 3 * 6, "six of thirty are a fifth");
    }

    async fn businesses_that_go_one_after_the_other_in_the_same_minutes_are_many_at_once(store) {
        let (world, mut lane) = Fixture::new(&store).await;
        let all = businesses(&mut *lane, &world, 20).await;
        let mut node = Node::settled(&store, &all).await;
        let mut paused = 0;
        for gone in 0..10 {
            node.pass(Duration::from_secs(30), &all[gone + 1..]).await;
            paused += node.pause().await.events.len() / 3;
        }
        node.pass(UNREACHABLE + LEASE, &all[10..]).await;
        paused += node.pause().await.events.len() / 3;
        assert_eq!(paused, 0, "of the first one, nine others were without a device already");
    }

    async fn time_without_leases_is_doubt_and_pauses_nobody(store) {
        let (world, _) = Fixture::new(&store).await;
        let own = world.business.id;
        let mut node = Node::settled(&store, &[own]).await;
        store.store.clock().advance(UNREACHABLE + LEASE);
        node.renew(&[]).await;
        assert!(node.pause().await.events.is_empty(), "the store was away");
        node.pass(UNREACHABLE.checked_sub(STEP).unwrap(), &[]).await;
        assert!(node.pause().await.events.is_empty(), "and has not been back for long enough");
        node.pass(STEP, &[]).await;
        assert_eq!(node.pause().await.events.len(), 3);
    }

    async fn a_node_whose_leases_ran_out_for_want_of_a_store_casts_doubt_on_all(store) {
        let (world, _) = Fixture::new(&store).await;
        let own = world.business.id;
        let mut node = Node::settled(&store, &[own]).await;
        let mut other = Node::new(&store).await;
        other.pass(UNREACHABLE + LEASE, &[]).await;
        let broken = node.renewal(&[], LeaseHistory::Broken);
        run_one(&mut *node.lane, broken).await;
        assert!(other.pause().await.events.is_empty());
        other.pass(UNREACHABLE, &[]).await;
        assert_eq!(other.pause().await.events.len(), 3);
    }

    async fn what_an_operator_holds_is_not_paused(store) {
        let (world, _) = Fixture::new(&store).await;
        let own = world.business.id;
        let mut node = Node::settled(&store, &[own]).await;
        node.pass(UNREACHABLE + LEASE, &[]).await;
        let until = node.now().plus(Duration::from_secs(60)).as_micros();
        store.tamper(format!(
            "INSERT INTO holds (what, scope, until, reason, user_id, created_at) \
             VALUES ('auto_pause', 'zone:centre', {until}, 'a test', 'usr_x', 0)"
        ).leak()).await;
        assert!(node.pause().await.events.is_empty());
        node.pass(Duration::from_secs(60), &[]).await;
        assert_eq!(node.pause().await.events.len(), 3, "a hold ends by itself");
    }

    async fn an_hour_without_a_sign_of_life_is_an_outage_and_begins_a_grace(store) {
        let mut node = Node::new(&store).await;
        node.renew(&[]).await;
        node.pass(STEP, &[]).await;
        let graces = "SELECT count(*) FROM hub WHERE grace_until IS NOT NULL";
        assert_eq!(store.peek(graces).await, 0);
        store.store.clock().advance(Duration::from_secs(3600));
        let before = node.now();
        node.renew(&[]).await;
        let until = before.plus(Clocks::default().grace).as_micros();
        assert_eq!(store.peek(format!("SELECT count(*) FROM hub WHERE grace_until >= {until}").leak()).await, 1);
    }
}
