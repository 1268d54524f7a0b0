//! Everything that people, devices, networks and machines do, one step after the other.

use std::time::Duration;

use bellhop::domain::business::{BusinessState, Pause, PauseCause, PauseEnd};
use bellhop::domain::delivery::DeliveredBy;
use bellhop::domain::hold::{HeldAction, Hold, HoldScope};
use bellhop::domain::ids::OrderId;
use bellhop::domain::order::{
    Address, ChangeRequest, Draft, DraftItem, Fulfilment, MoveRequest, Party, PaymentMethod, Status, Way,
    place,
};
use uuid::Uuid;

use crate::payers;
use crate::random::Random;
use crate::riders::near;
use crate::shop::soup;
use crate::streets;
use crate::world::World;

/// Seconds that pass between two steps, from rarely long to mostly short.
fn time(random: &mut Random) -> Duration {
    Duration::from_secs(match random.below(100) {
        0..40 => random.below(5),
        40..75 => random.between(5, 60),
        75..97 => random.between(60, 900),
        _ => random.between(900, 7_200),
    })
}

/// One thing happens, and the time until the next one passes.
pub(crate) fn step(world: &mut World, random: &mut Random) {
    world.ended.clear();
    if !world.up {
        return be_away(world, random);
    }
    match random.below(150) {
        130..150 => streets::step(world, random),
        100..130 => payers::step(world, random),
        0..22 => place_order(world, random),
        22..48 => click(world, random),
        48..54 => late_click(world, random),
        54..62 => acknowledge(world, random),
        62..66 => act(world, random),
        66..70 => change(world, random),
        70..78 => devices(world, random),
        78..82 => pauses(world, random),
        82..85 => hold(world, random),
        85..87 => mute(world, random),
        87..90 => stale_timer(world, random),
        90..93 => world.crash(),
        93..95 => set_clock(world, random),
        95..97 => open_and_close(world, random),
        _ => world.pause_unreachable(),
    }
    if world.up {
        let time = time(random);
        world.wait(time, random);
    }
}

fn be_away(world: &mut World, random: &mut Random) {
    let away = Duration::from_secs(match random.below(10) {
        0..4 => random.between(1, 20),
        4..7 => random.between(20, 70),
        _ => random.between(70, 1_500),
    });
    world.wait(away, random);
    world.start();
    world.note(|| format!("the hub is back after {away:?}"));
}

fn place_order(world: &mut World, random: &mut Random) {
    let shop = random.below(world.shops.len() as u64) as usize;
    let customer = random.below(world.customers.len() as u64) as usize;
    let n = world.orders.len();
    let drives = world.shops[shop].business.delivered_by == DeliveredBy::Drivers && random.chance(70);
    let any = *random.pick(&Fulfilment::ALL).expect("there are three");
    let fulfilment = if drives { Fulfilment::Delivery } else { any };
    let location = near(world.shops[shop].business.location, 2_500, random);
    let address = (fulfilment == Fulfilment::Delivery)
        .then(|| Address { text: "1 Example Street".to_owned(), location });
    let draft = Draft {
        id: OrderId::from_uuid(Uuid::from_u128(0x2000 + n as u128)),
        business_id: world.shops[shop].business.id,
        customer_id: world.customers[customer],
        placed_by: if random.chance(15) { Party::Member } else { Party::Customer },
        customer_name: "Ana".to_owned(),
        phone: None,
        address,
        fulfilment,
        items: vec![DraftItem { sku: "soup".to_owned(), qty: 1 }],
        table: None,
        notes: None,
        payment: if random.chance(50) { PaymentMethod::Online } else { PaymentMethod::Cash },
        expected_total_minor: None,
    };
    let business = world.shops[shop].read();
    let takes = business.takes_orders(world.now).is_ok();
    let placed = place(draft, Some(&business), &[soup()], world.now);
    assert_eq!(placed.is_ok(), takes, "a paused business takes no orders");
    world.note(|| {
        format!("order {n} at shop {shop}: {fulfilment} {}", if takes { "placed" } else { "refused" })
    });
    if let Ok(new) = placed {
        world.place(new, shop, customer);
    }
}

