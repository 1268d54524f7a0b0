//! A provider that loses answers for a day and forgets keys meanwhile: one refund.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    Answer, Call, CallFault, Person, RecordingProvider, StoreKind, TestApp, WEBHOOK_SECRET, order_body,
    signed_message,
};

crate::on_both_stores!(
    answers_lost_for_25_hours_and_keys_forgotten_make_one_refund,
    a_provider_that_is_away_for_a_day_gets_each_refund_once_when_it_is_back,
    a_refund_that_is_held_is_not_begun_and_is_sent_when_the_hold_ends,
);

const HOUR: Duration = Duration::from_secs(3600);

struct Shop {
    app: TestApp,
    provider: RecordingProvider,
    merchant: Person,
    customer: Person,
    business: String,
}

impl Shop {
    async fn open(kind: StoreKind) -> Self {
        let provider = RecordingProvider::start().await;
        let settings = provider.settings();
        let settings: Vec<(&str, &str)> = settings.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let app = TestApp::start_with(kind, &settings).await;
        let merchant = app.person("merchant", "Mia").await;
        let business = merchant.business(&app).await;
        let customer = app.person("customer", "Carl").await;
        Self { app, provider, merchant, customer, business }
    }

    /// An order that was paid and refused; its payment.
    async fn refused(&self) -> String {
        let (payment, placed) = self.paid().await;
        self.merchant.move_order(&self.app, &placed, "rejected").await;
        payment
    }

    /// An order that was paid, and its payment.
    async fn paid(&self) -> (String, Value) {
        let mut body = order_body(&self.business);
        body["payment"] = json!("online");
        let order = self.customer.post(&self.app, "/orders", &body).await.expect(201).json();
        let wish = json!({"order_id": order["id"]});
        let payment = self.customer.post(&self.app, "/payments/initiate", &wish).await.expect(201).json();
        let payment = payment["payment_id"].as_str().unwrap().to_owned();
        assert!(self.provider.pay(&payment));
        let news = json!({"payment_id": payment, "order_id": order["id"], "status": "SUCCESS"});
        Answer::of(signed_message(&self.app, WEBHOOK_SECRET, &news)).await.expect(200);
        let path = format!("/orders/{}", order["id"].as_str().unwrap());
        let mut pace = tokio::time::interval(Duration::from_millis(20));
        let placed = loop {
            let order = self.merchant.get(&self.app, &path).await.expect(200).json();
            if order["status"] == "placed" {
                break order;
            }
            pace.tick().await;
        };
        (payment, placed)
    }

    /// Lets time pass, and waits until nothing is due.
    async fn pass(&self, time: Duration) {
        self.app.timers().advance(time);
        let mut pace = tokio::time::interval(Duration::from_millis(10));
        let rest = async {
            loop {
                pace.tick().await;
                let now = self.app.timers().now().as_micros();
                let due = format!("SELECT COUNT(*) FROM refunds WHERE due_at <= {now}");
                if self.app.numbers(&due).await == [Some(0)] {
                    return;
                }
                self.app.timers().advance(Duration::from_secs(60));
            }
        };
        tokio::time::timeout(Duration::from_secs(60), rest).await.expect("every attempt ends");
    }

    async fn states(&self, state: &str) -> i64 {
        let sql = format!("SELECT COUNT(*) FROM refunds WHERE state = '{state}'");
        self.app.numbers(&sql).await[0].unwrap()
    }

    async fn until_state(&self, state: &str, count: i64) {
        let mut pace = tokio::time::interval(Duration::from_millis(20));
        let reached = async {
            while self.states(state).await != count {
                pace.tick().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), reached)
            .await
            .unwrap_or_else(|_| panic!("never {state}"));
    }
}

async fn answers_lost_for_25_hours_and_keys_forgotten_make_one_refund(kind: StoreKind) {
    let shop = Shop::open(kind).await;
    shop.provider.fail_always(Call::Refund, Some(CallFault::LoseAnswer));
    shop.provider.fail_always(Call::RefundState, Some(CallFault::LoseAnswer));
    let payment = shop.refused().await;
    shop.until_state("unknown", 1).await;
    for hour in 0..25 {
        if hour == 24 {
            shop.provider.forget_keys();
        }
        shop.pass(HOUR).await;
        // In between an attempt is under way.
        shop.until_state("unknown", 1).await;
    }
    let asked = shop.provider.count(Call::RefundState);
    assert!(asked >= 20, "it was asked for all the time: {asked}");
    assert!(shop.provider.count(Call::Refund) > 1, "while the key is known it is sent again");
    assert_eq!(shop.provider.returned(&payment), (1, 250), "and it happened once");
    shop.provider.fail_always(Call::RefundState, None);
    shop.pass(HOUR).await;
    shop.until_state("succeeded", 1).await;
    assert_eq!(shop.provider.returned(&payment), (1, 250));
}

async fn a_provider_that_is_away_for_a_day_gets_each_refund_once_when_it_is_back(kind: StoreKind) {
    let shop = Shop::open(kind).await;
    let (mut payments, mut orders) = (Vec::new(), Vec::new());
    for _ in 0..4 {
        let (payment, placed) = shop.paid().await;
        payments.push(payment);
        orders.push(placed);
    }
    shop.provider.fail_always(Call::Refund, Some(CallFault::Fail));
    shop.provider.fail_always(Call::RefundState, Some(CallFault::Fail));
    for placed in &orders {
        shop.merchant.move_order(&shop.app, placed, "rejected").await;
    }
    for _ in 0..24 {
        shop.pass(HOUR).await;
    }
    assert_eq!(shop.states("succeeded").await, 0);
    shop.provider.fail_always(Call::Refund, None);
    shop.provider.fail_always(Call::RefundState, None);
    shop.provider.forget_keys();
    for _ in 0..3 {
        shop.pass(HOUR).await;
    }
    shop.until_state("succeeded", 4).await;
    for payment in &payments {
        assert_eq!(shop.provider.returned(payment), (1, 250));
    }
    let health = Answer::of(shop.app.http.get(shop.app.url("/health/detailed"))).await.json();
    assert_eq!(health["checks"]["payment_provider"]["status"], "healthy", "{health}");
}

async fn a_refund_that_is_held_is_not_begun_and_is_sent_when_the_hold_ends(kind: StoreKind) {
    let shop = Shop::open(kind).await;
    let operator = shop.app.operator("Ada").await;
    let until = shop.app.timers().now().plus(2 * HOUR).to_rfc3339();
    let hold = |until: Option<String>| json!({"what": "refunds", "scope": "zone:lisbon", "until": until, "reason": "the bank is closed"});
    operator.put(&shop.app, "/admin/holds", &hold(Some(until))).await.expect(200);
    let payment = shop.refused().await;
    shop.app.timers().advance(Duration::from_secs(30));
    shop.until_state("due", 1).await;
    assert_eq!(shop.provider.returned(&payment), (0, 0));
    operator.put(&shop.app, "/admin/holds", &hold(None)).await.expect(200);
    shop.until_state("succeeded", 1).await;
    assert_eq!(shop.provider.returned(&payment), (1, 250));
}
