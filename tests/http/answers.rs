//! Orders that wait for an answer: rung for by hand, shown in timelines and in the figures of their business.

use std::time::Duration;

use bellhop::domain::time::Timestamp;
use serde_json::{Value, json};

use crate::each;
use crate::support::{Person, StoreKind, TestApp};

crate::on_both_stores!(
    operators_ring_for_an_order_that_waits_and_for_no_other,
    the_timeline_shows_rings_rungs_and_the_deadline_and_customers_only_the_deadline,
    figures_say_how_soon_orders_are_answered_and_how_many_were_not,
    a_hold_that_another_node_has_set_counts_within_two_seconds,
);

fn entries<'a>(timeline: &'a Value, kind: &str) -> Vec<&'a Value> {
    timeline["items"].as_array().unwrap().iter().filter(|item| item["kind"] == kind).collect()
}

async fn timeline(app: &TestApp, who: &Person, order: &Value) -> Value {
    let path = format!("/orders/{}/timeline", order["id"].as_str().unwrap());
    who.get(app, &path).await.expect(200).json()
}

/// A time zone in which no day begins within hours: figures are of the day of a business.
fn where_it_is_day() -> &'static str {
    let hour = Timestamp::now().unix_seconds() / 3600 % 24;
    if (6..18).contains(&hour) { "UTC" } else { "Pacific/Auckland" }
}

async fn operators_ring_for_an_order_that_waits_and_for_no_other(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (owner, customer) = (app.person("merchant", "Olga").await, app.person("customer", "Zoe").await);
    let operator = app.operator("Ada").await;
    let business = owner.business(&app).await;
    let order = customer.order(&app, &business).await;
    let ring = format!("/orders/{}/ring", order["id"].as_str().unwrap());
    operator.post(&app, &ring, &json!({})).await.expect(204);
    app.advance(Duration::from_millis(1)).await;
    // On a slow machine it has rung by itself as well.
    let rings = |shown: &Value| entries(shown, "rang")[0]["rings"].as_u64().expect("a number");
    assert!(rings(&timeline(&app, &owner, &order).await) >= 1);
    owner.move_order(&app, &order, "accepted").await;
    let answered = timeline(&app, &owner, &order).await;
    operator.post(&app, &ring, &json!({})).await.expect_problem(409, "not_ringing");
    app.advance(Duration::from_secs(30)).await;
    let later = timeline(&app, &owner, &order).await;
    assert_eq!(rings(&later), rings(&answered), "an answered order rings no more: {later}");
}

async fn the_timeline_shows_rings_rungs_and_the_deadline_and_customers_only_the_deadline(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (owner, customer) = (app.person("merchant", "Olga").await, app.person("customer", "Zoe").await);
    let business = owner.business(&app).await;
    let order = customer.order(&app, &business).await;
    app.advance(Duration::from_secs(65)).await;
    let shown = timeline(&app, &owner, &order).await;
    let rang = entries(&shown, "rang");
    assert_eq!(rang.len(), 1, "all rings are one entry: {shown}");
    assert_eq!(rang[0]["rings"], 5, "undelivered after 5 s, and one each 15 s: {shown}");
    assert!(rang[0]["at"].as_str() < rang[0]["last_at"].as_str(), "{shown}");
    let rungs: Vec<_> =
        entries(&shown, "reached").iter().map(|rung| rung["rung"].as_str().unwrap()).collect();
    assert!(rungs.contains(&"undelivered") && rungs.contains(&"escalate"), "{shown}");
    assert_eq!(entries(&shown, "deadline")[0]["at"], order["deadline_at"], "{shown}");
    let to_customer = timeline(&app, &customer, &order).await;
    assert_eq!(each(&to_customer, "kind"), ["moved", "deadline"]);
    let accepted = owner.move_order(&app, &order, "accepted").await;
    let shown = timeline(&app, &owner, &order).await;
    let deadlines = entries(&shown, "deadline");
    assert!(deadlines.iter().all(|deadline| deadline["at"] == accepted["deadline_at"]), "{shown}");
}

async fn figures_say_how_soon_orders_are_answered_and_how_many_were_not(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (owner, customer) = (app.person("merchant", "Olga").await, app.person("customer", "Zoe").await);
    let operator = app.operator("Ada").await;
    let (quick, slow) = (owner.business(&app).await, owner.business(&app).await);
    let by_day = json!({"timezone": where_it_is_day()});
    owner.patch(&app, &format!("/businesses/{slow}"), &by_day).await.expect(200);
    let order = customer.order(&app, &quick).await;
    owner.move_order(&app, &order, "accepted").await;
    let order = customer.order(&app, &slow).await;
    app.advance(Duration::from_secs(40)).await;
    owner.move_order(&app, &order, "rejected").await;
    customer.order(&app, &slow).await;
    app.advance(Duration::from_secs(8 * 60 + 1)).await;
    let figures = owner.get(&app, &format!("/businesses/{slow}/stats")).await.expect(200).json();
    assert_eq!(figures["unanswered_today"], 1, "{figures}");
    let within = |seconds: &Value| (40..120).contains(&seconds.as_u64().unwrap());
    assert!(within(&figures["answer_p50_s"]) && within(&figures["answer_p90_s"]), "{figures}");
    let fresh = owner.business(&app).await;
    let none = owner.get(&app, &format!("/businesses/{fresh}/stats")).await.expect(200).json();
    assert_eq!((&none["answer_p50_s"], &none["unanswered_today"]), (&json!(null), &json!(0)));

    let slowest = operator.get(&app, "/admin/businesses?sort=answer_p90").await.expect(200).json();
    assert_eq!(each(&slowest, "id"), [slow.clone(), quick.clone()], "{slowest}");
    assert_eq!(
        (&slowest["items"][0]["answered"], &slowest["items"][0]["unanswered"]),
        (&json!(1), &json!(1))
    );
    let page = operator.get(&app, "/admin/businesses?limit=2").await.expect(200).json();
    assert_eq!(each(&page, "id"), [quick, slow]);
    let rest = format!("/admin/businesses?cursor={}", page["next_cursor"].as_str().unwrap());
    let rest = operator.get(&app, &rest).await.expect(200).json();
    assert_eq!((each(&rest, "id"), &rest["items"][0]["answer_p90_s"]), (vec![fresh.clone()], &json!(null)));
    let both = format!("/admin/businesses?sort=answer_p90&cursor={fresh}");
    operator.get(&app, &both).await.expect_problem(422, "invalid");
}

async fn a_hold_that_another_node_has_set_counts_within_two_seconds(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (owner, customer) = (app.person("merchant", "Olga").await, app.person("customer", "Zoe").await);
    let business = owner.business(&app).await;
    let until = Timestamp::now().plus(Duration::from_secs(600)).as_micros();
    let row = format!("'new_orders', '{business}', {until}, 'a test', '{}', 0", owner.id);
    app.execute(format!(
        "INSERT INTO holds (what, scope, until, reason, user_id, created_at) VALUES ({row})"
    ))
    .await;
    let mut looks = tokio::time::interval(Duration::from_millis(20));
    let held = async {
        loop {
            looks.tick().await;
            let answer = customer.post(&app, "/orders", &crate::support::order_body(&business)).await;
            if answer.status == 409 {
                return answer.expect_problem(409, "orders_held");
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), held).await.expect("the hold is seen");
}
