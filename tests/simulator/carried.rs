//! Who has what and who may be asked, said a second time: from what drivers and people did, not from what the hub believes.

use std::collections::BTreeSet;
use std::time::Duration;

use bellhop::domain::delivery::{
    Accepted, AnswerRefusal, DeliveryStatus, OfferEnd, OfferState, OrderDelivery, Step, Wave,
};
use bellhop::domain::dispatch::GiveUp;
use bellhop::domain::hold::HeldAction;
use bellhop::domain::ids::{OfferId, UserId};
use bellhop::domain::order::{Party, PaymentMethod, Status, Way};
use bellhop::domain::time::Timestamp;

use crate::world::{Live, World};

/// Late by so much is a fire in the simulator.
const LATE: Duration = Duration::from_secs(3);

/// Longest pause between two looks at a driver who is on the way to the business.
const NEARER_EVERY: Duration = Duration::from_secs(60);

/// An offer as its driver knows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) id: OfferId,
    pub(crate) rider: usize,
    at: Timestamp,
    wave: u32,
    search: u32,
    state: OfferState,
}

/// What the oracle has seen of the delivery of an order.
#[derive(Debug, Default)]
pub(crate) struct Bag {
    pub(crate) holder: Option<usize>,
    /// Whether it counts for what the holder carries.
    counted: bool,
    /// Whether it was delivered, and that stands.
    delivered: bool,
    /// Drivers who declined it, or had it.
    refused: BTreeSet<usize>,
    pub(crate) offers: Vec<Asked>,
    /// The number of searches, and when the last one began.
    search: u32,
    began_at: Timestamp,
    /// Since when the holder has it.
    held_at: Timestamp,
    /// When the pool was asked first in this search.
    pub(crate) looked: Option<Timestamp>,
    /// Whether operators and the business know that nobody has it.
    told: bool,
    /// When the holder was asked whether they come.
    asked_at: Option<Timestamp>,
    /// Whether operators know that the holder is silent with the food.
    pub(crate) told_silent: bool,
    /// Until when an operator let it be searched.
    pub(crate) extended: Option<Timestamp>,
    pub(crate) changed_at: Timestamp,
    /// When it was given another way to its customer.
    pub(crate) other_way_at: Option<Timestamp>,
}

impl Bag {
    pub(crate) fn begin(&mut self, now: Timestamp) {
        (self.search, self.began_at) = (self.search + 1, now);
        (self.holder, self.counted, self.told, self.looked) = (None, false, false, None);
        (self.asked_at, self.told_silent) = (None, false);
    }

    fn give(&mut self, rider: usize, now: Timestamp) {
        (self.holder, self.counted, self.held_at) = (Some(rider), true, now);
        (self.asked_at, self.told_silent) = (None, false);
        self.refused.insert(rider);
    }

    fn is_open(asked: &&Asked) -> bool {
        asked.state == OfferState::Open
    }
}

/// What a driver carries.
pub(crate) fn load(world: &World, rider: usize) -> u64 {
    let carried = world.orders.iter().filter(|live| live.bag.counted && live.bag.holder == Some(rider));
    carried.count() as u64
}

/// Whether a driver has it now, or somebody of whom only an operator knows.
fn is_on_its_way(live: &Live) -> bool {
    live.order.status == Status::PickedUp || (live.bag.holder.is_some() && !live.order.status.is_end())
}

fn is_full(world: &World, rider: usize) -> bool {
    load(world, rider) >= world.riders[rider].driver.capacity.into()
}

/// When an offer ends: in its time, and for whoever could not answer in an outage, no earlier than the grace.
fn ends_at(world: &World, asked: &Asked) -> Timestamp {
    let end = asked.at.plus(world.clocks.dispatch.offer);
    if in_grace(world, asked) { end.max(grace_ends(world)) } else { end }
}

fn grace_ends(world: &World) -> Timestamp {
    world.outage_ended_at.map_or(world.now, |ended| ended.plus(world.clocks.grace))
}

fn in_grace(world: &World, asked: &Asked) -> bool {
    let end = asked.at.plus(world.clocks.dispatch.offer);
    world.outage_ended_at.is_some_and(|ended| asked.at < ended && end <= grace_ends(world))
}

