//! The hub: its store, its clock, and the transactions that the lanes run, one after the other.

use std::collections::BTreeSet;
use std::time::Duration;

use bellhop::domain::business::{PauseCause, PauseEnd};
use bellhop::domain::delivery::{OrderDelivery, ProofRule};
use bellhop::domain::dispatch::{DispatchRules, DriverStand, GiveUp};
use bellhop::domain::ids::UserId;
use bellhop::domain::order::{ChangeRequest, MoveRequest, Moved, NewOrder, Order, Party, Status};
use bellhop::domain::payment::OrderMoney;
use bellhop::domain::saga::{AlertRule, Channel, Clocks, OrderSaga, Rung, SagaTerms, SignsOfLife};
use bellhop::domain::time::Timestamp;
use uuid::Uuid;

use crate::carried::Bag;
use crate::money::Letter;
use crate::owed::{self, Till};
use crate::random::Random;
use crate::riders::{RIDERS, Rider};
use crate::shop::Shop;
use crate::traffic::Traffic;

/// The row of a saga: everything that outlives a crash.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) due_at: Option<Timestamp>,
    pub(crate) attempt: u64,
    pub(crate) state: String,
}

/// An order and what the oracle has seen of it.
pub(crate) struct Live {
    pub(crate) order: Order,
    pub(crate) row: Row,
    pub(crate) shop: usize,
    pub(crate) customer: usize,
    pub(crate) delivered: bool,
    pub(crate) acted_at: Option<Timestamp>,
    /// Every status it entered, with the time and by whom.
    pub(crate) history: Vec<(Status, Timestamp, Party)>,
    pub(crate) uses: BTreeSet<(Channel, Rung)>,
    /// Whether operators were told since the last transition.
    pub(crate) told: bool,
    /// Whether an operator held its cancel at a time when something was due.
    pub(crate) was_held: bool,
    /// Its payments and refunds, as the store keeps them.
    pub(crate) money: OrderMoney,
    /// What the oracle has seen of its money.
    pub(crate) till: Till,
    /// Its delivery by drivers, as the store keeps it.
    pub(crate) delivery: Option<OrderDelivery>,
    /// What the oracle has seen of that.
    pub(crate) bag: Bag,
}

/// A fire that a node has in memory, or that is on its way twice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timer {
    pub(crate) order: usize,
    pub(crate) attempt: u64,
}

/// How often things happened.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) cancelled: u64,
    pub(crate) graced: u64,
    pub(crate) rings: u64,
    pub(crate) accepted_by_itself: u64,
    pub(crate) paused: u64,
    pub(crate) resumed: u64,
    pub(crate) braked: u64,
    pub(crate) calls: u64,
    pub(crate) forgotten: u64,
    pub(crate) crashes: u64,
    pub(crate) captured: u64,
    pub(crate) recorded: u64,
    pub(crate) late_success: u64,
    pub(crate) closed: u64,
    pub(crate) repeated: u64,
    pub(crate) dead: u64,
    pub(crate) asked: u64,
    pub(crate) demanded: u64,
    pub(crate) outside: u64,
    pub(crate) bounced: u64,
    pub(crate) unknown: u64,
    pub(crate) looked: u64,
    pub(crate) retried: u64,
    pub(crate) by_hand: u64,
    pub(crate) silent: u64,
    pub(crate) rests: u64,
    pub(crate) offers: u64,
    pub(crate) won: u64,
    pub(crate) taken: u64,
    pub(crate) over: u64,
    pub(crate) too_late: u64,
    pub(crate) declined: u64,
    pub(crate) expired: u64,
    pub(crate) withdrawn: u64,
    pub(crate) graced_offers: u64,
    pub(crate) went_off: u64,
    pub(crate) silent_riders: u64,
    pub(crate) fenced: u64,
    pub(crate) lost_looks: u64,
    pub(crate) nobody: u64,
    pub(crate) given_up: u64,
    pub(crate) asked_riders: u64,
    pub(crate) stalled: u64,
    pub(crate) suspended: u64,
    pub(crate) left: u64,
    pub(crate) assigned: u64,
    pub(crate) handed: u64,
    pub(crate) late_steps: u64,
    pub(crate) brought: u64,
    pub(crate) failed_steps: u64,
    pub(crate) other_way: u64,
}

