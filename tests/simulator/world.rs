//! The hub: its store, its clock, and the transactions that the lanes run, one after the other.

use std::collections::BTreeSet;
use std::time::Duration;

use bellhop::domain::business::{BrakeVerdict, Pause, PauseCause, PauseEnd, Unreachables};
use bellhop::domain::hold::HeldAction;
use bellhop::domain::ids::UserId;
use bellhop::domain::order::{ChangeRequest, MoveRequest, Moved, NewOrder, Order, Party, Status};
use bellhop::domain::payment::OrderMoney;
use bellhop::domain::saga::{
    AlertRule, Channel, Clocks, Facts, OrderSaga, RingKind, Rung, SagaEffect, SagaTerms, SignsOfLife,
};
use bellhop::domain::time::Timestamp;
use uuid::Uuid;

use crate::invariants;
use crate::money::{Letter, Work};
use crate::owed::{self, Till};
use crate::random::Random;
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
}

/// A fire that a node has in memory, or that is on its way twice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timer {
    pub(crate) order: usize,
    pub(crate) attempt: u64,
}

/// Something that happens by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// What was on its way is there.
    Arrives(usize),
    /// A deadline of an order has come.
    Fires(usize),
    /// The worker has something to do.
    Works(Work),
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
    pub(crate) seen: Seen,
    pub(crate) steps: Vec<String>,
    traced: bool,
}

/// The clocks of an evening: the long ones are shorter than usual, so that their orders do not ring through the night.
fn clocks() -> Clocks {
    let minutes = |n: u64| Duration::from_secs(60 * n);
    Clocks {
        late: minutes(5),
        very_late: minutes(10),
        handover: minutes(10),
        under_way: minutes(10),
        forgotten: minutes(25),
        ..Clocks::default()
    }
}

/// Half days after an evening until money has come to rest at the latest.
const MOST_DAYS: u32 = 20;

/// Numbers of shops and customers.
const SHOPS: u64 = 7;
const CUSTOMERS: u128 = 5;