/// The order was moved, and its delivery followed.
pub(crate) fn followed(world: &mut World, order: usize) {
    let now = world.now;
    match world.orders[order].order.status {
        Status::Cancelled | Status::Rejected | Status::Failed => world.orders[order].bag.counted = false,
        Status::Delivered => {
            let bag = &mut world.orders[order].bag;
            (bag.counted, bag.delivered) = (false, true);
        }
        // It was corrected: whoever had it has it again, if they can.
        Status::PickedUp if world.orders[order].bag.delivered => {
            let holder = world.orders[order].bag.holder;
            let has_room = holder.is_some_and(|n| load(world, n) < world.riders[n].driver.capacity.into());
            let bag = &mut world.orders[order].bag;
            (bag.delivered, bag.counted) = (false, has_room);
            // The watch over them begins anew, with room or without.
            (bag.held_at, bag.told_silent) = (now, false);
            if let Some(rider) = holder.filter(|_| has_room) {
                bag.give(rider, now);
                world.riders[rider].ignored = 0;
            }
        }
        _ => {}
    }
}

/// Offers of a wave were opened: to drivers who can be asked, and whom nobody has lost.
pub(crate) fn opened(
    world: &mut World,
    order: usize,
    wave: &Wave,
    opened: &[(OfferId, UserId)],
    asked: &BTreeSet<UserId>,
) {
    let (now, rules) = (world.now, &world.clocks.dispatch);
    let live = &world.orders[order];
    let zone = &world.shops[live.shop].business.zone;
    assert!(!live.order.status.is_end() && live.bag.holder.is_none(), "order {order} is offered and has one");
    assert!(!live.bag.offers.iter().any(|asked| Bag::is_open(&asked)), "two waves of order {order} at once");
    assert!((1..=rules.size_of(wave.number)).contains(&opened.len()), "a wave of its size");
    let mut new = Vec::new();
    for (id, user) in opened {
        let rider = world.rider_of(*user);
        let driver = &world.riders[rider].driver;
        let takes = driver.takes_cash || live.order.payment_method != PaymentMethod::Cash;
        assert!(driver.online && driver.zones.contains(zone) && takes, "rider {rider} cannot be asked");
        assert!(load(world, rider) < driver.capacity.into(), "rider {rider} has no room");
        assert!(now.since(driver.alive_at.expect("heard of")) <= rules.alive, "rider {rider} is away");
        assert!(!live.bag.refused.contains(&rider), "rider {rider} is asked again for order {order}");
        let is_alone = rules.is_broadcast(wave.number) || !asked.contains(user);
        assert!(is_alone, "rider {rider} is asked for two orders");
        let (search, number) = (live.bag.search, wave.number);
        let earlier = live.bag.offers.iter().filter(|one| one.rider == rider && one.search == search);
        assert!(earlier.into_iter().all(|one| one.state != OfferState::Expired || one.wave < number));
        new.push(Asked { id: *id, rider, at: now, wave: number, search, state: OfferState::Open });
    }
    world.seen.offers += new.len() as u64;
    world.orders[order].bag.offers.extend(new);
}

/// An offer was closed without being accepted.
pub(crate) fn closed(world: &mut World, order: usize, id: OfferId, reason: OfferEnd) {
    let offers = &mut world.orders[order].bag.offers;
    let offer = offers.iter_mut().find(|offer| offer.id == id).expect("it was opened");
    assert_eq!(offer.state, OfferState::Open, "an offer is closed once");
    offer.state = reason.state();
    let (asked, rider) = (*offer, offer.rider);
    match reason {
        OfferEnd::Expired => {
            assert!(world.now >= ends_at(world, &asked), "an offer ends in its time");
            world.seen.expired += 1;
            if in_grace(world, &asked) {
                world.seen.graced_offers += 1;
            } else if load(world, rider) == 0 {
                world.riders[rider].ignored += 1;
            }
            let rules = &world.clocks.dispatch;
            let rider = &world.riders[rider];
            assert_eq!(rider.driver.ignored, rider.ignored, "offers without an answer are counted");
            let is_off = rider.ignored >= rules.ignored_offline;
            assert_eq!(rider.driver.online, !is_off, "the third sets a driver off");
        }
        OfferEnd::Declined => {
            world.orders[order].bag.refused.insert(rider);
            world.riders[rider].ignored = 0;
            world.seen.declined += 1;
        }
        OfferEnd::Taken => assert!(world.orders[order].bag.holder.is_some(), "nobody has taken it"),
        OfferEnd::Withdrawn => world.seen.withdrawn += 1,
    }
}

pub(crate) fn went_offline(world: &mut World, rider: usize) {
    let rules = &world.clocks.dispatch;
    assert!(world.riders[rider].ignored >= rules.ignored_offline, "a driver who answered is set off");
    world.seen.went_off += 1;
}