/// A live order, or now and then one that has ended.
fn some_order(world: &World, random: &mut Random) -> Option<usize> {
    let live: Vec<usize> =
        (0..world.orders.len()).filter(|n| !world.orders[*n].order.status.is_end()).collect();
    if random.chance(90) && !live.is_empty() {
        return random.pick(&live).copied();
    }
    let all: Vec<usize> = (0..world.orders.len()).collect();
    random.pick(&all).copied()
}

fn wish(world: &World, order: usize, random: &mut Random) -> Option<MoveRequest> {
    let order = &world.orders[order].order;
    let party = *random
        .pick(&[Party::Member, Party::Member, Party::Member, Party::Customer, Party::Driver, Party::Admin])
        .expect("there are some");
    // Drivers move by steps.
    if party == Party::Driver && order.way() == Way::DriverDelivery {
        return None;
    }
    // Mostly the next step.
    let to = match order.status {
        Status::PendingPayment if random.chance(80) => return None,
        Status::Placed if random.chance(70) => Status::Accepted,
        Status::Accepted if random.chance(50) => Status::Ready,
        Status::Ready | Status::PickedUp if random.chance(25) => Status::Failed,
        Status::Ready if random.chance(60) => Status::Delivered,
        Status::PickedUp if random.chance(60) => Status::Delivered,
        _ => *random.pick(&Status::ALL).expect("there are ten"),
    };
    let prep_minutes = random.chance(30).then(|| random.between(1, 120) as u16);
    let delivered_by = random.chance(15).then(|| *random.pick(&DeliveredBy::ALL).expect("there are two"));
    Some(MoveRequest { party, to, version: order.version, prep_minutes, delivered_by })
}

/// The words of whoever moves an order; some of them are reasons of a failure.
fn words(random: &mut Random) -> Option<&'static str> {
    random
        .pick(&["damaged", "driver_fault", "no_show", "refused", "wrong_address", "the oven broke"])
        .copied()
}

fn click(world: &mut World, random: &mut Random) {
    let Some(order) = some_order(world, random) else { return };
    let Some(request) = wish(world, order, random) else { return };
    if random.chance(30) {
        // The request is on its way for long, or comes a second time.
        world.clicks.push((order, request));
    }
    if random.chance(85) {
        let words = words(random);
        world.move_order(order, request, words);
    }
}

fn late_click(world: &mut World, random: &mut Random) {
    if world.clicks.is_empty() {
        return;
    }
    let (order, request) = world.clicks.swap_remove(random.below(world.clicks.len() as u64) as usize);
    let words = words(random);
    world.move_order(order, request, words);
}

fn acknowledge(world: &mut World, random: &mut Random) {
    let placed: Vec<usize> = (0..world.orders.len())
        .filter(|n| world.orders[*n].order.status == Status::Placed)
        .filter(|n| world.shops[world.orders[*n].shop].devices > 0)
        .collect();
    let Some(order) = random.pick(&placed).copied() else { return };
    world.note(|| format!("order {order} is acknowledged"));
    world.acknowledge(order);
}

fn act(world: &mut World, random: &mut Random) {
    let Some(order) = some_order(world, random) else { return };
    world.note(|| format!("somebody acted on order {order}"));
    world.orders[order].acted_at = Some(world.now);
}

fn change(world: &mut World, random: &mut Random) {
    let Some(order) = some_order(world, random) else { return };
    let party = *random.pick(&[Party::Member, Party::Admin, Party::Customer]).expect("there are three");
    let minutes = random.between(1, 120) as u16;
    let request = ChangeRequest {
        party,
        version: world.orders[order].order.version,
        ready_in_minutes: (party != Party::Customer).then_some(minutes),
        address: None,
        phone: None,
        notes: random.chance(50).then(|| format!("note {minutes}")),
    };
    world.change(order, request);
}

