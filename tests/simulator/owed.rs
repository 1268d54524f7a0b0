//! What an order owes, said a second time: from what people did and where the money is at the provider, not from what the hub believes.

use std::collections::{BTreeMap, BTreeSet};

use bellhop::domain::business::{BusinessState, PauseCause};
use bellhop::domain::ids::{PaymentId, RefundId};
use bellhop::domain::order::{EndedCode, Order, PaymentStatus, Status};
use bellhop::domain::payment::{
    MoneyWay, NewsStatus, Payment, PaymentNews, PaymentState, Refund, RefundCause, RefundState, RefundStep,
};
use bellhop::domain::time::Timestamp;

use crate::money::{Letter, LetterState};
use crate::provider::{Call, HeldPayment, HeldRefund, Stand, Way};
use crate::shop::Shop;
use crate::world::{Live, World};

/// What the oracle has seen of the money of an order.
#[derive(Debug, Default)]
pub(crate) struct Till {
    /// The payment that paid it.
    pub(crate) paid_by: Option<PaymentId>,
    /// Whether it ended so that everything goes back.
    pub(crate) all_back: bool,
    /// Refunds that people wanted.
    pub(crate) demanded: Vec<(PaymentId, i64)>,
    /// Money that people took, and gave back, by hand.
    pub(crate) by_hand_in: Vec<(PaymentId, i64)>,
    pub(crate) by_hand_out: Vec<(PaymentId, RefundId, i64)>,
    /// Refunds of which operators were told, and that have not succeeded since.
    pub(crate) alarms: BTreeSet<RefundId>,
    /// When the provider was asked first to close its payment because it was not paid.
    pub(crate) closing_since: Option<Timestamp>,
    /// How often operators were told of a refund that nobody here had asked for.
    pub(crate) outside_told: u64,
}

/// What news has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// A person has to look at it.
    Refused,
    /// The order is placed.
    Placed,
    /// The order is cancelled and everything goes back.
    Cancelled,
    /// The money goes back, and the order stays as it is.
    Booked,
    /// The order stays as it is.
    Nothing,
}

pub(crate) fn expected(live: &Live, shop: &Shop, news: &PaymentNews, now: Timestamp) -> Expected {
    let (order, payment) = (&live.order, live.money.payment(news.payment).expect("it is of the order"));
    let is_other_currency = news.currency.is_some_and(|currency| currency != order.currency);
    if news.order != order.id || is_other_currency {
        return Expected::Refused;
    }
    if news.status != NewsStatus::Success || payment.state == PaymentState::Succeeded {
        return Expected::Nothing;
    }
    if order.status != Status::PendingPayment {
        return Expected::Booked;
    }
    match news.amount_minor {
        Some(amount) if amount < order.total_minor => Expected::Refused,
        _ if is_there(shop, now) => Expected::Placed,
        _ => Expected::Cancelled,
    }
}

/// Whether somebody is there to take an order that was paid just now.
fn is_there(shop: &Shop, now: Timestamp) -> bool {
    let pauses = shop.stored_pauses();
    let holds = |cause| pauses.iter().any(|pause| pause.cause == cause && pause.holds(now));
    let reachable = shop.devices > 0 || shop.business.alerts.can_ring_since.is_none();
    shop.business.state != BusinessState::Closed
        && !holds(PauseCause::Unreachable)
        && !holds(PauseCause::Unanswered)
        && !holds(PauseCause::Operator)
        && (!holds(PauseCause::Manual) || reachable)
}

/// After news: the order is where it should be, and the refund that it causes is due in the same commit.
pub(crate) fn is_as_expected(live: &Live, before: &Order, news: &PaymentNews, expected: Expected) {
    let order = &live.order;
    match expected {
        Expected::Refused => panic!("taken in: {news:?}"),
        Expected::Placed => assert_eq!(order.status, Status::Placed),
        Expected::Cancelled => {
            let code = order.ended_reason.as_ref().map(|reason| reason.code);
            assert_eq!((order.status, code), (Status::Cancelled, Some(EndedCode::BusinessClosed)));
        }
        Expected::Booked | Expected::Nothing => assert_eq!(order.status, before.status),
    }
    if matches!(expected, Expected::Cancelled | Expected::Booked) {
        let payment = live.money.payment(news.payment).expect("it is of the order");
        let back: i64 = of(live, payment.id).map(|refund| refund.amount_minor).sum();
        assert_eq!(back, payment.captured_minor, "all of it is due in the same commit: {:?}", live.money);
    }
}

fn of(live: &Live, payment: PaymentId) -> impl Iterator<Item = &Refund> {
    live.money.refunds().iter().filter(move |refund| refund.payment == payment)
}

/// An end after which everything goes back that was paid.
pub(crate) fn gives_all_back(from: Status, to: Status, words: Option<&str>) -> bool {
    match to {
        Status::Rejected => true,
        Status::Cancelled => from != Status::PendingPayment,
        Status::Failed => from != Status::Delivered && matches!(words, Some("damaged" | "driver_fault")),
        _ => false,
    }
}

