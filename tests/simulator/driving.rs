//! The hub's transactions around deliveries, offers and drivers.

use std::collections::BTreeSet;
use std::time::Duration;

use bellhop::domain::delivery::{
    Accepted, AnswerRefusal, AssignRefusal, DeliveryEffect, LeaveReason, OfferState, OrderDelivery, Step,
    StepOutcome, StepRefusal, StepReport, Wave,
};
use bellhop::domain::dispatch::{DriverStand, Job, OtherJob, rank};
use bellhop::domain::hold::HeldAction;
use bellhop::domain::ids::{DeliveryId, OfferId, UserId};
use bellhop::domain::location::Location;
use bellhop::domain::order::{MoveRequest, Moved, Party, PaymentMethod, Status, Way};
use bellhop::domain::saga::{DeliveryFacts, OrderSaga};
use bellhop::domain::time::Timestamp;
use uuid::Uuid;

use crate::carried;
use crate::money::OPERATOR;
use crate::random::Random;
use crate::world::World;

/// The id of the next offer.
fn new_offer(ids: &mut u128) -> OfferId {
    *ids += 1;
    OfferId::from_uuid(Uuid::from_u128(0x7000_0000 + *ids))
}

/// A look for a driver, on its way to the pool.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    pub(crate) order: usize,
    pub(crate) attempt: i64,
    pub(crate) wave: u32,
    pub(crate) not: Vec<UserId>,
}

impl World {
    pub(crate) fn pickup(&self, order: usize) -> Location {
        self.shops[self.orders[order].shop].business.location
    }

    pub(crate) fn dropoff(&self, order: usize) -> Location {
        let address = self.orders[order].order.address.as_ref();
        address.map_or(self.pickup(order), |address| address.location)
    }

    /// The end of the grace for the open offers of an order.
    fn offers_grace(&self, delivery: &OrderDelivery) -> Option<Timestamp> {
        let grace = self.life.grace?;
        delivery.was_asking_before(grace.outage_ended_at).then_some(grace.until)
    }

    fn offers_until(&self, delivery: &OrderDelivery) -> Option<Timestamp> {
        delivery.offers_until(self.offers_grace(delivery))
    }

    pub(crate) fn delivery_facts(&self, order: usize) -> Option<DeliveryFacts> {
        let live = &self.orders[order];
        let stored = live.delivery.as_ref()?;
        let delivery = stored.delivery();
        let driver = delivery.driver.map(|driver| &self.riders[self.rider_of(driver)].driver);
        Some(DeliveryFacts {
            status: delivery.status,
            driver: delivery.driver,
            position: driver.and_then(|driver| driver.position),
            alive_at: driver.and_then(|driver| driver.alive_at),
            pickup: self.pickup(order),
            offers_until: self.offers_until(stored),
            held: self.shops[live.shop].holds(HeldAction::Dispatch, self.now),
        })
    }

    /// The delivery follows its order in the commit that moves or changes it, and the saga follows both.
    pub(crate) fn follow(&mut self, order: usize, party: Party, saga: &mut OrderSaga) {
        self.ids += 1;
        let (now, id) = (self.now, DeliveryId::from_uuid(Uuid::from_u128(0x8000_0000 + self.ids)));
        let live = &mut self.orders[order];
        let is_answered = matches!(live.order.status, Status::Accepted | Status::Preparing | Status::Ready);
        if live.delivery.is_none() && live.order.way() == Way::DriverDelivery && is_answered {
            let zone = self.shops[live.shop].business.zone.clone();
            live.delivery = Some(OrderDelivery::begin(id, &live.order, zone, "1234".to_owned(), now));
            live.bag.begin(now);
        }
        let Some(mut delivery) = live.delivery.take() else { return };
        let holder = delivery.delivery().driver;
        let driver = self.riders.iter_mut().map(|rider| &mut rider.driver);
        let driver = driver.into_iter().find(|driver| Some(driver.user) == holder);
        let effects = delivery.follow_order(&live.order, party, driver, now);
        live.delivery = Some(delivery);
        carried::followed(self, order);
        self.delivery_effects(order, effects);
        self.delivery_changed(order, saga);
    }

    /// What is written with every change of a delivery.
    pub(crate) fn delivery_changed(&mut self, order: usize, saga: &mut OrderSaga) {
        let Some(delivery) = self.orders[order].delivery.take() else { return };
        let until = self.offers_until(&delivery);
        let live = &mut self.orders[order];
        live.order.set_delivery(delivery.delivery());
        saga.delivery_changed(&live.order, delivery.delivery(), until, &self.clocks, self.now);
        live.bag.changed_at = self.now;
        live.delivery = Some(delivery);
    }

