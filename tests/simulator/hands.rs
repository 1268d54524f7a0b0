//! Deliveries that change hands, or go another way.

use std::time::Duration;

use bellhop::domain::delivery::{AssignRefusal, LeaveReason};
use bellhop::domain::ids::UserId;
use bellhop::domain::order::Party;

use crate::carried;
use crate::driving::new_offer;
use crate::world::World;

impl World {
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
}