/// The hub cancels an order as unpaid: nothing that it was told of its payment waits, and where the customer could still have paid, it
/// has tried to close that for as long as it may.
pub(crate) fn may_end_unpaid(n: usize, world: &World) {
    let live = &world.orders[n];
    let waits = |letter: &Letter| {
        letter.state != LetterState::Done
            && letter.message.payment.is_some_and(|id| live.money.payment(id).is_some())
    };
    assert!(!world.inbox.iter().any(waits), "order {n} ends though news of it waits");
    if live.money.open().is_some() {
        let last = live.till.closing_since.map(|since| since.plus(world.clocks.unpaid_unknown));
        assert!(last.is_some_and(|last| world.now >= last), "order {n} ends though it can be paid");
    }
}

/// A refund for which the provider is called has something to be done about.
pub(crate) fn is_worth_a_call(refund: &Refund, step: RefundStep) {
    let is_open = matches!(refund.state, RefundState::Due | RefundState::Sent | RefundState::Unknown);
    assert!(is_open && refund.way == MoneyWay::Online, "called for nothing: {refund:?}");
    assert!(step != RefundStep::Send || refund.attempt == 0, "sent again and nobody asked: {refund:?}");
}

/// A call that is sent has not ended under its key already: to the provider it would be the same one again. Where a retry was sent and
/// not answered, its key asks what became of it.
pub(crate) fn is_a_new_call(call: &Call, held: Option<&HeldPayment>) {
    if call.key.contains('.') {
        return;
    }
    let ended = |refund: &HeldRefund| refund.has_key(&call.key) && refund.way == Way::Failed;
    assert!(!held.is_some_and(|held| held.refunds.iter().any(ended)), "nothing comes of {call:?}");
}

/// After each step.
pub(crate) fn check(n: usize, live: &Live) {
    let (payments, refunds) = (live.money.payments(), live.money.refunds());
    let at_most_one = |is: &dyn Fn(&Payment) -> bool, what| {
        assert!(payments.iter().filter(|one| is(one)).count() < 2, "order {n}: two {what} {payments:?}");
    };
    at_most_one(&|payment| payment.state == PaymentState::Initiated, "open");
    at_most_one(&|payment| payment.counts, "that count");
    for payment in payments {
        let sum = |is: &dyn Fn(&Refund) -> bool| -> i64 {
            of(live, payment.id).filter(|refund| is(refund)).map(|refund| refund.amount_minor).sum()
        };
        let done = sum(&|refund| refund.state == RefundState::Succeeded);
        assert_eq!(payment.refunded_minor, done, "order {n}: {refunds:?}");
        assert!(sum(&|_| true) <= payment.captured_minor, "order {n} promises more: {payment:?} {refunds:?}");
        let automatic = of(live, payment.id).filter(|refund| refund.cause == RefundCause::Automatic).count();
        assert!(automatic < 2, "order {n}: two automatic refunds {refunds:?}");
    }
    for refund in refunds {
        assert!(refund.amount_minor > 0, "order {n}: {refund:?}");
        let is_open = matches!(refund.state, RefundState::Due | RefundState::Sent | RefundState::Unknown);
        let is_the_hubs = is_open && refund.way == MoneyWay::Online;
        assert_eq!(refund.due_at.is_some(), is_the_hubs, "order {n}: {refund:?}");
        let is_watched = refund.state == RefundState::Succeeded
            || refund.alarm_at.is_some()
            || live.till.alarms.contains(&refund.id);
        assert!(is_watched, "order {n}: nobody is told of {refund:?}");
    }
}

/// Where the money is, after each step: no refund arrives twice, and never more than was captured.
pub(crate) fn check_provider(world: &World) {
    for held in &world.traffic.provider.payments {
        let by_hand = &world.orders[held.order].till.by_hand_out;
        let by_hand = || by_hand.iter().filter(|(payment, ..)| *payment == held.id);
        let handed: i64 = by_hand().map(|(.., amount)| amount).sum();
        assert!(held.returned() + handed <= held.captured(), "more goes back than came: {held:?} {handed}");
        let mut times: BTreeMap<RefundId, u32> = BTreeMap::new();
        let sent = held.refunds.iter().filter(|refund| refund.way != Way::Failed);
        for id in sent.filter_map(|refund| refund.refund).chain(by_hand().map(|(_, id, _)| *id)) {
            *times.entry(id).or_default() += 1;
        }
        assert!(times.values().all(|times| *times == 1), "two refunds of one due: {held:?}");
    }
}