/// What becomes of an accept now; `None`: it counted before.
pub(crate) fn expected(
    world: &World,
    order: usize,
    id: OfferId,
    rider: usize,
) -> Option<Result<(), AnswerRefusal>> {
    let bag = &world.orders[order].bag;
    let asked = bag.offers.iter().find(|asked| asked.id == id && asked.rider == rider);
    let Some(asked) = asked else { return Some(Err(AnswerRefusal::NoSuchOffer)) };
    Some(match asked.state {
        OfferState::Accepted if bag.holder == Some(rider) => return None,
        OfferState::Withdrawn if is_on_its_way(&world.orders[order]) => Err(AnswerRefusal::Taken),
        OfferState::Withdrawn if is_full(world, rider) => Err(AnswerRefusal::OverCapacity),
        OfferState::Accepted | OfferState::Declined | OfferState::Withdrawn => Err(AnswerRefusal::Withdrawn),
        OfferState::Taken => Err(AnswerRefusal::Taken),
        OfferState::Expired => Err(AnswerRefusal::Expired),
        OfferState::Open if world.now >= ends_at(world, asked) => Err(AnswerRefusal::Expired),
        OfferState::Open if is_full(world, rider) => Err(AnswerRefusal::OverCapacity),
        OfferState::Open => Ok(()),
    })
}

/// An answer was given.
pub(crate) fn answered(
    world: &mut World,
    order: usize,
    (id, rider): (OfferId, usize),
    accepts: bool,
    answer: &Result<Accepted, AnswerRefusal>,
    expected: Option<Result<(), AnswerRefusal>>,
) {
    let now = world.now;
    let bag = &mut world.orders[order].bag;
    let Some(asked) = bag.offers.iter_mut().find(|asked| asked.id == id && asked.rider == rider) else {
        assert_eq!(*answer, Err(AnswerRefusal::NoSuchOffer), "an offer of another driver");
        return;
    };
    let is_now = matches!(answer, Ok(Accepted::Now(_)));
    if !accepts {
        assert_eq!(is_now, asked.state == OfferState::Open, "what is open can be declined");
        return;
    }
    let found = match answer {
        Ok(Accepted::Now(_)) => Some(Ok(())),
        Ok(Accepted::Already) => None,
        Err(refusal) => Some(Err(*refusal)),
    };
    assert_eq!(found, expected, "order {order}: rider {rider} accepts");
    if is_now {
        assert_eq!(bag.holder, None, "order {order} has two drivers");
        asked.state = OfferState::Accepted;
        bag.give(rider, now);
        world.riders[rider].ignored = 0;
        world.seen.won += 1;
    }
}

/// A step counted.
pub(crate) fn stepped(world: &mut World, order: usize, (party, user): (Party, UserId), step: Step) {
    let rider = (party == Party::Driver).then(|| world.rider_of(user));
    let bag = &mut world.orders[order].bag;
    assert!(rider.is_none() || rider == bag.holder, "a step of somebody who does not have it");
    match step {
        Step::Delivered => (bag.counted, bag.delivered) = (false, true),
        Step::Failed => (bag.counted, bag.delivered) = (false, false),
        Step::PickedUp => bag.asked_at = None,
        Step::AtPickup | Step::AtDropoff | Step::Returned => {}
    }
    world.seen.brought += u64::from(step == Step::Delivered && rider.is_some());
    world.seen.failed_steps += u64::from(step == Step::Failed);
}

pub(crate) fn assigned(world: &mut World, order: usize, rider: usize) {
    assert!(load(world, rider) < world.riders[rider].driver.capacity.into(), "above capacity");
    let now = world.now;
    world.orders[order].bag.give(rider, now);
    world.riders[rider].ignored = 0;
}

/// It left its driver.
pub(crate) fn left(world: &mut World, order: usize, party: Party) {
    let status = world.orders[order].order.status;
    assert!(status != Status::PickedUp && !status.is_end(), "{status} leaves nobody by {party}");
    assert!(world.orders[order].bag.holder.is_some(), "nobody had it");
    let now = world.now;
    world.orders[order].bag.begin(now);
    world.seen.left += 1;
}

/// The pool is asked, which a hold forbids.
pub(crate) fn looked(world: &mut World, order: usize) {
    let live = &world.orders[order];
    assert!(live.bag.holder.is_none() && !live.order.status.is_end(), "nobody is wanted");
    let held = world.shops[live.shop].holds(HeldAction::Dispatch, world.now);
    assert!(!held, "a search that is held");
    let (start, rules) = (search_is_wanted(world, live), &world.clocks.dispatch);
    let is_in_time =
        live.bag.looked.is_some() || live.bag.search > 1 || world.now.plus(rules.look_every) >= start;
    assert!(is_in_time || live.order.status == Status::Ready, "somebody is looked for too early");
    let now = world.now;
    world.orders[order].bag.looked.get_or_insert(now);
}

