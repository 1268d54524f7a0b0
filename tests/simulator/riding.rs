//! What drivers say: answers to offers, steps, and whether they want offers.

use bellhop::domain::delivery::{
    Accepted, AnswerRefusal, OrderDelivery, Step, StepOutcome, StepRefusal, StepReport,
};
use bellhop::domain::ids::{OfferId, UserId};
use bellhop::domain::order::{MoveRequest, Moved, Party};

use crate::carried;
use crate::money::OPERATOR;
use crate::world::World;

impl World {
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

    /// A driver comes on or goes off.
    pub(crate) fn set_online(&mut self, rider: usize, online: bool) {
        self.commit();
        let now = self.now;
        let driver = &mut self.riders[rider].driver;
        if online && !driver.approved {
            return;
        }
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

    /// An operator closes the account of a driver. That their orders are looked at at once may be lost with the node.
    pub(crate) fn suspend(&mut self, rider: usize, is_lost: bool) {
        self.commit();
        let driver = &mut self.riders[rider].driver;
        driver.suspend(self.now);
        let user = driver.user;
        self.withdraw_of(user, None);
        self.seen.suspended += 1;
        self.note(|| format!("rider {rider} is suspended"));
        for order in (0..self.orders.len()).filter(|_| !is_lost) {
            let delivery = self.orders[order].delivery.as_ref().map(OrderDelivery::delivery);
            if delivery.is_some_and(|one| one.driver == Some(user) && one.counts) {
                let mut saga = self.saga(order);
                saga.look_at_driver(self.now);
                self.write(order, &saga);
            }
        }
    }

    /// An operator opens the account again.
    pub(crate) fn restore(&mut self, rider: usize) {
        self.commit();
        self.riders[rider].driver.approved = true;
    }

    /// Sets drivers off of whom nothing was heard, while the hub was there all the time.
    pub(crate) fn end_silent(&mut self) {
        self.commit();
        let (now, alive) = (self.now, self.clocks.dispatch.alive);
        let limit = alive + self.clocks.outage;
        let was_away = self.life.grace.is_some_and(|grace| now.since(grace.outage_ended_at) < limit);
        let has_listened = now.since(self.up_since) > alive;
        for n in 0..self.riders.len() {
            let driver = &self.riders[n].driver;
            if !was_away && has_listened && driver.online && driver.is_silent(limit, now) {
                let quiet = self.riders[n].quiet_since.is_some_and(|since| now.since(since) > alive);
                assert!(quiet, "rider {n} could be heard and is set off");
                self.set_online(n, false);
                self.seen.silent_riders += 1;
            }
        }
    }

    /// An operator says where it is.
    pub(crate) fn operator_step(&mut self, order: usize, step: Step) {
        let reason = (step == Step::Failed).then_some(bellhop::domain::order::FailureReason::DriverFault);
        let report = StepReport { reason, ..StepReport::of(step) };
        let _ = self.step(order, (Party::Admin, OPERATOR), &report);
    }
}