fn devices(world: &mut World, random: &mut Random) {
    if random.chance(10) {
        world.note(|| "every device is lost at once".to_owned());
        for shop in &mut world.shops {
            shop.reachable_at = if shop.devices > 0 { Some(world.now) } else { shop.reachable_at };
            shop.devices = 0;
        }
        return;
    }
    let n = random.below(world.shops.len() as u64) as usize;
    let devices = if random.chance(50) { 0 } else { random.between(1, 3) };
    let now = world.now;
    let shop = &mut world.shops[n];
    if shop.devices > 0 || devices > 0 {
        shop.reachable_at = Some(now);
    }
    let returns = shop.devices == 0 && devices > 0;
    shop.devices = devices;
    world.note(|| format!("shop {n} has {devices} devices"));
    if returns {
        world.shops[n].business.alerts.can_ring_since.get_or_insert(now);
        for cause in PauseCause::ALL {
            world.end_pause(n, cause, PauseEnd::Device);
        }
    }
}

fn pauses(world: &mut World, random: &mut Random) {
    let n = random.below(world.shops.len() as u64) as usize;
    let now = world.now;
    let cause = *random.pick(&PauseCause::ALL).expect("there are four");
    if random.chance(60) {
        let end = *random.pick(&[PauseEnd::Member, PauseEnd::Operator]).expect("there are two");
        return world.end_pause(n, cause, end);
    }
    let until = Some(now.plus(Duration::from_secs(random.between(60, 7_200))));
    let by_hand = if random.chance(50) { PauseCause::Manual } else { PauseCause::Operator };
    world.note(|| format!("shop {n} is paused by {by_hand}"));
    world.shops[n].pause(Pause { cause: by_hand, since: now, until });
}

fn hold(world: &mut World, random: &mut Random) {
    let n = random.below(world.shops.len() as u64) as usize;
    let (zone, id) = (world.shops[n].business.zone.clone(), world.shops[n].business.id);
    let scope = match random.below(3) {
        0 => HoldScope::All,
        1 => HoldScope::Zone(zone),
        _ => HoldScope::Business(id),
    };
    let what = *random
        .pick(&[HeldAction::AutoCancel, HeldAction::AutoCancel, HeldAction::AutoPause, HeldAction::Refunds])
        .expect("there are four");
    let until = world.now.plus(Duration::from_secs(random.between(60, 3_600)));
    world.note(|| format!("{what} is held at {scope}"));
    let hold = Hold { what, scope, until, reason: "a test".to_owned() };
    for shop in &mut world.shops {
        shop.holds.push(hold.clone());
    }
}

fn mute(world: &mut World, random: &mut Random) {
    let n = random.below(world.shops.len() as u64) as usize;
    let until = world.now.plus(Duration::from_secs(random.below(3_600)));
    world.note(|| format!("shop {n} is muted"));
    world.shops[n].business.alerts.muted_until = Some(until);
}

/// A node fires what it had in memory, though another one has written the row since.
fn stale_timer(world: &mut World, random: &mut Random) {
    if let Some(timer) = random.pick(&world.timers).copied() {
        world.fire(timer);
    }
}

/// The store's clock is set: ahead or back.
fn set_clock(world: &mut World, random: &mut Random) {
    let by = Duration::from_secs(random.between(1, 300));
    let ahead = random.chance(50);
    world.now = if ahead { world.now.plus(by) } else { world.now.minus(by) };
    if !ahead {
        world.trusted_from = world.trusted_from.max(world.now.plus(2 * by));
    }
    world.note(|| format!("the clock was set {} by {by:?}", if ahead { "ahead" } else { "back" }));
    world.commit();
}

fn open_and_close(world: &mut World, random: &mut Random) {
    let n = random.below(world.shops.len() as u64) as usize;
    let state = match random.below(3) {
        0 => BusinessState::Closed,
        1 => BusinessState::Busy { extra_minutes: 10 },
        _ => BusinessState::Open,
    };
    world.note(|| format!("shop {n} is {state:?}"));
    world.shops[n].business.state = state;
}
