//! A thousand messages, doubled, out of order, some unsigned, some that cannot be worked on yet, and the database away among them.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};

use crate::support::{
    Answer, NetworkFault, Person, RecordingProvider, StoreKind, TestApp, WEBHOOK_SECRET, order_body,
    signed_message,
};

crate::on_both_stores!(a_thousand_messages_change_each_payment_once_and_what_failed_replays_to_completion);

/// Payments; each has two messages, each sent twice.
const PAYMENTS: usize = 250;

/// Of twenty payments one is not known when its messages are worked on.
const FAILING: usize = 20;

/// Messages at a time.
const AT_ONCE: usize = 32;

/// Nothing here takes so long that is not broken.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long the database is away; `BELLHOP_FAULTS_AWAY_S` sets it.
fn away() -> Duration {
    let seconds = std::env::var("BELLHOP_FAULTS_AWAY_S").map_or(3, |text| text.parse().expect("seconds"));
    Duration::from_secs(seconds)
}

/// The same order of the same things in each run.
fn shuffled<T>(mut things: Vec<T>) -> Vec<T> {
    let mut state: u64 = 0x9E37_79B9_7F4A_7C15;
    for at in (1..things.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        things.swap(at, (state >> 33) as usize % (at + 1));
    }
    things
}

async fn paid_orders(app: &TestApp, provider: &RecordingProvider) -> Vec<(String, String)> {
    let merchant = app.person("merchant", "Mia").await;
    let business = merchant.business(app).await;
    let customer = app.person("customer", "Carl").await;
    let one = |_| one_paid(app, provider, &customer, &business);
    stream::iter(0..PAYMENTS).map(one).buffer_unordered(8).collect().await
}

async fn one_paid(
    app: &TestApp,
    provider: &RecordingProvider,
    customer: &Person,
    business: &str,
) -> (String, String) {
    let mut body = order_body(business);
    body["payment"] = json!("online");
    let order = customer.post(app, "/orders", &body).await.expect(201).json();
    let wish = json!({"order_id": order["id"]});
    let payment = customer.post(app, "/payments/initiate", &wish).await.expect(201).json();
    let payment = payment["payment_id"].as_str().unwrap().to_owned();
    assert!(provider.pay(&payment));
    (order["id"].as_str().unwrap().to_owned(), payment)
}

/// Sends a message until it is taken in, as providers do; how often it was refused meanwhile.
async fn deliver(app: &TestApp, secret: &str, body: &Value) -> (u16, usize) {
    let mut pace = tokio::time::interval(Duration::from_millis(50));
    let mut refused = 0;
    loop {
        let answer = Answer::of(signed_message(app, secret, body)).await;
        match answer.status.as_u16() {
            503 => refused += 1,
            status => return (status, refused),
        }
        pace.tick().await;
    }
}

async fn wait_for(app: &TestApp, what: &str, sql: &str, count: i64) {
    let mut pace = tokio::time::interval(Duration::from_millis(50));
    let reached = async {
        while app.numbers(sql).await != [Some(count)] {
            pace.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, reached).await.unwrap_or_else(|_| panic!("never: {what}"));
}

async fn a_thousand_messages_change_each_payment_once_and_what_failed_replays_to_completion(kind: StoreKind) {
    let provider = RecordingProvider::start().await;
    let settings = provider.settings();
    let mut settings: Vec<(&str, &str)> = settings.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    settings.push(("limits.open_orders", "1000"));
    let (proxy, app) = match kind {
        StoreKind::Postgres => {
            let (proxy, app) = TestApp::start_behind_proxy(&settings).await;
            (Some(proxy), app)
        }
        StoreKind::Sqlite => (None, TestApp::start_with(kind, &settings).await),
    };
    let orders = paid_orders(&app, &provider).await;
    // Some payments are not known while their messages are worked on.
    let hidden: Vec<&String> = orders.iter().step_by(FAILING).map(|(_, payment)| payment).collect();
    let list = hidden.iter().map(|id| format!("'{id}'")).collect::<Vec<_>>().join(",");
    app.execute(format!("UPDATE payments SET id = 'hidden_' || id WHERE id IN ({list})")).await;

    let mut messages = Vec::new();
    for (at, (order, payment)) in orders.iter().enumerate() {
        for status in ["FAILED", "SUCCESS"] {
            let body = json!({"payment_id": payment, "order_id": order, "status": status});
            let secret = if at % 20 == 7 { "a secret that nobody shares" } else { WEBHOOK_SECRET };
            messages.push((secret, body.clone()));
            messages.push((WEBHOOK_SECRET, body));
        }
    }
    let messages = shuffled(messages);
    let half = messages.len() / 2;
    let send = |part: &'static str, some: Vec<(&'static str, Value)>| {
        let app = &app;
        async move {
            let sent = some.into_iter().map(|(secret, body)| async move {
                let (status, refused) = deliver(app, secret, &body).await;
                let wanted = if secret == WEBHOOK_SECRET { 200 } else { 401 };
                assert_eq!(status, wanted, "{part}: {body}");
                refused
            });
            stream::iter(sent).buffer_unordered(AT_ONCE).fold(0, |all, one| async move { all + one }).await
        }
    };
    let (first, second) = messages.split_at(half);
    send("before", first.to_vec()).await;
    let outage = async {
        let Some(proxy) = &proxy else { return };
        proxy.set(NetworkFault::Refusing);
        tokio::time::sleep(away()).await;
        proxy.set(NetworkFault::None);
    };
    let (refused, ()) = tokio::join!(send("among them", second.to_vec()), outage);
    assert_eq!(refused > 0, proxy.is_some(), "messages that cannot be stored are refused, {refused} times");

    let known = (PAYMENTS - hidden.len()) as i64;
    let succeeded = "SELECT COUNT(*) FROM payments WHERE state = 'succeeded'";
    wait_for(&app, "all known payments have succeeded", succeeded, known).await;
    let open = "SELECT COUNT(*) FROM dead_letters WHERE state = 'open'";
    // Two messages of each hidden payment, at their fourth attempt.
    let letters = 2 * hidden.len() as i64;
    let mut steps = 0;
    while app.numbers(open).await != [Some(letters)] {
        steps += 1;
        assert!(steps < 400, "they are never given up");
        app.advance(Duration::from_secs(1)).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let other = "SELECT COUNT(*) FROM dead_letters WHERE reason <> 'unknown_payment'";
    assert_eq!(app.numbers(other).await, [Some(0)], "no fault of the hub makes a dead letter");
    let cancelled = "SELECT COUNT(*) FROM orders WHERE status = 'cancelled'";
    assert_eq!(app.numbers(cancelled).await, [Some(0)], "no order that was paid is cancelled");

    app.execute("UPDATE payments SET id = substr(id, 8) WHERE id LIKE 'hidden_%'".to_owned()).await;
    let operator = app.operator("Ada").await;
    operator.post(&app, "/admin/dead-letters/replay", &json!({})).await.expect(202);
    wait_for(&app, "every payment has succeeded", succeeded, PAYMENTS as i64).await;
    wait_for(&app, "no dead letter is left", open, 0).await;
    let events =
        "SELECT COUNT(*) FROM room_events WHERE kind = 'payment_received' AND room LIKE 'business:%'";
    assert_eq!(app.numbers(events).await, [Some(PAYMENTS as i64)], "each payment changed once");
    let placed = "SELECT COUNT(*) FROM orders WHERE status = 'placed'";
    assert_eq!(app.numbers(placed).await, [Some(PAYMENTS as i64)]);
    assert_eq!(app.numbers("SELECT COUNT(*) FROM refunds").await, [Some(0)]);
}