impl World {
    pub(crate) fn new(random: &mut Random, traced: bool) -> Self {
        let now =
            Timestamp::parse_rfc3339("2026-03-28T18:00:00Z").expect("the evening before the clocks change");
        Self {
            clocks: clocks(),
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

    /// The transaction of a deadline: nothing where the row was written since, or is not due.
    pub(crate) fn fire(&mut self, Timer { order, attempt }: Timer) {
        self.commit();
        let row = &self.orders[order].row;
        if row.attempt != attempt || row.due_at.is_none_or(|due| due > self.now) {
            return;
        }
        let mut saga = self.saga(order);
        let live = &self.orders[order];
        let shop = &self.shops[live.shop];
        let business = shop.read();
        let facts = Facts {
            now: self.now,
            clocks: &self.clocks,
            unpaid: self.unpaid(order),
            delivered: live.delivered,
            acted_at: live.acted_at,
            muted: business.alerts.is_muted(self.now),
            called_at: business.alerts.called_at,
            mailed_at: business.alerts.mailed_at,
            grace: self.life.grace,
            cancel_held: shop.holds(HeldAction::AutoCancel, self.now),
            saga_terms: self.terms(live.shop),
            terms: Some(business.acceptance(self.now)),
        };
        let mut moved = live.order.clone();
        let effects = saga.fire(&mut moved, &facts);
        self.orders[order].order = moved;
        self.orders[order].was_held |= facts.cancel_held;
        let done = format!("order {order} fires: {effects:?}");
        self.note(|| done);
        for effect in effects {
            self.effect(order, effect);
        }
        assert!(saga.next_due().is_none_or(|due| due > self.now), "a fire leaves nothing due: {saga:?}");
        self.write(order, &saga);
    }

    fn effect(&mut self, order: usize, effect: SagaEffect) {
        let (now, live) = (self.now, &mut self.orders[order]);
        let shop = &mut self.shops[live.shop];
        match effect {
            SagaEffect::Ring(ring) => {
                invariants::ring(live, ring, &self.clocks, now);
                self.seen.rings += 1;
                let by_itself = live.history.last().is_some_and(|(_, _, party)| *party == Party::System);
                self.seen.accepted_by_itself += u64::from(
                    by_itself && ring.kind == RingKind::Placed && live.order.status == Status::Accepted,
                );
            }
            SagaEffect::Use(channel, rung) => {
                invariants::channel(live, shop, channel, rung, &self.clocks, now);
                assert!(live.uses.insert((channel, rung)), "a channel is used once for a rung");
                match channel {
                    Channel::Telephone => {
                        shop.calls.push(now);
                        shop.business.alerts.called_at = Some(now);
                        self.seen.calls += 1;
                    }
                    Channel::Mail => {
                        shop.mails.push(now);
                        shop.business.alerts.mailed_at = Some(now);
                    }
                    Channel::Webhook => {}
                }
            }
            SagaEffect::Moved { from, .. } => {
                self.seen.forgotten += u64::from(live.order.status == Status::Delivered);
                self.seen.cancelled += u64::from(live.order.status == Status::Cancelled);
                invariants::moved_by_the_hub(order, from, self);
                self.moved(order, from, Party::System, None);
                self.settle(order);
            }
            SagaEffect::Alarm(_) => live.told = true,
            SagaEffect::Remind => {}
            SagaEffect::ClosePayment => {
                live.till.closing_since.get_or_insert(now);
                live.money.ask(now);
            }
            SagaEffect::Unanswered(unanswered) => {
                if unanswered.counts {
                    assert!(invariants::may_count(&self.orders[order], self), "counts for an outage");
                    self.unanswered(order, unanswered.customer);
                } else {
                    self.seen.graced += 1;
                }
            }
        }
    }

    /// Counts an order without an answer, and pauses its business when the rule says so.
    fn unanswered(&mut self, order: usize, customer: UserId) {
        let (now, index) = (self.now, self.orders[order].shop);
        let waits = |live: &&Live| {
            let since = live.order.placed_at.unwrap_or(now);
            live.shop == index
                && live.order.status == Status::Placed
                && AlertRule::of(&live.order) == AlertRule::Full
                && since.plus(self.clocks.escalate) < now
        };
        let waiting: Vec<UserId> =
            self.orders.iter().filter(waits).map(|live| live.order.customer_id).collect();
        let customer_index = self.orders[order].customer;
        let shop = &mut self.shops[index];
        if shop.holds(HeldAction::AutoPause, now) {
            return;
        }
        let pauses = shop.business.alerts.ran_out(customer, &waiting, self.clocks.unanswered_pause);
        // The same, said by the oracle.
        if !shop.in_a_row.contains(&customer_index) {
            shop.in_a_row.push(customer_index);
        }
        let others: BTreeSet<UserId> = waiting.into_iter().filter(|other| *other != customer).collect();
        assert_eq!(pauses, shop.in_a_row.len() >= 3 || others.len() >= 2, "the rule of unanswered orders");
        if pauses {
            shop.in_a_row.clear();
            let timezone = shop.business.timezone.clone();
            shop.pause(Pause::unanswered(now, &timezone));
            self.seen.paused += 1;
            self.note(|| format!("shop {index} is paused as unanswered"));
        }
    }

    /// Pauses shops without a device, as every node asks for every few seconds.
    pub(crate) fn pause_unreachable(&mut self) {
        self.commit();
        let (now, limit) = (self.now, self.clocks.unreachable);
        for shop in self.shops.iter_mut().filter(|shop| shop.devices > 0) {
            shop.reachable_at = Some(now);
        }
        let is_candidate = |shop: &Shop| {
            shop.devices == 0
                && shop.business.alerts.can_ring_since.is_some()
                && shop.reachable_at.is_some_and(|at| now.since(at) >= limit)
                && shop.read().takes_orders(now).is_ok()
                && !shop.holds(HeldAction::AutoPause, now)
        };
        let candidates: Vec<usize> =
            (0..self.shops.len()).filter(|n| is_candidate(&self.shops[*n])).collect();
        let open = self.shops.iter().filter(|shop| shop.read().takes_orders(now).is_ok()).count();
        let recent = self.machine_pauses.iter().filter(|at| now.since(**at) < limit).count();
        let small = |n: usize| u32::try_from(n).expect("a few shops");
        let unreachables = Unreachables {
            open: small(open),
            candidates: small(candidates.len()),
            recent: small(recent),
            in_doubt: now.since(self.leases_since) < limit,
        };
        let verdict = unreachables.verdict(&self.clocks);
        if verdict == BrakeVerdict::Brake {
            self.seen.braked += 1;
        }
        if verdict != BrakeVerdict::Pause {
            return;
        }
        for n in candidates {
            self.shops[n].pause(Pause { cause: PauseCause::Unreachable, since: now, until: None });
            self.machine_pauses.push(now);
            self.seen.paused += 1;
            self.note(|| format!("shop {n} is paused as unreachable"));
        }
    }

    /// Ends a pause, if its cause ends so.
    pub(crate) fn end_pause(&mut self, shop: usize, cause: PauseCause, end: PauseEnd) {
        self.commit();
        let mut pauses = self.shops[shop].stored_pauses();
        let held = pauses.of(cause, self.now).is_some();
        let ended = pauses.end(cause, end, self.now);
        self.shops[shop].write_pauses(&pauses);
        if held && ended {
            self.seen.resumed += 1;
            self.ended.push((shop, cause, end));
        }
        self.note(|| format!("shop {shop}: {end:?} ends {cause}: {ended}"));
    }

    /// Lets time pass: what is on its way arrives, and while the hub is up its clocks fire and its worker works, a little late.
    pub(crate) fn wait(&mut self, time: Duration, random: &mut Random) {
        let until = self.now.plus(time);
        while let Some((due, next)) = self.next_event().filter(|(due, _)| *due <= until) {
            let late = Duration::from_millis(random.between(0, 1500));
            self.now = self.now.max(due.plus(if self.up { late } else { Duration::ZERO }));
            if self.up {
                // In between the hub showed signs of life.
                self.breathe();
            }
            match next {
                Event::Arrives(n) => {
                    let happening = self.traffic.take(n);
                    self.happen(happening, random);
                }
                Event::Fires(order) => {
                    let attempt = self.orders[order].row.attempt;
                    self.fire(Timer { order, attempt });
                    if random.chance(5) {
                        self.fire(Timer { order, attempt });
                    }
                }
                Event::Works(work) => self.work(work, random),
            }
        }
        self.now = self.now.max(until);
        if self.up {
            self.breathe();
        }
        self.timers.retain(|_| random.chance(80));
    }

    /// What happens next by itself, and when.
    fn next_event(&self) -> Option<(Timestamp, Event)> {
        let arrives = self.traffic.next().map(|(at, n)| (at, Event::Arrives(n)));
        if !self.up {
            return arrives;
        }
        let rows = self.orders.iter().enumerate();
        let fires = rows.filter_map(|(n, live)| Some((live.row.due_at?, Event::Fires(n)))).min();
        let works = self.next_work().map(|(at, work)| (at, Event::Works(work)));
        [arrives, fires, works].into_iter().flatten().min()
    }

    /// The hub is gone, and with it everything that it had in memory.
    pub(crate) fn crash(&mut self) {
        self.note(|| "the hub is away".to_owned());
        self.up = false;
        self.timers.clear();
        self.traffic.crash();
        self.seen.crashes += 1;
    }

    /// The heartbeat that a hub had that was up all the time.
    fn breathe(&mut self) {
        let before = self.now.minus(Duration::from_secs(5));
        self.committed_at = self.committed_at.max(before);
        self.life.alive_at = self.life.alive_at.max(Some(before));
    }

    /// The hub comes back, and fires what is overdue.
    pub(crate) fn start(&mut self) {
        self.up = true;
        self.commit();
        for order in 0..self.orders.len() {
            let row = &self.orders[order].row;
            if row.due_at.is_some_and(|due| due <= self.now) {
                let attempt = row.attempt;
                self.fire(Timer { order, attempt });
            }
        }
    }

    /// Nobody begins anything for some hours, and nothing goes wrong.
    pub(crate) fn rest(&mut self, random: &mut Random) {
        self.be_calm(random);
        self.wait(Duration::from_secs(6 * 3600), random);
        owed::check_rest(self, false);
        self.traffic.provider.is_calm = false;
        self.seen.rests += 1;
    }

    fn be_calm(&mut self, random: &mut Random) {
        self.ended.clear();
        self.traffic.provider.is_calm = true;
        self.traffic.provider.silent_until = None;
        for shop in &mut self.shops {
            shop.holds.clear();
        }
        if !self.up {
            self.start();
        }
        self.wait(Duration::ZERO, random);
    }

    /// Nobody does anything any more, until every clock has run out and every refund has arrived or was given by hand.
    pub(crate) fn run_out(&mut self, random: &mut Random) {
        self.be_calm(random);
        self.clear_up(random);
        self.wait(Duration::from_secs(6 * 3600), random);
        for _ in 0..MOST_DAYS {
            let is_over = |n: usize| self.orders[n].row.due_at.is_none() && self.is_at_rest(n);
            if self.traffic.next().is_none() && (0..self.orders.len()).all(is_over) {
                break;
            }
            self.clear_up(random);
            self.wait(Duration::from_secs(12 * 3600), random);
        }
    }
}
