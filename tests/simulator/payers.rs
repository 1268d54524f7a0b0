//! Everything that people do about money, and what goes wrong with it outside of the hub.

use std::time::Duration;

use bellhop::domain::ids::{OrderId, PaymentId};
use bellhop::domain::order::{PaymentMethod, Status};
use bellhop::domain::payment::{MoneyWay, NewsRefusal, NewsStatus, PaymentNews, RefundState};
use uuid::Uuid;

use crate::random::Random;
use crate::traffic::{Happening, Message};
use crate::world::World;

/// One thing about money happens.
pub(crate) fn step(world: &mut World, random: &mut Random) {
    match random.below(100) {
        0..45 => initiate(world, random),
        45..53 => record(world, random),
        53..65 => demand(world, random),
        65..72 => outside(world, random),
        72..80 => handle(world, random),
        80..84 => world.replay(),
        84..92 => false_news(world, random),
        92..95 => go_silent(world, random),
        _ => second_tab(world, random),
    }
}

fn orders(world: &World, is: impl Fn(&World, usize) -> bool) -> Vec<usize> {
    (0..world.orders.len()).filter(|n| is(world, *n)).collect()
}

fn initiate(world: &mut World, random: &mut Random) {
    let waiting = orders(world, |world, n| world.orders[n].order.status == Status::PendingPayment);
    if let Some(order) = random.pick(&waiting).copied() {
        world.initiate(order, random);
    }
}

/// The page that was open first is used after all.
fn second_tab(world: &mut World, random: &mut Random) {
    let payments: Vec<(PaymentId, i64)> =
        world.traffic.provider.payments.iter().map(|held| (held.id, held.amount_minor)).collect();
    if let Some((payment, amount_minor)) = random.pick(&payments).copied() {
        let after = Duration::from_secs(random.between(0, 600));
        world.plan(after, Happening::Pay { payment, amount_minor, is_told: random.chance(95) });
    }
}

fn record(world: &mut World, random: &mut Random) {
    let unpaid = orders(world, |world, n| {
        let order = &world.orders[n].order;
        order.payment_method == PaymentMethod::Online || !order.status.is_end() || n % 3 == 0
    });
    let ways = [MoneyWay::Terminal, MoneyWay::Transfer, MoneyWay::Cash];
    if let (Some(order), Some(way)) = (random.pick(&unpaid), random.pick(&ways)) {
        world.record(*order, *way);
    }
}

fn demand(world: &mut World, random: &mut Random) {
    let paid = orders(world, |world, n| !world.orders[n].money.payments().is_empty());
    let Some(order) = random.pick(&paid).copied() else { return };
    let amount = random.chance(60).then(|| random.between(1, 300) as i64);
    let by_hand = random.chance(20).then_some(MoneyWay::Cash);
    world.demand(order, amount, by_hand);
}

/// Money goes back in the provider's console, or by the customer's bank.
fn outside(world: &mut World, random: &mut Random) {
    let captured: Vec<(PaymentId, i64)> = world
        .traffic
        .provider
        .payments
        .iter()
        .filter(|held| held.left() > 0)
        .map(|held| (held.id, held.left()))
        .collect();
    let Some((payment, left)) = random.pick(&captured).copied() else { return };
    let amount = if random.chance(50) { left } else { random.between(1, left as u64) as i64 };
    world.give_back_outside(payment, amount, random);
}

/// An operator deals with a refund that did not arrive, or waits for a hand.
fn handle(world: &mut World, random: &mut Random) {
    let mut waiting = Vec::new();
    for (n, live) in world.orders.iter().enumerate() {
        let refunds = live.money.refunds().iter();
        waiting.extend(refunds.filter(|one| one.state != RefundState::Succeeded).map(|one| (n, one.id)));
    }
    let Some((order, refund)) = random.pick(&waiting).copied() else { return };
    if random.chance(60) {
        world.retry(order, refund);
    } else {
        world.give_by_hand(order, refund);
    }
}

/// Messages that are wrong, and may change nothing.
fn false_news(world: &mut World, random: &mut Random) {
    let known: Vec<(PaymentId, OrderId)> = world
        .orders
        .iter()
        .flat_map(|live| live.money.payments().iter().map(|payment| (payment.id, live.order.id)))
        .collect();
    let Some((payment, order)) = random.pick(&known).copied() else { return };
    let other = random.pick(&known).map_or(order, |(_, order)| *order);
    let status = *random.pick(&NewsStatus::ALL).expect("there are four");
    let news = PaymentNews {
        payment,
        order,
        status,
        amount_minor: None,
        currency: None,
        refund: None,
        is_foreign: false,
    };
    let news = match random.below(4) {
        0 if other != order => Ok(PaymentNews { order: other, ..news }),
        // A payment that failed has no currency.
        1 if status != NewsStatus::Failed => {
            Ok(PaymentNews { currency: Some("JPY".parse().expect("a currency")), ..news })
        }
        2 => Ok(PaymentNews { payment: PaymentId::from_uuid(Uuid::from_u128(0x6666)), ..news }),
        _ => Err(NewsRefusal::Unreadable),
    };
    world.false_messages += 1;
    let named = news.as_ref().ok().map(|news| news.payment);
    let key = format!("false {}", world.false_messages);
    let message = Message { key, payment: named, news, is_signed: true };
    world.plan(Duration::from_secs(random.below(60)), Happening::Message(message));
}

/// The provider answers nobody for a while, sometimes for longer than it remembers keys.
fn go_silent(world: &mut World, random: &mut Random) {
    let time = Duration::from_secs(match random.below(4) {
        0 => 25 * 3600,
        1 => random.between(3_600, 10_800),
        _ => random.between(60, 1_200),
    });
    world.traffic.provider.silent_until = Some(world.now.plus(time));
    world.note(|| format!("the provider answers nobody for {time:?}"));
    world.seen.silent += 1;
}