    pub(crate) fn delivery_effects(&mut self, order: usize, effects: Vec<DeliveryEffect>) {
        for effect in effects {
            match effect {
                DeliveryEffect::OfferClosed(id, reason) => carried::closed(self, order, id, reason),
                DeliveryEffect::WentOffline(user) => {
                    let rider = self.rider_of(user);
                    carried::went_offline(self, rider);
                    self.withdraw_of(user, Some(order));
                }
                DeliveryEffect::Updated | DeliveryEffect::OfferOpened(_) | DeliveryEffect::Left(_) => {}
            }
        }
    }

    /// Closes the open offers of a driver in the same commit; those of `but` are its own affair.
    fn withdraw_of(&mut self, user: UserId, but: Option<usize>) {
        let now = self.now;
        for order in (0..self.orders.len()).filter(|order| Some(*order) != but) {
            let Some(delivery) = &mut self.orders[order].delivery else { continue };
            let effects = delivery.withdraw(user, now);
            if !effects.is_empty() {
                self.delivery_effects(order, effects);
                let mut saga = self.saga(order);
                self.delivery_changed(order, &mut saga);
                self.write(order, &saga);
            }
        }
    }

    /// The time of offers is over; part of the commit that fires the saga.
    pub(crate) fn expire_offers(&mut self, order: usize) {
        let mut rows = self.rows();
        let mut delivery = self.orders[order].delivery.take().expect("offers are of a delivery");
        let grace = self.offers_grace(&delivery);
        let effects = delivery.expire(&mut rows, grace, &self.clocks.dispatch, self.now);
        self.orders[order].delivery = Some(delivery);
        self.write_rows(rows);
        self.delivery_effects(order, effects);
    }

    /// The hub takes a delivery from its driver; part of the commit that fires the saga.
    pub(crate) fn take_from_driver(&mut self, order: usize) {
        carried::may_be_taken(self, order);
        let left = self.leave(order, (Party::System, None), LeaveReason::Stalled, false);
        assert!(left, "the hub takes what nobody has");
        self.seen.stalled += 1;
    }

    /// A look that follows a fire, for the pool of the zone.
    pub(crate) fn look_of(&self, order: usize, wave: u32) -> Look {
        let delivery = self.orders[order].delivery.as_ref().expect("a look is for a delivery");
        Look { order, attempt: delivery.delivery().attempt, wave, not: delivery.not_asked_again() }
    }

    /// What the pool believes now, read from the rows.
    fn stands(&self) -> Vec<DriverStand> {
        let jobs = |user: UserId| {
            let is_theirs = move |n: &usize| {
                let delivery = self.orders[*n].delivery.as_ref().map(OrderDelivery::delivery);
                delivery.is_some_and(|one| one.driver == Some(user) && one.counts)
            };
            let job = |n: usize| {
                let order = &self.orders[n].order;
                OtherJob {
                    business: order.business_id,
                    ready_at: order.ready_at.unwrap_or(self.now),
                    dropoff: self.dropoff(n),
                    is_under_way: order.status == Status::PickedUp,
                }
            };
            (0..self.orders.len()).filter(is_theirs).map(job).collect()
        };
        let online = self.riders.iter().map(|rider| &rider.driver).filter(|driver| driver.online);
        let stand = |driver: &bellhop::domain::dispatch::Driver| DriverStand {
            user: driver.user,
            vehicle: driver.vehicle,
            capacity: driver.capacity,
            jobs: jobs(driver.user),
            takes_cash: driver.takes_cash,
            position: driver.position,
            waiting_since: driver.waiting_since,
            delivered: driver.delivered,
            on_time: driver.on_time,
            is_asked: !self.clocks.dispatch.is_broadcast(1) && self.asked(None).contains(&driver.user),
        };
        online.map(stand).collect()
    }

    /// Drivers with an open offer of another order.
    pub(crate) fn asked(&self, but: Option<usize>) -> BTreeSet<UserId> {
        let others = self.orders.iter().enumerate().filter(|(n, _)| Some(*n) != but);
        let offers = others.filter_map(|(_, live)| live.delivery.as_ref()).flat_map(OrderDelivery::offers);
        offers.filter(|offer| offer.state == OfferState::Open).map(|offer| offer.driver).collect()
    }

