//! For any order of news, answers and demands the books are right: nothing is promised twice, and at rest nothing is kept that the
//! order owes.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

/// A provider that does what it is asked, once for a key, and says so or does not.
#[derive(Default)]
struct Provider {
    /// What it has given back, by refund.
    returned: HashMap<RefundId, i64>,
    /// Refunds that it refuses, for now.
    refuses: bool,
}

#[derive(Clone, Debug)]
enum Step {
    Initiate,
    /// News of the nth payment, by the amount beyond the total, or none.
    Success(usize, Option<i64>),
    Failed(usize),
    Record,
    Cancel,
    Deliver,
    Demand(i64),
    /// One attempt at the nth refund; whether the provider refuses, and whether its answer arrives.
    Work(usize, bool, bool),
    /// The provider tells of the nth refund that it has given back, with its id or without.
    Tell(usize, bool),
    Bounce(usize),
    Retry(usize),
    Settle(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let over = prop_oneof![Just(None), Just(Some(0)), Just(Some(50)), Just(Some(-50))];
    let step = prop_oneof![
        2 => Just(Step::Initiate),
        4 => (0usize..3, over).prop_map(|(n, over)| Step::Success(n, over)),
        2 => (0usize..3).prop_map(Step::Failed),
        1 => Just(Step::Record),
        1 => Just(Step::Cancel),
        1 => Just(Step::Deliver),
        1 => (1i64..1200).prop_map(Step::Demand),
        4 => (0usize..4, any::<bool>(), any::<bool>()).prop_map(|(n, no, lost)| Step::Work(n, no, lost)),
        2 => (0usize..4, any::<bool>()).prop_map(|(n, id)| Step::Tell(n, id)),
        1 => (0usize..4).prop_map(Step::Bounce),
        1 => (0usize..4).prop_map(Step::Retry),
        1 => (0usize..4).prop_map(Step::Settle),
    ];
    prop::collection::vec(step, 0..40)
}

struct World {
    money: OrderMoney,
    order: Order,
    provider: Provider,
    now: Timestamp,
}

impl World {
    fn new() -> Self {
        Self { money: OrderMoney::default(), order: order(), provider: Provider::default(), now: START }
    }

    fn follow(&mut self, effects: &[MoneyEffect]) {
        for effect in effects {
            let to = match effect {
                MoneyEffect::Place => Status::Placed,
                MoneyEffect::CancelClosed => Status::Cancelled,
                _ => continue,
            };
            assert!(self.order.apply_by_system(to, None, self.now).is_some());
        }
    }

    fn hear(&mut self, news: &PaymentNews) {
        let before = (self.money.clone(), self.order.clone());
        match self.money.hear(news, &mut self.order, true, RefundId::generate, self.now) {
            Ok(effects) => self.follow(&effects),
            Err(_) => assert_eq!((&self.money, &self.order), (&before.0, &before.1)),
        }
    }

    fn payment(&self, n: usize) -> Option<PaymentId> {
        let online = self.money.payments().iter().filter(|payment| payment.way == MoneyWay::Online);
        online.map(|payment| payment.id).nth(n)
    }

    fn refund(&self, n: usize) -> Option<Refund> {
        self.money.refunds().get(n).cloned()
    }

    /// One attempt at a refund: the provider is asked before what may have been sent is sent again.
    fn work(&mut self, id: RefundId, lost: bool) {
        let attempt = self.money.refund(id).unwrap().attempt;
        let Some((step, refund)) = self.money.begin_refund(id, attempt, self.now) else { return };
        let known = self.provider.returned.contains_key(&id);
        let answer = if known && step != RefundStep::Send {
            RefundAnswer::Done { reference: None }
        } else if self.provider.refuses {
            RefundAnswer::Refused
        } else {
            let was = self.provider.returned.insert(id, refund.amount_minor);
            assert_eq!(was, None, "one refund of one due");
            RefundAnswer::Done { reference: None }
        };
        let answer = if lost { RefundAnswer::NoAnswer } else { answer };
        let order = &mut self.order;
        let effects =
            self.money.refund_answered(id, refund.attempt, &answer, order, RefundId::generate, self.now);
        self.follow(&effects);
    }