pub(crate) fn told_of_nobody(world: &mut World, order: usize) {
    let bag = &mut world.orders[order].bag;
    assert!(bag.holder.is_none() && !bag.told, "told once for a search");
    bag.told = true;
    world.seen.nobody += 1;
}

pub(crate) fn asked_whether_coming(world: &mut World, order: usize) {
    let now = world.now;
    world.orders[order].bag.asked_at = Some(now);
    world.seen.asked_riders += 1;
}

/// The hub takes a delivery only before it was picked up, from a driver who stays away and was asked.
pub(crate) fn may_be_taken(world: &World, order: usize) {
    let (live, rules, now) = (&world.orders[order], &world.clocks.dispatch, world.now);
    assert_ne!(live.order.status, Status::PickedUp, "nothing but a person takes what is under way");
    let rider = live.bag.holder.expect("somebody has it");
    if !world.riders[rider].driver.approved {
        return;
    }
    let asked = live.bag.asked_at.expect("the driver was asked");
    assert!(now.since(asked) >= rules.asked, "the driver had no time to answer");
    let outage = world.outage_ended_at.filter(|_| now >= world.trusted_from);
    assert!(outage.is_none_or(|ended| now.since(ended) > rules.silent), "nobody could be heard");
    let pickup = world.pickup(order);
    let is_away = world.riders[rider].stays_away(pickup, rules.silent, rules.stalled, now);
    assert!(is_away || now < world.trusted_from, "order {order}: rider {rider} comes");
}

/// When the search that began for it looks first.
fn search_starts(world: &World, live: &Live) -> Timestamp {
    search_is_wanted(world, live).max(live.bag.began_at)
}

/// When somebody is looked for at the earliest. The clock may have been set back since the search began.
fn search_is_wanted(world: &World, live: &Live) -> Timestamp {
    let (rules, ready_at) = (&world.clocks.dispatch, live.order.ready_at.unwrap_or(world.now));
    let way = Duration::from_secs(u64::from(rules.radius_m[0] / rules.speed_mps));
    ready_at.minus(way + rules.ahead)
}

/// The hub gives an order up for which nobody was found.
pub(crate) fn may_give_up(n: usize, world: &World) {
    let (live, rules) = (&world.orders[n], &world.clocks.dispatch);
    assert_eq!(live.order.way(), Way::DriverDelivery, "only drivers are not found");
    assert_eq!(live.bag.holder, None, "order {n} has a driver");
    assert_eq!(rules.on_give_up, GiveUp::Cancel, "it is kept for an operator");
    let ready_at = live.order.ready_at.expect("it was accepted");
    let is_due = world.now >= ready_at.plus(rules.give_up);
    let is_said = live.bag.extended.is_some_and(|until| world.now >= until);
    assert!(is_due || is_said, "before its time");
    if let Some(ended) = world.outage_ended_at.filter(|ended| live.order.answered_at < Some(*ended)) {
        assert!(world.now >= ended.plus(world.clocks.grace), "for time in which nobody could look");
    }
    assert!(!world.shops[live.shop].holds(HeldAction::AutoCancel, world.now), "a held cancel");
}

/// Looks at one order after a step.
pub(crate) fn check(n: usize, live: &Live, world: &World) {
    let Some(stored) = &live.delivery else {
        let is_answered = matches!(
            live.order.status,
            Status::Accepted | Status::Preparing | Status::Ready | Status::PickedUp
        );
        assert!(!(is_answered && live.order.way() == Way::DriverDelivery), "order {n} has no delivery");
        return;
    };
    let (delivery, bag) = (stored.delivery(), &live.bag);
    agrees(n, live, delivery.status);
    let holder = delivery.driver.map(|user| world.rider_of(user));
    assert_eq!(holder, bag.holder, "order {n} is with somebody else");
    assert_eq!(delivery.counts, bag.counted, "order {n} counts");
    assert!(!bag.counted || delivery.status.is_carried(), "order {n} has ended and holds a driver");
    let open: Vec<OfferId> = open_offers(stored);
    let asked: Vec<OfferId> = bag.offers.iter().filter(Bag::is_open).map(|asked| asked.id).collect();
    assert_eq!(open, asked, "order {n}");
    assert_eq!(
        !open.is_empty(),
        delivery.status == DeliveryStatus::Offered,
        "order {n} is {}",
        delivery.status
    );
    let driver = live.order.delivery.expect("it says so");
    assert_eq!((driver.status, driver.driver), (delivery.status, delivery.driver), "order {n} says another");
    if world.up && world.now >= world.trusted_from && live.order.way() == Way::DriverDelivery {
        has_an_owner(n, live, delivery.status, world);
    }
}

