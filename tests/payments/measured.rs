//! How many messages a second a hub takes in; `load-tests/webhooks/run` runs it.

use std::time::Instant;

use futures_util::{StreamExt as _, stream};
use serde_json::json;

use crate::evening::Evening;
use crate::support::{Answer, StoreKind, WEBHOOK_SECRET, signed_message};

/// Payments that the messages are about, messages of each, and how many are sent at a time.
const PAYMENTS: usize = 200;
const MESSAGES: usize = 100;
const AT_ONCE: usize = 64;

/// Messages a second that Postgres takes in at least.
const ACCEPTED: f64 = 1000.0;

async fn messages_taken_in(kind: StoreKind) -> f64 {
    let mut evening = Evening::begin(kind, &[("limits.open_orders", "1000")]).await;
    let mut paid = Vec::new();
    for _ in 0..PAYMENTS {
        let order = evening.order().await;
        let payment = evening.initiate(&order).await;
        paid.push((order, payment));
    }
    let hub = evening.endpoint();
    let begun = Instant::now();
    let sent = (0..PAYMENTS * MESSAGES).map(|n| {
        let (order, payment) = &paid[n % PAYMENTS];
        let body = json!({
            "payment_id": payment, "order_id": order["id"], "status": "SUCCESS", "event_id": format!("evt-{n}"),
        });
        let request = signed_message(&hub, WEBHOOK_SECRET, &body);
        async move { Answer::of(request).await.status.as_u16() }
    });
    let refused = stream::iter(sent).buffer_unordered(AT_ONCE).filter(|status| {
        let is_refused = *status != 200;
        async move { is_refused }
    });
    let refused = refused.count().await;
    let taken = (PAYMENTS * MESSAGES - refused) as f64;
    let rate = taken / begun.elapsed().as_secs_f64();
    evening.until_worked_on().await;
    let all = taken / begun.elapsed().as_secs_f64();
    eprintln!("{kind:?}: {rate:.0} messages taken in a second, {all:.0} worked on, {refused} refused");
    rate
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it measures: load-tests/webhooks/run"]
async fn a_hub_on_postgres_takes_in_a_thousand_messages_a_second() {
    let rate = messages_taken_in(StoreKind::Postgres).await;
    assert!(rate >= ACCEPTED, "{rate:.0} a second");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it measures: load-tests/webhooks/run"]
async fn a_hub_on_sqlite_takes_in_messages() {
    messages_taken_in(StoreKind::Sqlite).await;
}