    fn take(&mut self, step: Step) {
        self.now = self.now.plus(Duration::from_secs(4000));
        match step {
            Step::Initiate => {
                _ = self.money.initiate(&self.order, PaymentId::generate(), user(), self.now);
            }
            Step::Success(n, over) => {
                let Some(payment) = self.payment(n) else { return };
                let amount_minor = over.map(|over| TOTAL + over);
                self.hear(&PaymentNews { amount_minor, ..news(&self.order, payment, NewsStatus::Success) });
            }
            Step::Failed(n) => {
                let Some(payment) = self.payment(n) else { return };
                self.hear(&news(&self.order, payment, NewsStatus::Failed));
            }
            Step::Record => {
                let (id, way) = (PaymentId::generate(), MoneyWay::Terminal);
                let recorded = Recorded { id, way, reference: None, user: user() };
                let order = &mut self.order;
                if let Ok(effects) = self.money.record(order, recorded, RefundId::generate, self.now) {
                    self.follow(&effects);
                }
            }
            Step::Cancel => {
                if self.order.apply_by_system(Status::Cancelled, None, self.now).is_some() {
                    self.money.settle(&mut self.order, RefundId::generate, self.now);
                }
            }
            Step::Deliver => {
                if self.order.apply_by_system(Status::Delivered, None, self.now).is_some() {
                    self.money.settle(&mut self.order, RefundId::generate, self.now);
                }
            }
            Step::Demand(amount) => {
                let demand = RefundDemand {
                    id: RefundId::generate(),
                    amount_minor: Some(amount),
                    reason: None,
                    by_hand: None,
                    reference: None,
                    user: user(),
                };
                _ = self.money.demand(&mut self.order, demand, RefundId::generate, self.now);
            }
            Step::Work(n, refuses, lost) => {
                self.provider.refuses = refuses;
                if let Some(refund) = self.refund(n) {
                    self.work(refund.id, lost);
                }
            }
            Step::Tell(n, has_id) => {
                let Some(refund) = self.refund(n) else { return };
                // The provider tells once what it has done.
                if refund.told || !self.provider.returned.contains_key(&refund.id) {
                    return;
                }
                let told = PaymentNews {
                    amount_minor: Some(refund.amount_minor),
                    refund: has_id.then_some(refund.id),
                    ..news(&self.order, refund.payment, NewsStatus::Refunded)
                };
                self.hear(&told);
            }
            Step::Bounce(n) => {
                let Some(refund) = self.refund(n) else { return };
                if self.provider.returned.remove(&refund.id).is_none() {
                    return;
                }
                let told = PaymentNews {
                    refund: Some(refund.id),
                    ..news(&self.order, refund.payment, NewsStatus::RefundFailed)
                };
                self.hear(&told);
            }
            Step::Retry(n) => {
                if let Some(refund) = self.refund(n) {
                    _ = self.money.retry_refund(refund.id, self.now);
                }
            }
            Step::Settle(n) => {
                if let Some(refund) = self.refund(n) {
                    self.settle_by_hand(refund.id);
                }
            }
        }
    }

    fn settle_by_hand(&mut self, id: RefundId) {
        // A person looks at the provider's console before.
        if self.provider.returned.contains_key(&id) {
            return;
        }
        let (order, way) = (&mut self.order, (MoneyWay::Transfer, None, user()));
        _ = self.money.settle_refund(id, order, way, RefundId::generate, self.now);
    }

    fn check(&mut self) {
        let money = &self.money;
        for payment in money.payments() {
            let of = || money.refunds().iter().filter(|refund| refund.payment == payment.id);
            let done = of().filter(|refund| refund.state == RefundState::Succeeded);
            assert_eq!(payment.refunded_minor, done.map(|refund| refund.amount_minor).sum::<i64>());
            assert!(payment.refunded_minor + money.promised_minor(payment.id) <= payment.captured_minor);
            assert!(of().filter(|refund| refund.cause == RefundCause::Automatic).count() <= 1);
            assert!(of().all(|refund| refund.amount_minor > 0));
        }
        assert!(money.payments().iter().filter(|payment| payment.counts).count() <= 1);
        let open = money.payments().iter().filter(|payment| payment.state == PaymentState::Initiated);
        assert!(open.count() <= 1);
        let before = (self.money.clone(), self.order.clone());
        self.money.settle(&mut self.order, RefundId::generate, self.now);
        assert_eq!((&self.money, &self.order), (&before.0, &before.1), "it is settled");
    }

    /// Everybody does their work until nothing is left to do.
    fn rest(&mut self) {
        self.provider.refuses = false;
        for _ in 0..3 {
            for id in self.money.refunds().iter().map(|refund| refund.id).collect::<Vec<_>>() {
                self.now = self.now.plus(Duration::from_secs(4000));
                _ = self.money.retry_refund(id, self.now);
                self.now = self.now.plus(Duration::from_secs(4000));
                self.work(id, false);
                if self.money.refund(id).unwrap().way != MoneyWay::Online {
                    self.settle_by_hand(id);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn in_any_order_of_news_and_answers_the_books_are_right(steps in steps()) {
        let mut world = World::new();
        for step in steps {
            world.take(step);
            world.check();
        }
        world.rest();
        world.check();
        let money = &world.money;
        prop_assert!(money.refunds().iter().all(|refund| refund.state == RefundState::Succeeded));
        let online = |refund: &&Refund| refund.way == MoneyWay::Online;
        let booked: i64 = money.refunds().iter().filter(online).map(|refund| refund.amount_minor).sum();
        prop_assert_eq!(world.provider.returned.values().sum::<i64>(), booked, "what it gave back is booked");
        let counting = money.payments().iter().find(|payment| payment.counts);
        let kept = counting.map_or(0, |payment| payment.captured_minor - payment.refunded_minor);
        prop_assert_eq!(money.kept_minor(), kept, "what did not pay the order has gone back");
        match world.order.payment_status {
            PaymentStatus::Paid => prop_assert!(!matches!(world.order.status, Status::Cancelled)),
            PaymentStatus::Pending | PaymentStatus::Refunded => prop_assert_eq!(money.kept_minor(), 0),
            other => prop_assert!(false, "{} is no rest", other),
        }
    }
}