    /// The pool ranks: the first wave in whose radius somebody is. It may believe what was so some time ago.
    pub(crate) fn rank(&mut self, look: &Look, random: &mut Random) -> Option<Wave> {
        if self.pool.is_none() || random.chance(55) {
            self.pool = Some(self.stands());
        }
        let (stands, rules) = (self.pool.as_ref()?, &self.clocks.dispatch);
        let zone = &self.shops[self.orders[look.order].shop].business.zone;
        let order = &self.orders[look.order].order;
        let (pickup, dropoff) = (self.pickup(look.order), self.dropoff(look.order));
        let in_zone =
            |stand: &&DriverStand| self.riders[self.rider_of(stand.user)].driver.zones.contains(zone);
        let is_cash = order.payment_method == PaymentMethod::Cash;
        for number in look.wave.. {
            let job = Job {
                business: order.business_id,
                pickup,
                dropoff,
                ready_at: order.ready_at.unwrap_or(self.now),
                is_cash,
                radius_m: rules.radius_of(number),
                most: rules.size_of(number),
                not: look.not.clone(),
            };
            let candidates = rank(&job, stands.iter().filter(in_zone), rules.speed_mps, self.now);
            if !candidates.is_empty() {
                let payout_minor = rules.payout_in(zone, pickup.metres_to(dropoff) as i64);
                return Some(Wave { number, attempt: look.attempt, candidates, payout_minor, is_cash });
            }
            if rules.is_widest(number) {
                break;
            }
        }
        None
    }

    /// Opens a wave that a pool proposes, and gives its offers.
    pub(crate) fn open_wave(&mut self, order: usize, wave: &Wave) -> Vec<(OfferId, UserId)> {
        self.commit();
        let (now, rows, asked) = (self.now, self.rows(), self.asked(Some(order)));
        let mut ids = self.ids;
        let Some(delivery) = &mut self.orders[order].delivery else { return Vec::new() };
        let before = delivery.clone();
        let new = || new_offer(&mut ids);
        let effects = delivery.open_wave(wave, &rows, &asked, new, &self.clocks.dispatch, now);
        self.ids = ids;
        let opened: Vec<_> = effects
            .iter()
            .filter_map(|effect| match effect {
                DeliveryEffect::OfferOpened(id) => Some((*id, delivery.offer(*id)?.driver)),
                _ => None,
            })
            .collect();
        if effects.is_empty() {
            assert_eq!(*delivery, before, "no wave changes nothing");
            self.seen.fenced += u64::from(before.delivery().attempt != wave.attempt);
            return opened;
        }
        self.note(|| format!("order {order}: wave {} for {opened:?}", wave.number));
        carried::opened(self, order, wave, &opened, &asked);
        let mut saga = self.saga(order);
        saga.wave_opened(wave.number);
        self.delivery_changed(order, &mut saga);
        self.write(order, &saga);
        opened
    }

    /// A driver answers an offer. Whether they have the delivery by that.
    pub(crate) fn answer(&mut self, order: usize, id: OfferId, rider: usize, accepts: bool) -> bool {
        self.commit();
        let now = self.now;
        let expected = carried::expected(self, order, id, rider);
        let mut delivery = self.orders[order].delivery.take().expect("an offer is of a delivery");
        let grace = self.offers_grace(&delivery);
        let (before, row) = (delivery.clone(), self.riders[rider].driver.clone());
        let driver = &mut self.riders[rider].driver;
        let answered = if accepts {
            delivery.accept(id, driver, grace, now)
        } else {
            delivery.decline(id, driver, Some("too far".to_owned()), now)
        };
        let is_same = (&delivery, &*driver) == (&before, &row);
        self.orders[order].delivery = Some(delivery);
        let said = if accepts { "accepts" } else { "declines" };
        self.note(|| format!("order {order}: rider {rider} {said} {id}: {answered:?}"));
        carried::answered(self, order, (id, rider), accepts, &answered, expected);
        match answered {
            Ok(Accepted::Now(effects)) => {
                self.delivery_effects(order, effects);
                if accepts {
                    self.full(rider, order);
                }
                let mut saga = self.saga(order);
                self.delivery_changed(order, &mut saga);
                self.write(order, &saga);
                accepts
            }
            Ok(Accepted::Already) | Err(_) => {
                assert!(is_same, "an answer that counts for nothing changes nothing");
                self.seen.taken += u64::from(answered == Err(AnswerRefusal::Taken));
                self.seen.over += u64::from(answered == Err(AnswerRefusal::OverCapacity));
                self.seen.too_late += u64::from(answered == Err(AnswerRefusal::Expired));
                false
            }
        }
    }

    /// A driver without room has no open offer any more.
    pub(crate) fn full(&mut self, rider: usize, order: usize) {
        let driver = &self.riders[rider].driver;
        if !driver.has_room() {
            let user = driver.user;
            self.withdraw_of(user, Some(order));
        }
    }