pub(crate) struct World {
    pub(crate) clocks: Clocks,
    pub(crate) now: Timestamp,
    pub(crate) up: bool,
    pub(crate) life: SignsOfLife,
    pub(crate) shops: Vec<Shop>,
    pub(crate) orders: Vec<Live>,
    pub(crate) customers: Vec<UserId>,
    pub(crate) clicks: Vec<(usize, MoveRequest)>,
    pub(crate) timers: Vec<Timer>,
    /// Pauses that ended in the present step, with what ended them.
    pub(crate) ended: Vec<(usize, PauseCause, PauseEnd)>,
    /// When leases began to be written without a gap.
    pub(crate) leases_since: Timestamp,
    /// The last commit and the end of the last outage, of the oracle.
    pub(crate) committed_at: Timestamp,
    pub(crate) outage_ended_at: Option<Timestamp>,
    /// When machines paused shops as unreachable.
    pub(crate) machine_pauses: Vec<Timestamp>,
    /// The payment provider, and everything on the way to it and from it.
    pub(crate) traffic: Traffic,
    /// Messages of the provider that were taken in.
    pub(crate) inbox: Vec<Letter>,
    pub(crate) false_messages: u64,
    /// Payments and refunds so far.
    pub(crate) ids: u128,
    pub(crate) riders: Vec<Rider>,
    /// What the pool of drivers believes; it is gone with its node.
    pub(crate) pool: Option<Vec<DriverStand>>,
    /// When the hub last came back.
    pub(crate) up_since: Timestamp,
    /// Until then, since a clock was set back, times of before lie ahead.
    pub(crate) trusted_from: Timestamp,
    pub(crate) seen: Seen,
    pub(crate) steps: Vec<String>,
    traced: bool,
}

/// The clocks of an evening: the long ones are shorter than usual, so that their orders do not ring through the night.
fn clocks(random: &mut Random) -> Clocks {
    let minutes = |n: u64| Duration::from_secs(60 * n);
    let waves: &[&[u32]] = &[&[1, 1, 3], &[1, 1, 3], &[0], &[0], &[2], &[1, 0]];
    let dispatch = DispatchRules {
        wave: random.pick(waves).expect("there are some").to_vec(),
        on_give_up: if random.chance(80) { GiveUp::Cancel } else { GiveUp::Hold },
        proof: if random.chance(60) { ProofRule::None } else { *random.pick(&ProofRule::ALL).expect("four") },
        ..DispatchRules::default()
    };
    Clocks {
        late: minutes(5),
        very_late: minutes(10),
        handover: minutes(10),
        under_way: minutes(10),
        forgotten: minutes(25),
        dispatch,
        ..Clocks::default()
    }
}

/// Numbers of shops and customers.
const SHOPS: u64 = 7;
const CUSTOMERS: u128 = 5;

impl World {
    pub(crate) fn new(random: &mut Random, traced: bool) -> Self {
        let now =
            Timestamp::parse_rfc3339("2026-03-28T18:00:00Z").expect("the evening before the clocks change");
        Self {
            clocks: clocks(random),
            now,
            up: true,
            life: SignsOfLife { alive_at: Some(now), grace: None },
            shops: (0..SHOPS).map(|n| Shop::new(n, random, now)).collect(),
            orders: Vec::new(),
            customers: (1..=CUSTOMERS).map(|n| UserId::from_uuid(Uuid::from_u128(n))).collect(),
            clicks: Vec::new(),
            timers: Vec::new(),
            ended: Vec::new(),
            leases_since: now,
            committed_at: now,
            outage_ended_at: None,
            machine_pauses: Vec::new(),
            traffic: Traffic::new(random),
            inbox: Vec::new(),
            false_messages: 0,
            ids: 0,
            riders: (0..RIDERS).map(|n| Rider::new(n, random, now)).collect(),
            pool: None,
            up_since: now,
            trusted_from: now,
            seen: Seen::default(),
            steps: Vec::new(),
            traced,
        }
    }

    #[expect(clippy::print_stdout, reason = "the steps of a seed that is replayed")]
    pub(crate) fn note(&mut self, step: impl FnOnce() -> String) {
        if self.traced {
            let step = format!("{} {}", self.now.to_rfc3339(), step());
            println!("{step}");
            self.steps.push(step);
        }
    }

    /// Begins a transaction.
    pub(crate) fn commit(&mut self) {
        if self.now.since(self.committed_at) > self.clocks.outage {
            self.outage_ended_at = Some(self.now);
            self.leases_since = self.now;
            let now = self.now;
            self.note(|| format!("an outage ended at {}", now.to_rfc3339()));
        }
        self.committed_at = self.now;
        self.life.commit(self.now, &self.clocks);
        self.hear_riders();
    }