fn open_offers(stored: &OrderDelivery) -> Vec<OfferId> {
    let open = stored.offers().iter().filter(|offer| offer.state == OfferState::Open);
    open.map(|offer| offer.id).collect()
}

/// The status of a delivery is one that the status of its order allows.
fn agrees(n: usize, live: &Live, status: DeliveryStatus) {
    use DeliveryStatus::{
        Assigned, AtDropoff, AtPickup, Cancelled, Delivered, Failed, Offered, PickedUp, Returned, Unassigned,
    };
    let order = live.order.status;
    let allowed: &[DeliveryStatus] = match order {
        _ if live.order.way() != Way::DriverDelivery => &[Cancelled],
        Status::Accepted | Status::Preparing | Status::Ready => &[Unassigned, Offered, Assigned, AtPickup],
        Status::PickedUp => &[PickedUp, AtDropoff],
        Status::Delivered => &[Delivered],
        Status::Failed => &[Failed, Returned],
        Status::Cancelled => &[Cancelled],
        Status::PendingPayment | Status::Placed | Status::Rejected => &[],
    };
    assert!(allowed.contains(&status), "order {n} is {order} and its delivery {status}");
}

/// Who has to do the next step, and by when the hub looks at it again.
fn has_an_owner(n: usize, live: &Live, status: DeliveryStatus, world: &World) {
    let (now, rules, bag) = (world.now, &world.clocks.dispatch, &live.bag);
    let soon = now.plus(rules.look_every.max(world.clocks.held)).plus(LATE);
    let last = match status {
        DeliveryStatus::Unassigned if bag.looked.is_some() || live.order.status == Status::Ready => soon,
        DeliveryStatus::Unassigned => soon.max(search_starts(world, live).plus(LATE)),
        DeliveryStatus::Offered => {
            let open = bag.offers.iter().filter(Bag::is_open);
            open.map(|asked| ends_at(world, asked)).max().expect("one is open").plus(LATE)
        }
        _ if status.is_under_way() => now.plus(rules.silent_under_way).plus(LATE),
        _ if status.is_carried() => now.plus(NEARER_EVERY.max(rules.look_every)).plus(LATE),
        _ => return,
    };
    let due = live.row.due_at.unwrap_or_else(|| panic!("order {n} is {status} and nobody's"));
    assert!(due <= last, "order {n} is {status} and looked at {due:?}, not by {last:?}");
    let heard_from = world.up_since.max(bag.held_at).max(world.outage_ended_at.unwrap_or(bag.held_at));
    let quiet = bag.holder.and_then(|rider| world.riders[rider].quiet_since);
    if let Some(since) = quiet.map(|since| since.max(heard_from)) {
        let is_coming = !status.is_under_way();
        let time = if is_coming { rules.silent + rules.asked } else { rules.silent_under_way };
        let is_over = now > since.plus(time + 3 * rules.look_every.max(world.clocks.held));
        assert!(!is_over || (!is_coming && bag.told_silent), "order {n} is {status} with a silent driver");
    }
    if status.is_searched() && !bag.told {
        // One that begins by a change begins then.
        let start = bag.looked.unwrap_or(search_starts(world, live).max(bag.changed_at));
        let ready_at = live.order.ready_at.expect("it was accepted");
        let due = start.plus(rules.late).min(ready_at.max(start));
        let due = due.max(bag.changed_at).max(world.up_since).plus(rules.look_every + LATE);
        assert!(now <= due, "order {n} is searched for and nobody was told");
    }
}

/// Looks at the drivers after a step.
pub(crate) fn check_riders(world: &World) {
    for (n, rider) in world.riders.iter().enumerate() {
        let (driver, carried) = (&rider.driver, load(world, n));
        assert_eq!(u64::from(driver.active), carried, "rider {n} carries");
        assert!(carried <= driver.capacity.into(), "rider {n} carries more than they may");
        let is_asked = |live: &Live| live.bag.offers.iter().any(|one| one.rider == n && Bag::is_open(&one));
        let asked = world.orders.iter().filter(|live| is_asked(live)).count();
        assert!(driver.online || asked == 0, "rider {n} is off and asked");
        assert!(driver.approved || !driver.online, "rider {n} is suspended and on");
        assert!(driver.has_room() || asked == 0, "rider {n} has no room and is asked");
        let is_broadcast = world.clocks.dispatch.wave.contains(&0);
        assert!(asked <= 1 || is_broadcast, "rider {n} is asked for {asked} orders");
    }
}