    /// Somebody reports a step.
    pub(crate) fn step(
        &mut self,
        order: usize,
        (party, user): (Party, UserId),
        report: &StepReport,
    ) -> Result<StepOutcome, StepRefusal> {
        self.commit();
        let (now, live) = (self.now, &mut self.orders[order]);
        let Some(mut delivery) = live.delivery.take() else { return Err(StepRefusal::NoSuchDelivery) };
        let (before, holder) = (delivery.clone(), delivery.delivery().driver);
        let mut rows = self.riders.iter().map(|rider| rider.driver.clone()).collect::<Vec<_>>();
        let driver = rows.iter_mut().find(|driver| Some(driver.user) == holder);
        let rules = &self.clocks.dispatch;
        let taken = delivery.report(report, (party, user), &live.order, driver, rules, now);
        let done = format!("order {order}: step {} by {party}: {taken:?}", report.step);
        let Ok(StepOutcome::Done { at, order: to, .. }) = &taken else {
            let tries = delivery.delivery().code_tries;
            assert!(delivery.delivery() == before.delivery() || tries == before.delivery().code_tries + 1);
            live.delivery = Some(delivery);
            self.note(|| done);
            return taken;
        };
        let since = before.delivery().assigned_at.unwrap_or(now);
        assert!(*at <= now && (*at >= since || since > now), "what counts lies since the assignment");
        let from = live.order.status;
        if let Some(to) = *to {
            let request = MoveRequest {
                party,
                to,
                version: live.order.version,
                prep_minutes: None,
                delivered_by: None,
            };
            let words = report.reason.map(|reason| reason.as_str());
            let moved = live.order.apply(request, words, None, now);
            if !matches!(moved, Ok(Moved::Changed(_))) {
                // An end is corrected for a day only. All of it is as it was.
                assert_eq!(before.delivery().status.is_end(), moved.is_err(), "{done} but {moved:?}");
                live.delivery = Some(before);
                return Err(StepRefusal::NoSuchDelivery);
            }
        }
        live.delivery = Some(delivery);
        for (rider, row) in self.riders.iter_mut().zip(rows) {
            rider.driver = row;
        }
        self.note(|| done);
        carried::stepped(self, order, (party, user), report.step);
        let mut saga = self.saga(order);
        if to.is_some() {
            let terms = self.terms(self.orders[order].shop);
            saga.moved(&mut self.orders[order].order, from, party, terms, &self.clocks, now);
            self.moved(order, from, party, report.reason.map(|reason| reason.as_str()));
            self.settle(order);
        }
        let stepped = self.orders[order].delivery.clone();
        self.follow(order, party, &mut saga);
        assert_eq!(stepped, self.orders[order].delivery, "a step moves both, and nothing is left to follow");
        self.write(order, &saga);
        taken
    }

    /// An operator gives a delivery to a driver.
    pub(crate) fn assign(&mut self, order: usize, rider: usize) -> bool {
        self.commit();
        let (now, mut ids) = (self.now, self.ids);
        let Some(mut delivery) = self.orders[order].delivery.take() else { return false };
        let before = delivery.clone();
        let holder = delivery.delivery().driver;
        let mut rows = self.riders.iter().map(|rider| rider.driver.clone()).collect::<Vec<_>>();
        let mut driver = rows[rider].clone();
        let former = rows.iter_mut().find(|row| Some(row.user) == holder && row.user != driver.user);
        let assigned = delivery.assign(&mut driver, former, 300, new_offer(&mut ids), now);
        self.ids = ids;
        self.note(|| format!("order {order}: an operator assigns rider {rider}: {assigned:?}"));
        if assigned == Err(AssignRefusal::OverCapacity) {
            assert_eq!(carried::load(self, rider), u64::from(driver.capacity), "there was room");
        }
        let Ok(effects) = assigned else {
            assert_eq!(delivery, before, "a refusal changes nothing");
            self.orders[order].delivery = Some(before);
            return false;
        };
        rows[rider] = driver;
        for (rider, row) in self.riders.iter_mut().zip(rows) {
            rider.driver = row;
        }
        let is_new = !effects.is_empty();
        self.orders[order].delivery = Some(delivery);
        if is_new {
            self.seen.assigned += 1;
            self.seen.handed += u64::from(before.delivery().status.is_under_way());
            carried::assigned(self, order, rider);
        }
        self.delivery_effects(order, effects);
        self.full(rider, order);
        let mut saga = self.saga(order);
        self.delivery_changed(order, &mut saga);
        self.write(order, &saga);
        is_new
    }

