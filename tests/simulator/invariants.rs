//! The promises, said a second time and without the code that keeps them.

use std::time::Duration;

use bellhop::domain::business::{PauseCause, PauseEnd, Pauses};
use bellhop::domain::hold::HeldAction;
use bellhop::domain::ids::UserId;
use bellhop::domain::order::{Fulfilment, Party, PaymentMethod, PaymentStatus, Status, Way};
use bellhop::domain::saga::{Channel, Clocks, Ring, RingKind, Rung};
use bellhop::domain::time::Timestamp;

use crate::carried;
use crate::owed;
use crate::shop::Shop;
use crate::world::{Live, World};

/// What the last step left, to compare with.
pub(crate) struct Watch {
    pauses: Vec<Pauses>,
    now: Timestamp,
}

impl Watch {
    pub(crate) fn new(world: &World) -> Self {
        Self { pauses: world.shops.iter().map(Shop::stored_pauses).collect(), now: world.now }
    }

    /// Looks at everything after a step.
    pub(crate) fn check(&mut self, world: &World) {
        for (n, live) in world.orders.iter().enumerate() {
            has_a_next_step(n, live, world);
            has_ended_for_good(n, live);
            owed::check(n, live);
            carried::check(n, live, world);
        }
        owed::check_provider(world);
        carried::check_riders(world);
        for (n, shop) in world.shops.iter().enumerate() {
            ended_by_their_cause(n, &self.pauses[n], self.now, world);
            for times in [&shop.calls, &shop.mails] {
                let every = world.clocks.call_every;
                assert!(times.windows(2).all(|pair| pair[1].since(pair[0]) >= every), "shop {n}: {times:?}");
            }
        }
        let recent = |at: &&Timestamp| world.now.since(**at) < world.clocks.unreachable;
        assert!(world.machine_pauses.iter().filter(recent).count() < 5, "the brake holds");
        *self = Self::new(world);
    }
}

/// Who has to do the next step of an order: a clock of the hub, or an operator who was told.
fn has_a_next_step(n: usize, live: &Live, world: &World) {
    let status = live.order.status;
    if status.is_end() {
        return;
    }
    assert!(live.row.due_at.is_some() || live.told, "order {n} is {status} and nobody's");
    let waits = |status| matches!(status, Status::PendingPayment);
    assert!(!waits(status) || live.row.due_at.is_some(), "order {n} is {status} without a deadline");
    if world.up {
        let overdue = live.row.due_at.is_some_and(|due| world.now.since(due) > Duration::from_secs(2));
        assert!(!overdue, "order {n} is {status} and overdue: {:?} at {:?}", live.row, world.now);
    }
}

fn has_ended_for_good(n: usize, live: &Live) {
    for pair in live.history.windows(2) {
        let ((from, ..), (to, _, party)) = (pair[0], pair[1]);
        if from.is_end() {
            let corrected = from == Status::Delivered
                && party == Party::Admin
                && matches!(to, Status::PickedUp | Status::Failed);
            assert!(corrected, "order {n} came back from {from} to {to} by {party}");
        }
    }
}

fn ended_by_their_cause(n: usize, before: &Pauses, then: Timestamp, world: &World) {
    let after = world.shops[n].stored_pauses();
    for pause in before.holding(then) {
        // Holds, or stands there and has run out: itself, or one that somebody put in its place.
        if after.iter().any(|other| other.cause == pause.cause) || !pause.holds(world.now) {
            continue;
        }
        let allowed = |end: PauseEnd| match end {
            PauseEnd::Device => pause.cause == PauseCause::Unreachable,
            PauseEnd::Member => pause.cause != PauseCause::Operator,
            PauseEnd::Operator => true,
            PauseEnd::Time => false,
        };
        let by =
            world.ended.iter().any(|(shop, cause, end)| (*shop, *cause) == (n, pause.cause) && allowed(*end));
        assert!(by, "the pause {} of shop {n} ended by nothing that ends it", pause.cause);
    }
}

/// A driver is rung of an order that they carry, or that was cancelled while they did.
pub(crate) fn ring_driver(live: &Live, driver: UserId, ring: Ring) {
    let delivery = live.delivery.as_ref().expect("drivers carry deliveries").delivery();
    match ring.kind {
        RingKind::Cancelled => {
            assert_eq!((delivery.driver, live.order.status), (Some(driver), Status::Cancelled));
        }
        RingKind::Changed => assert!(ring.ring == 1 && !live.order.status.is_end()),
        RingKind::Placed => panic!("a driver does not answer for orders"),
    }
}

/// A ring rings for something that nobody has looked at yet.
pub(crate) fn ring(live: &Live, ring: Ring, clocks: &Clocks, now: Timestamp) {
    let status = live.order.status;
    let acted_since = |since: Timestamp| live.acted_at.is_some_and(|acted| acted >= since);
    let (_, last, by) = *live.history.last().expect("it was placed");
    match ring.kind {
        RingKind::Placed if status == Status::Placed => {
            let cancels =
                live.order.placed_by != Party::Member && live.order.fulfilment != Fulfilment::DineIn;
            assert_eq!(ring.deadline_at.is_some(), cancels);
        }
        RingKind::Placed => {
            let accepted = live.history.iter().position(|(status, ..)| *status == Status::Accepted);
            let since = &live.history[accepted.expect("only an accepted one rings on")..];
            assert_eq!(since[0].2, Party::System, "an answered order rings again");
            assert!(since.iter().all(|(_, _, party)| *party != Party::Member), "a member has seen it");
            assert!(!acted_since(live.order.placed_at.expect("it was placed")), "somebody acted on it");
            assert!(matches!(status, Status::Accepted | Status::Preparing | Status::Ready));
        }
        RingKind::Cancelled => {
            let (before, ..) = live.history[live.history.len() - 2];
            assert!(
                matches!(before, Status::Accepted | Status::Preparing | Status::Ready),
                "it was accepted"
            );
            assert!(status == Status::Cancelled && by != Party::Member && !acted_since(last));
            assert!(now < last.plus(clocks.attention), "for five minutes at most");
        }
        RingKind::Changed => {
            assert!(matches!(
                status,
                Status::Accepted | Status::Preparing | Status::Ready | Status::PickedUp
            ));
        }
    }
}