/// What the hub should know of a payment: what was captured, and what went back.
fn truth(live: &Live, payment: PaymentId, held: Option<&HeldPayment>) -> (i64, i64) {
    let till = &live.till;
    let taken: i64 = till.by_hand_in.iter().filter(|(id, _)| *id == payment).map(|(_, amount)| amount).sum();
    let given = till.by_hand_out.iter().filter(|(id, ..)| *id == payment);
    let given: i64 = given.map(|(.., amount)| amount).sum();
    let (captured, returned) = held.map_or((0, 0), |held| (held.captured(), held.returned()));
    (taken + captured, given + returned)
}

/// What the order owes, from and to: where a person and somebody outside gave back the same money, it may have been for one reason.
fn owed(world: &World, live: &Live) -> (i64, i64) {
    let Some(id) = live.till.paid_by.filter(|_| !live.till.all_back) else { return (0, 0) };
    let held = world.traffic.provider.payment(id);
    let (captured, _) = truth(live, id, held);
    let outside = held.map_or(0, HeldPayment::returned_outside);
    let demanded = live.till.demanded.iter().filter(|(payment, _)| *payment == id);
    let demanded: i64 = demanded.map(|(_, amount)| amount).sum();
    (captured - captured.min(demanded + outside), captured - demanded.max(outside))
}

/// When everything has come to rest: captured − refunded is what the order owes, but for refunds of which operators were told.
pub(crate) fn check_rest(world: &World, is_end: bool) {
    for (n, live) in world.orders.iter().enumerate() {
        if !is_end && !is_quiet(world, live) {
            continue;
        }
        let mut kept = 0;
        for payment in live.money.payments() {
            let held = world.traffic.provider.payment(payment.id);
            let (captured, returned) = truth(live, payment.id, held);
            let known = (payment.captured_minor, payment.refunded_minor);
            assert_eq!((captured, returned), known, "order {n}: the books are wrong: {payment:?} {held:?}");
            kept += captured - returned;
            let is_open = held.is_some_and(|held| held.stand == Stand::Open);
            assert!(!is_open || live.order.status == Status::PendingPayment, "order {n} can be paid still");
        }
        let open = live.money.refunds().iter().filter(|refund| refund.state != RefundState::Succeeded);
        let mut unfinished = 0;
        for refund in open {
            let is_told = live.till.alarms.contains(&refund.id) || refund.alarm_at.is_some();
            assert!(is_told && !is_end, "order {n}: {refund:?} is not done, and told: {is_told}");
            unfinished += refund.amount_minor;
        }
        let (low, high) = owed(world, live);
        let rest = kept - unfinished;
        assert!(
            (low..=high).contains(&rest),
            "order {n} keeps {rest} and owes {low} to {high}: {live_money:?} {till:?}",
            live_money = live.money,
            till = live.till
        );
        says_so(n, live, kept, unfinished);
    }
}

/// Whether nothing about its money is on its way or under way, and no message about it waits for an operator.
fn is_quiet(world: &World, live: &Live) -> bool {
    let is_of_it = |id: PaymentId| live.money.payment(id).is_some();
    let names_it = |letter: &Letter| letter.message.payment.is_some_and(is_of_it);
    let is_open = |refund: &Refund| matches!(refund.state, RefundState::Sent | RefundState::Unknown);
    let is_said = world.inbox.iter().any(|letter| letter.state != LetterState::Done && names_it(letter));
    let is_on_the_way = world.traffic.on_the_way().any(is_of_it);
    let is_under_way = live.money.refunds().iter().any(is_open);
    let has_failed = live.money.refunds().iter().any(|refund| refund.state == RefundState::Failed);
    let mut held = world.traffic.provider.payments.iter();
    // What somebody else gave in place of a refund that failed is booked by whoever settles that one.
    let waits_for_a_hand = has_failed && held.any(|held| is_of_it(held.id) && held.returned_outside() > 0);
    let is_closed = live.money.open().is_none();
    is_closed && !is_said && !is_on_the_way && !is_under_way && !waits_for_a_hand
}

/// The order says how its money stands.
fn says_so(n: usize, live: &Live, kept: i64, unfinished: i64) {
    let captured: i64 = live.money.payments().iter().map(|payment| payment.captured_minor).sum();
    let says = live.order.payment_status;
    let right = match live.till.paid_by {
        _ if captured == 0 => !matches!(says, PaymentStatus::RefundDue | PaymentStatus::Refunded),
        // Everything had gone back, and some of it came back since: that is owed again.
        Some(_) if !live.till.all_back && unfinished > 0 && says == PaymentStatus::RefundDue => true,
        Some(_) if !live.till.all_back && kept > 0 => says == PaymentStatus::Paid,
        // What goes back without anybody here having asked changes the payment, not the order.
        Some(id) if !live.till.all_back && !live.till.demanded.iter().any(|(of, _)| *of == id) => {
            says == PaymentStatus::Paid
        }
        Some(_) | None if kept > 0 => says == PaymentStatus::RefundDue,
        Some(_) | None => says == PaymentStatus::Refunded,
    };
    assert!(right, "order {n} says {says} and keeps {kept}: {:?}", live.money);
}