    /// A delivery leaves its driver. Whether it did.
    pub(crate) fn leave(
        &mut self,
        order: usize,
        by: (Party, Option<UserId>),
        reason: LeaveReason,
        is_fault: bool,
    ) -> bool {
        let Some(mut delivery) = self.orders[order].delivery.take() else { return false };
        let (now, before, holder) = (self.now, delivery.clone(), delivery.delivery().driver);
        let driver = self.riders.iter_mut().map(|rider| &mut rider.driver);
        let driver = driver.into_iter().find(|driver| Some(driver.user) == holder);
        let left = delivery.leave(by, reason, is_fault, driver, now);
        self.note(|| format!("order {order}: {} lets it leave: {left:?}", by.0));
        let Ok(effects) = left else {
            assert_eq!(delivery, before, "a refusal changes nothing");
            self.orders[order].delivery = Some(before);
            return false;
        };
        self.orders[order].delivery = Some(delivery);
        carried::left(self, order, by.0);
        self.delivery_effects(order, effects);
        true
    }

    /// The same as a commit of its own.
    pub(crate) fn leave_now(&mut self, order: usize, by: (Party, Option<UserId>), is_fault: bool) -> bool {
        self.commit();
        let reason = if by.0 == Party::Driver { LeaveReason::Driver } else { LeaveReason::Operator };
        let left = self.leave(order, by, reason, is_fault);
        if left {
            let mut saga = self.saga(order);
            self.delivery_changed(order, &mut saga);
            self.write(order, &saga);
        }
        left
    }

    /// The order goes another way while nobody has it.
    pub(crate) fn change_way(&mut self, order: usize, is_own: bool) {
        self.commit();
        let (now, live) = (self.now, &mut self.orders[order]);
        let Some(mut delivery) = live.delivery.take() else { return };
        let is_searched = delivery.delivery().status.is_searched() && !live.order.status.is_end();
        if is_searched {
            let (party, reason) = if is_own {
                live.order.bring_by_business(now);
                (Party::Member, LeaveReason::Own)
            } else {
                live.order.fetch_by_customer(now);
                (Party::Customer, LeaveReason::Pickup)
            };
            let effects = delivery.cancel(party, reason, None, now);
            live.delivery = Some(delivery);
            self.delivery_effects(order, effects);
            let mut saga = self.saga(order);
            saga.way_changed(&mut self.orders[order].order, party, &self.clocks, now);
            self.delivery_changed(order, &mut saga);
            self.write(order, &saga);
            self.orders[order].bag.other_way_at = Some(now);
            self.seen.other_way += 1;
            self.note(|| format!("order {order}: {reason}"));
        } else {
            live.delivery = Some(delivery);
        }
    }

    /// An operator says until when it is searched.
    pub(crate) fn extend(&mut self, order: usize, by: Duration) {
        self.commit();
        let (until, mut saga) = (self.now.plus(by), self.saga(order));
        if saga.extend_search(until) {
            self.orders[order].bag.extended = Some(until);
            self.write(order, &saga);
        }
    }

    /// A driver comes on or goes off.
    pub(crate) fn set_online(&mut self, rider: usize, online: bool) {
        self.commit();
        let now = self.now;
        let driver = &mut self.riders[rider].driver;
        if online {
            let is_new = driver.set_online(now).expect("every driver has a zone");
            if is_new {
                self.riders[rider].ignored = 0;
            }
            return;
        }
        driver.set_offline(now);
        let user = driver.user;
        self.withdraw_of(user, None);
    }

    /// Sets drivers off of whom nothing was heard, while the hub was there all the time.
    pub(crate) fn end_silent(&mut self) {
        self.commit();
        let (now, limit) = (self.now, self.clocks.dispatch.alive);
        let was_there = self.life.grace.is_none_or(|grace| now.since(grace.outage_ended_at) > limit);
        for n in 0..self.riders.len() {
            let driver = &self.riders[n].driver;
            if was_there && driver.online && driver.is_silent(limit, now) {
                let quiet = self.riders[n].quiet_since.is_some_and(|since| now.since(since) > limit);
                assert!(quiet, "rider {n} could be heard and is set off");
                self.set_online(n, false);
                self.seen.silent_riders += 1;
            }
        }
    }

    /// An operator says where it is.
    pub(crate) fn operator_step(&mut self, order: usize, step: Step) {
        let reason = (step == Step::Failed).then_some(bellhop::domain::order::FailureReason::DriverFault);
        let report = StepReport { reason, ..crate::streets::plain(step) };
        let _ = self.step(order, (Party::Admin, OPERATOR), &report);
    }
}