    pub(crate) fn saga(&self, order: usize) -> OrderSaga {
        serde_json::from_str(&self.orders[order].row.state).expect("a saga reads back")
    }

    /// Writes the saga in the commit that changes the order.
    pub(crate) fn write(&mut self, order: usize, saga: &OrderSaga) {
        let live = &mut self.orders[order];
        live.row = Row {
            due_at: saga.next_due(),
            attempt: live.row.attempt + 1,
            state: serde_json::to_string(saga).expect("a saga is written"),
        };
        let attempt = live.row.attempt;
        self.timers.push(Timer { order, attempt });
    }

    pub(crate) fn terms(&self, shop: usize) -> SagaTerms {
        let alerts = &self.shops[shop].business.alerts;
        let (accept_s, ring_every_s, auto_accept) =
            (alerts.accept_s, alerts.ring_every_s, alerts.auto_accept);
        SagaTerms { accept_s, ring_every_s, auto_accept }
    }

    /// Stores a new order.
    pub(crate) fn place(&mut self, new: NewOrder, shop: usize, customer: usize) {
        self.commit();
        let mut order = new.order;
        let saga = OrderSaga::begin(&mut order, self.terms(shop), &self.clocks, self.now);
        let history = vec![(order.status, self.now, new.placed_by)];
        self.orders.push(Live {
            order,
            row: Row { due_at: None, attempt: 0, state: String::new() },
            shop,
            customer,
            delivered: false,
            acted_at: None,
            history,
            uses: BTreeSet::new(),
            told: false,
            was_held: false,
            money: OrderMoney::default(),
            till: Till::default(),
            delivery: None,
            bag: Bag::default(),
        });
        self.write(self.orders.len() - 1, &saga);
    }

    /// Moves an order as somebody asks.
    pub(crate) fn move_order(&mut self, order: usize, request: MoveRequest, reason: Option<&str>) {
        self.commit();
        let (now, shop) = (self.now, self.orders[order].shop);
        let terms = self.shops[shop].read().acceptance(now);
        let from = self.orders[order].order.status;
        let moved = self.orders[order].order.apply(request, reason, Some(terms), now);
        let done = format!("order {order}: {} wants {}: {moved:?}", request.party, request.to);
        self.note(|| done);
        if !matches!(moved, Ok(Moved::Changed(_))) {
            return;
        }
        let (mut saga, saga_terms) = (self.saga(order), self.terms(shop));
        saga.moved(&mut self.orders[order].order, from, request.party, saga_terms, &self.clocks, now);
        self.moved(order, from, request.party, reason);
        self.settle(order);
        self.follow(order, request.party, &mut saga);
        self.write(order, &saga);
    }

    /// Changes an order as somebody asks.
    pub(crate) fn change(&mut self, order: usize, request: ChangeRequest) {
        self.commit();
        let party = request.party;
        let changed = self.orders[order].order.change(request, self.now);
        let done = format!("order {order}: {party} changes {changed:?}");
        self.note(|| done);
        if changed.is_ok_and(|changed| !changed.is_empty()) {
            let mut saga = self.saga(order);
            saga.changed(&self.orders[order].order, party, &self.clocks, self.now);
            self.follow(order, party, &mut saga);
            self.write(order, &saga);
        }
    }

    pub(crate) fn moved(&mut self, order: usize, from: Status, party: Party, words: Option<&str>) {
        let live = &mut self.orders[order];
        if live.till.paid_by.is_some() && owed::gives_all_back(from, live.order.status, words) {
            live.till.all_back = true;
        }
        live.history.push((live.order.status, self.now, party));
        live.told = false;
        let shop = &mut self.shops[live.shop];
        let order = &live.order;
        shop.business.alerts.answered(order, from, party);
        // The same, said by the oracle.
        let is_answer = from == Status::Placed && matches!(order.status, Status::Accepted | Status::Rejected);
        if is_answer && party == Party::Member && AlertRule::of(order) == AlertRule::Full {
            shop.in_a_row.clear();
        }
    }

    /// A device has acknowledged the order.
    pub(crate) fn acknowledge(&mut self, order: usize) {
        self.commit();
        self.orders[order].delivered = true;
        if self.saga(order).accepts_by_itself() {
            let row = &mut self.orders[order].row;
            row.due_at = Some(self.now);
            row.attempt += 1;
            let attempt = row.attempt;
            self.timers.push(Timer { order, attempt });
        }
    }
}
