//! The hub's transactions around deliveries, offers and drivers.

use std::collections::BTreeSet;

use bellhop::domain::delivery::{DeliveryEffect, LeaveReason, OfferState, OrderDelivery, Wave};
use bellhop::domain::dispatch::{DriverStand, Job, OtherJob, rank};
use bellhop::domain::hold::HeldAction;
use bellhop::domain::ids::{DeliveryId, OfferId, UserId};
use bellhop::domain::location::Location;
use bellhop::domain::order::{Party, PaymentMethod, Status, Way};
use bellhop::domain::saga::{DeliveryFacts, OrderSaga};
use bellhop::domain::time::Timestamp;
use uuid::Uuid;

use crate::carried;
use crate::random::Random;
use crate::world::World;

/// The id of the next offer.
pub(crate) fn new_offer(ids: &mut u128) -> OfferId {
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
    pub(crate) after: Vec<UserId>,
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
    pub(crate) fn offers_grace(&self, delivery: &OrderDelivery) -> Option<Timestamp> {
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
            may_work: driver.is_none_or(|driver| driver.approved),
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
    pub(crate) fn withdraw_of(&mut self, user: UserId, but: Option<usize>) {
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
        Look {
            order,
            attempt: delivery.delivery().attempt,
            wave,
            not: delivery.not_asked_again(),
            after: delivery.asked_in_vain(),
        }
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
                after: look.after.clone(),
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
}
