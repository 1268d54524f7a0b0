//! Steps of deliveries and changes of hands, as drivers and operators report them.

use serde_json::json;

use crate::domain::delivery::{
    AssignRefusal, DeliveryEffect, LeaveReason, LeaveRefusal, Step, StepOutcome, StepRefusal, told,
};
use crate::domain::ids::OrderId;
use crate::domain::location::Location;
use crate::domain::order::{MoveRequest, Moved, Party, Status};
use crate::domain::saga::OpsAlarm;
use crate::domain::time::Timestamp;
use crate::storage::commands::{
    AssignDriver, ChangeWay, DeliveryChanged, ExtendSearch, LeaveDelivery, OtherWay, Outcome, ReportStep,
    StepTaken, WayRefusal,
};
use crate::storage::sql::errors::TxError;

use super::super::answer::Answer;
use super::super::deadline_facts::saga_terms;
use super::super::deliveries::StepRow;
use super::super::orders::Mover;
use super::dispatch::carrier;
use super::{Source, Transaction};

impl Transaction<'_> {
    /// Takes a step, and moves the order with it. A step of a driver who has the delivery no more is kept and changes nothing.
    pub(super) async fn report_step(&mut self, wish: &ReportStep) -> Result<Answer, TxError> {
        let taken = self.step(wish).await?;
        Ok(Outcome::StepReported(taken).into())
    }

    async fn step(&mut self, wish: &ReportStep) -> Result<Result<StepTaken, StepRefusal>, TxError> {
        let (id, report, clocks) = (wish.order, &wish.report, self.clocks.clone());
        let Some(before) = self.deliveries.get(id).cloned() else {
            return Ok(Err(StepRefusal::NoSuchDelivery));
        };
        let former = before.delivery().driver.and_then(|driver| self.deliveries.driver(driver)).cloned();
        let outcome = self.with_delivery(id, |delivery, drivers, order, now| {
            let driver = carrier(delivery, drivers);
            delivery.report(report, (wish.party, wish.user), order, driver, &clocks.dispatch, now)
        });
        let (at, to, difference_minor, effects) = match outcome.unwrap_or(Err(StepRefusal::NoSuchDelivery)) {
            Err(refusal) => return Ok(Err(refusal)),
            Ok(StepOutcome::Already) => return Ok(Ok(StepTaken::Taken)),
            Ok(StepOutcome::Late) => {
                self.late_step(wish);
                return Ok(Ok(StepTaken::Late));
            }
            Ok(StepOutcome::Done { at, order, difference_minor, effects }) => {
                (at, order, difference_minor, effects)
            }
        };
        let moves = match to {
            Some(to) => self.move_with_step(wish, to, &effects).await?,
            None => {
                self.delivery_changed(id, &effects);
                true
            }
        };
        if moves {
            self.step_taken(wish, at, difference_minor);
            return Ok(Ok(StepTaken::Taken));
        }
        // The order does not go there: then neither does its delivery.
        let (from, allowed) = (before.delivery().status, before.reportable(wish.party));
        self.deliveries.put_back(before, former);
        Ok(Err(StepRefusal::Forbidden { from, allowed }))
    }

    fn step_taken(&mut self, wish: &ReportStep, at: Timestamp, difference_minor: i64) {
        if difference_minor != 0 {
            self.delivery_alarm(wish.order, OpsAlarm::DriverSilent, Some(difference_minor));
        }
        self.keep_step(wish, at, false);
        if wish.party == Party::Admin {
            self.audit(wish.user, "delivery_step", wish.order, json!({ "step": wish.report.step }));
        }
    }

    /// Moves the order to where a step leads. Whether it goes there.
    async fn move_with_step(
        &mut self,
        wish: &ReportStep,
        to: Status,
        effects: &[DeliveryEffect],
    ) -> Result<bool, TxError> {
        let (id, party) = (wish.order, wish.party);
        self.refresh(wish.business).await?;
        let terms = self.catalog.of(wish.business).0.map(saga_terms).unwrap_or_default();
        let reason = wish.report.reason.map(|reason| reason.as_str());
        let Some(order) = self.orders.get_mut(id) else { return Ok(false) };
        let from = order.status;
        let version = order.version;
        let request = MoveRequest { party, to, version, prep_minutes: None, delivered_by: None };
        let follows = match order.apply(request, reason, None, self.now) {
            Err(_) => return Ok(false),
            Ok(Moved::Unchanged) => {
                self.delivery_changed(id, effects);
                return Ok(true);
            }
            Ok(Moved::Changed(follows)) => follows,
        };
        if let Some(kept) = self.sagas.of(id, wish.business) {
            kept.saga.moved(order, from, party, terms, &self.clocks, self.now);
            self.sagas.changed(id);
        }
        self.delivery_changed(id, effects);
        self.settle(id).await?;
        let mover = Mover { party, user: Some(wish.user), reason: reason.map(str::to_owned) };
        let step = self.orders.moved(id, from, follows, mover, self.now);
        self.sources.push(Source::Step(step));
        Ok(true)
    }

    fn late_step(&mut self, wish: &ReportStep) {
        let at = wish.report.said_at.map_or(self.now, |said| said.min(self.now));
        self.keep_step(wish, at, true);
        if let Some((one, order)) = self.deliveries.get(wish.order).zip(self.orders.get(wish.order)) {
            self.alarm(told::late_step(wish.report.step, wish.user, one.delivery(), order));
        }
    }

    fn keep_step(&mut self, wish: &ReportStep, at: Timestamp, late: bool) {
        let report = &wish.report;
        let driver = self.deliveries.driver(wish.user).filter(|_| wish.party == Party::Driver);
        let position = driver.and_then(|driver| driver.position);
        let far_m = position
            .zip(self.place_of(wish.order, report.step))
            .map(|(position, place)| position.location.metres_to(place).round() as i64);
        let proof = match (&report.photo, &report.code) {
            (Some(photo), _) => Some(photo.clone()),
            (None, Some(_)) => Some("code".to_owned()),
            (None, None) => None,
        };
        let left_at_door = report.left_at_door.then(|| "left_at_door".to_owned());
        self.deliveries.add_step(StepRow {
            order_id: wish.order,
            n: 0,
            step: report.step.as_str(),
            party: wish.party.as_str(),
            user_id: Some(wish.user),
            at: at.as_micros(),
            said_at: report.said_at.map(Timestamp::as_micros),
            late,
            far_m,
            reason: report.reason.map(|reason| reason.as_str().to_owned()).or(left_at_door),
            proof,
            created_at: self.now.as_micros(),
        });
    }

    /// Where a step of an order is made.
    fn place_of(&self, id: OrderId, step: Step) -> Option<Location> {
        let order = self.orders.get(id)?;
        match step {
            Step::AtPickup | Step::PickedUp | Step::Returned => {
                Some(self.catalog.of(order.business_id).0?.location)
            }
            Step::AtDropoff | Step::Delivered | Step::Failed => Some(order.address.as_ref()?.location),
        }
    }

    /// Gives a delivery to a driver by an operator's hand.
    pub(super) fn assign_driver(&mut self, wish: AssignDriver) -> Answer {
        let (id, clocks) = (wish.order, self.clocks.clone());
        let pickup = self.place_of(id, Step::AtPickup);
        let assigned = self.with_delivery(id, |one, drivers, order, now| {
            let delivery = one.delivery();
            let (of, zone) = (delivery.id, delivery.zone.clone());
            let metres = pickup
                .zip(order.address.as_ref())
                .map_or(0.0, |(pickup, address)| pickup.metres_to(address.location));
            let payout_minor = clocks.dispatch.payout_in(&zone, metres.round() as i64);
            let former = delivery.driver.filter(|former| *former != wish.driver);
            let mut former = former.and_then(|former| drivers.remove(&former));
            let assigned = match drivers.get_mut(&wish.driver) {
                Some(driver) => one.assign(driver, former.as_mut(), payout_minor, wish.offer, now),
                None => Err(AssignRefusal::NoSuchDriver),
            };
            drivers.extend(former.map(|former| (former.user, former)));
            assigned.map(|effects| (of, effects))
        });
        let outcome = assigned.unwrap_or(Err(AssignRefusal::NoSuchDelivery)).map(|(delivery, effects)| {
            if !effects.is_empty() {
                self.delivery_changed(id, &effects);
                self.withdraw_if_full(wish.driver);
                self.audit(wish.user, "delivery_assigned", id, json!({ "driver_id": wish.driver }));
            }
            DeliveryChanged { order: id, delivery, already: effects.is_empty() }
        });
        Outcome::DriverAssigned(outcome).into()
    }

    /// Takes a delivery from its driver. What a driver says is nobody's fault is judged by the times of the order.
    pub(super) fn leave_delivery(&mut self, wish: &LeaveDelivery) -> Answer {
        let (id, clocks) = (wish.order, self.clocks.clone());
        let left = self.with_delivery(id, |delivery, drivers, order, now| {
            let of = delivery.delivery().id;
            let reason = match wish.party {
                Party::Driver if delivery.is_business_late(order, &clocks.dispatch, now) => {
                    LeaveReason::BusinessLate
                }
                Party::Driver => LeaveReason::Driver,
                _ => wish.reason,
            };
            let driver = carrier(delivery, drivers);
            let is_fault = reason == LeaveReason::Driver;
            let effects = delivery.leave((wish.party, wish.user), reason, is_fault, driver, now)?;
            Ok((of, reason, effects))
        });
        let left = left.unwrap_or(Err(LeaveRefusal::NoSuchDelivery));
        let outcome = left.map(|(delivery, reason, effects)| {
            self.delivery_changed(id, &effects);
            if let Some(user) = wish.user.filter(|_| wish.party == Party::Admin) {
                let detail = json!({ "reason": reason, "text": wish.text });
                self.audit(user, "delivery_unassigned", id, detail);
            }
            DeliveryChanged { order: id, delivery, already: false }
        });
        Outcome::DeliveryLeft(outcome).into()
    }

    /// Lets an order take another way, while drivers are searched for it.
    pub(super) fn change_way(&mut self, wish: ChangeWay) -> Answer {
        let ChangeWay { order: id, business, party, user, way } = wish;
        if self.orders.get(id).is_none() {
            return Outcome::WayChanged(Err(WayRefusal::NoSuchOrder)).into();
        }
        let reason = match way {
            OtherWay::Own => LeaveReason::Own,
            OtherWay::Pickup => LeaveReason::Pickup,
        };
        let effects = self.with_delivery(id, |delivery, _, order, now| {
            let is_searched = delivery.delivery().status.is_searched() && !order.status.is_end();
            if is_searched { delivery.cancel(party, reason, None, now) } else { Vec::new() }
        });
        let effects = effects.unwrap_or_default();
        let Some(order) = self.orders.get_mut(id).filter(|_| !effects.is_empty()) else {
            return Outcome::WayChanged(Err(WayRefusal::NotSearched)).into();
        };
        let fields = match way {
            OtherWay::Own => order.bring_by_business(self.now),
            OtherWay::Pickup => order.fetch_by_customer(self.now),
        };
        if let Some(kept) = self.sagas.of(id, business) {
            kept.saga.way_changed(order, party, &self.clocks, self.now);
            self.sagas.changed(id);
        }
        self.delivery_changed(id, &effects);
        let step = self.orders.edited(id, fields, (party, user), self.now);
        self.sources.push(Source::Step(step));
        if party == Party::Admin {
            self.audit(user, "delivery_way", id, json!({ "way": way }));
        }
        Outcome::WayChanged(Ok(())).into()
    }

    /// Says until when a driver is searched.
    pub(super) fn extend_search(&mut self, wish: ExtendSearch) -> Answer {
        let ExtendSearch { order: id, business, user, until } = wish;
        if self.orders.get(id).is_none() {
            return Outcome::WayChanged(Err(WayRefusal::NoSuchOrder)).into();
        }
        let is_searched = self.deliveries.get(id).is_some_and(|one| one.delivery().status.is_searched());
        let kept = self.sagas.of(id, business).filter(|_| is_searched);
        if !kept.is_some_and(|kept| kept.saga.extend_search(until)) {
            return Outcome::WayChanged(Err(WayRefusal::NotSearched)).into();
        }
        self.sagas.changed(id);
        self.audit(user, "search_extended", id, json!({ "until": until }));
        Outcome::WayChanged(Ok(())).into()
    }
}