/// A channel is used for an order that somebody should answer, in its time, and not where it is silenced.
pub(crate) fn channel(
    live: &Live,
    shop: &Shop,
    channel: Channel,
    rung: Rung,
    clocks: &Clocks,
    now: Timestamp,
) {
    let order = &live.order;
    assert_eq!(order.status, Status::Placed, "an answered order uses no channel");
    assert!(order.placed_by != Party::Member && order.fulfilment != Fulfilment::DineIn);
    let after = match rung {
        Rung::Undelivered => clocks.undelivered,
        Rung::Mail => clocks.mail,
        Rung::Escalate => clocks.escalate,
        Rung::Call => clocks.call,
        Rung::Ring => panic!("devices are no channel"),
    };
    assert!(now >= order.placed_at.expect("it was placed").plus(after), "too early: {rung}");
    assert!(rung == Rung::Escalate || !live.delivered, "{rung} of an order that a device has");
    let silenced = shop.business.alerts.is_muted(now) && channel != Channel::Webhook;
    assert!(!silenced, "{channel} to a muted business");
}

/// The hub moved an order by itself: only after its time, and not for time in which nobody could answer.
pub(crate) fn moved_by_the_hub(n: usize, from: Status, world: &World) {
    let live = &world.orders[n];
    let (now, order, shop) = (world.now, &live.order, &world.shops[live.shop]);
    match (from, order.status) {
        (Status::PendingPayment, Status::Cancelled) => {
            in_its_time(order.created_at, world.clocks.unpaid, world);
            assert!(!shop.holds(HeldAction::AutoCancel, now), "a held cancel");
            owed::may_end_unpaid(n, world);
        }
        (Status::Placed, Status::Cancelled) => {
            assert!(order.placed_by != Party::Member && order.fulfilment != Fulfilment::DineIn);
            let own = shop.business.alerts.accept_s.map(|own| Duration::from_secs(own.into()));
            in_its_time(order.placed_at.expect("placed"), own.unwrap_or(world.clocks.accept), world);
            assert!(!shop.holds(HeldAction::AutoCancel, now), "a held cancel");
        }
        (Status::Placed, Status::Accepted) => {
            assert!(shop.business.alerts.auto_accept && live.delivered, "nobody accepted");
        }
        (_, Status::Delivered) => {
            assert!(order.fulfilment != Fulfilment::Delivery, "deliveries wait for a person");
            let (_, since, _) = *live.history.last().expect("it was placed");
            // A clock that is set back may put another way before what happened before it.
            let since = live.bag.other_way_at.map_or(since, |at| at.min(since));
            in_its_time(since, world.clocks.forgotten, world);
            unpaid_cash_stays_uncollected(live);
        }
        (Status::Accepted | Status::Preparing | Status::Ready, Status::Cancelled) => {
            carried::may_give_up(n, world);
        }
        (from, to) => panic!("the hub moved an order from {from} to {to}"),
    }
}

fn unpaid_cash_stays_uncollected(live: &Live) {
    let (order, is_recorded) = (&live.order, live.till.paid_by.is_some());
    match order.payment_method {
        PaymentMethod::Cash if !is_recorded => assert_eq!(order.payment_status, PaymentStatus::Uncollected),
        PaymentMethod::Cash => assert_ne!(order.payment_status, PaymentStatus::Uncollected),
        // A refund that somebody wanted and that came back is owed again.
        PaymentMethod::Online if !live.till.demanded.is_empty() => {}
        PaymentMethod::Online => assert_ne!(order.payment_status, PaymentStatus::RefundDue),
    }
}

fn in_its_time(since: Timestamp, time: Duration, world: &World) {
    assert!(world.now >= since.plus(time), "before its time");
    if let Some(ended) = world.outage_ended_at.filter(|ended| since < *ended) {
        assert!(world.now >= ended.plus(world.clocks.grace), "for time in which nobody could answer");
    }
}

/// Whether an order that ran out now may count against its business.
pub(crate) fn may_count(live: &Live, world: &World) -> bool {
    let placed = live.order.placed_at.expect("it was placed");
    let shop = &world.shops[live.shop];
    let own = shop.business.alerts.accept_s.map(|own| Duration::from_secs(own.into()));
    // A hold put the deadline off to a time that the oracle does not know.
    if live.was_held {
        return true;
    }
    let due = placed.plus(own.unwrap_or(world.clocks.accept));
    !world.outage_ended_at.is_some_and(|ended| placed < ended && due <= ended.plus(world.clocks.grace))
}

/// When everything has run out, every order has ended or is an operator's.
pub(crate) fn check_end(world: &World) {
    for (n, live) in world.orders.iter().enumerate() {
        assert_eq!(live.row.due_at, None, "order {n} goes on for ever");
        let status = live.order.status;
        let waits = live.order.way() == Way::OwnDelivery && live.told;
        assert!(status.is_end() || waits, "order {n} is {status} and stuck");
    }
    assert!(world.riders.iter().all(|rider| rider.driver.active == 0), "somebody carries for ever");
}
