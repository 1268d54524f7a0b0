//! Pauses of businesses, each with its cause, and what businesses say about taking orders.

use std::time::Duration;

use bellhop::domain::time::Timestamp;
use serde_json::{Value, json};

use crate::support::{Person, StoreKind, TestApp, order_body};
use crate::{fields, history};

crate::on_both_stores!(
    a_pause_by_hand_is_kept_beside_the_state_and_staff_may_begin_and_end_it,
    an_operators_pause_is_ended_by_operators_only,
    the_right_pause_ends_and_the_others_hold,
    a_change_of_what_a_business_takes_is_an_event_of_its_room_and_in_the_audit,
    alerts_are_muted_by_members_for_eight_hours_at_most,
    settings_of_alerts_are_bounded_and_for_owners,
);

fn soon(seconds: u64) -> String {
    Timestamp::now().plus(Duration::from_secs(seconds)).to_rfc3339()
}

async fn in_hours(app: &TestApp) -> (Person, Person, String) {
    let (owner, staff) = (app.person("merchant", "Olga").await, app.person("merchant", "Sam").await);
    let business = owner.business(app).await;
    owner.take_in(app, &business, &staff).await;
    (owner, staff, business)
}

/// Pauses a business as the hub itself would, behind its back.
async fn pause(app: &TestApp, business: &str, cause: &str) {
    let pause = format!("{{\"cause\":\"{cause}\",\"since\":\"2026-01-01T00:00:00Z\",\"until\":null}}");
    let others = "COALESCE(SUBSTR(pauses, 1, LENGTH(pauses) - 1) || ',', '[')";
    app.execute(format!("UPDATE businesses SET pauses = {others} || '{pause}]' WHERE id = '{business}'"))
        .await;
}

fn causes(business: &Value) -> Vec<String> {
    let pauses = business["pauses"].as_array().expect("members see the pauses");
    pauses.iter().map(|pause| pause["cause"].as_str().expect("a pause has a cause").to_owned()).collect()
}

async fn a_pause_by_hand_is_kept_beside_the_state_and_staff_may_begin_and_end_it(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (_, staff, business) = in_hours(&app).await;
    let customer = app.person("customer", "Zoe").await;
    let path = format!("/businesses/{business}");
    staff.patch(&app, &path, &json!({"state": "busy", "extra_minutes": 10})).await.expect(200);
    let until = soon(600);
    let paused = json!({"state": "paused", "paused_until": until});
    let paused = staff.patch(&app, &path, &paused).await.expect(200).json();
    assert_eq!((&paused["state"], &paused["paused_until"]), (&json!("paused"), &json!(until)));
    assert_eq!(causes(&paused), ["manual"]);
    let seen = customer.get(&app, &path).await.expect(200).json();
    assert_eq!((&seen["state"], &seen["paused_until"]), (&json!("paused"), &json!(until)));
    assert!(seen.get("pauses").is_none(), "causes are not for customers: {seen}");
    let refused = customer.post(&app, "/orders", &order_body(&business)).await;
    let refused = refused.expect_problem(409, "business_paused");
    assert!(refused["detail"].as_str().unwrap().contains(&until), "{refused}");

    let resumed = staff.delete(&app, &format!("{path}/pauses/manual")).await.expect(200).json();
    assert_eq!(
        (&resumed["state"], &resumed["extra_minutes"]),
        (&json!("busy"), &json!(10)),
        "as it was before"
    );
    assert_eq!(causes(&resumed), [""; 0]);
    customer.order(&app, &business).await;
    // Without until a pause by hand is none: whoever forgets it loses an evening.
    let endless = staff.patch(&app, &path, &json!({"state": "paused"})).await.expect_problem(422, "invalid");
    assert_eq!(fields(&endless), ["paused_until"]);
}

async fn an_operators_pause_is_ended_by_operators_only(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (owner, _, business) = in_hours(&app).await;
    let operator = app.operator("Ada").await;
    let path = format!("/businesses/{business}");
    let paused = operator.patch(&app, &path, &json!({"state": "paused"})).await.expect(200).json();
    assert_eq!(causes(&paused), ["operator"]);
    let pause = format!("{path}/pauses/operator");
    owner.delete(&app, &pause).await.expect_problem(403, "forbidden");
    let opened = owner.patch(&app, &path, &json!({"state": "open"})).await.expect(200).json();
    assert_eq!((&opened["state"], causes(&opened)), (&json!("paused"), vec!["operator".to_owned()]));
    let customer = app.person("customer", "Zoe").await;
    let refused = customer.post(&app, "/orders", &order_body(&business)).await;
    refused.expect_problem(409, "business_paused");
    let resumed = operator.delete(&app, &pause).await.expect(200).json();
    assert_eq!(resumed["state"], "open");
    // Repeated it is harmless, and a cause there is not is nothing one may see.
    operator.delete(&app, &pause).await.expect(200);
    operator.delete(&app, &format!("{path}/pauses/rain")).await.expect_problem(404, "not_found");
}

async fn the_right_pause_ends_and_the_others_hold(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (owner, staff, business) = in_hours(&app).await;
    let operator = app.operator("Ada").await;
    let path = format!("/businesses/{business}");
    let all = ["manual", "operator", "unanswered", "unreachable"];
    for ends in all {
        staff.patch(&app, &path, &json!({"state": "paused", "paused_until": soon(600)})).await.expect(200);
        operator.patch(&app, &path, &json!({"state": "paused"})).await.expect(200);
        for machine in ["unanswered", "unreachable"] {
            pause(&app, &business, machine).await;
        }
        // Members are shown all of them, whoever made them.
        let mut begun = causes(&owner.get(&app, &path).await.expect(200).json());
        begun.sort();
        assert_eq!(begun, all);
        let by = if ends == "operator" { &operator } else { &staff };
        let left = by.delete(&app, &format!("{path}/pauses/{ends}")).await.expect(200).json();
        assert_eq!(left["state"], "paused", "{ends} ended alone");
        let (mut left, mut others) = (causes(&left), all.to_vec());
        left.sort();
        others.retain(|cause| *cause != ends);
        assert_eq!(left, others);
        for cause in others {
            operator.delete(&app, &format!("{path}/pauses/{cause}")).await.expect(200);
        }
        assert_eq!(owner.get(&app, &path).await.expect(200).json()["state"], "open");
    }
}

async fn a_change_of_what_a_business_takes_is_an_event_of_its_room_and_in_the_audit(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (owner, staff, business) = in_hours(&app).await;
    let path = format!("/businesses/{business}");
    let until = soon(600);
    staff.patch(&app, &path, &json!({"state": "busy", "extra_minutes": 10})).await.expect(200);
    staff.patch(&app, &path, &json!({"state": "paused", "paused_until": until})).await.expect(200);
    owner.patch(&app, &path, &json!({"name": "Bakery"})).await.expect(200);
    staff.delete(&app, &format!("{path}/pauses/manual")).await.expect(200);
    staff.delete(&app, &format!("{path}/pauses/manual")).await.expect(200);
    let told = history(&app, &owner, &format!("business:{business}")).await.json();
    let updates: Vec<&Value> = told["events"].as_array().unwrap().iter().map(|told| &told["event"]).collect();
    assert!(updates.iter().all(|event| event["type"] == "business_updated"), "{told}");
    let said: Vec<_> =
        updates.iter().map(|event| (&event["data"]["state"], &event["data"]["takes_orders"])).collect();
    // Neither a new name nor a repetition is told.
    let (busy, yes, no) = (&json!("busy"), &json!(true), &json!(false));
    assert_eq!(said, [(busy, yes), (busy, no), (busy, yes)], "{told}");
    let pauses = &updates[1]["data"]["pauses"];
    assert_eq!(*pauses, json!([{"cause": "manual", "until": until, "since": pauses[0]["since"]}]));
    let audited = "SELECT count(*) FROM audit WHERE action = 'business.trading'";
    assert_eq!(app.numbers(audited).await, [Some(3)]);
}

async fn alerts_are_muted_by_members_for_eight_hours_at_most(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (_, staff, business) = in_hours(&app).await;
    let mute = format!("/businesses/{business}/alerts/mute");
    let until = soon(3600);
    let muted = staff.post(&app, &mute, &json!({"until": until})).await.expect(200).json();
    assert_eq!(muted["muted_until"], json!(until));
    for wrong in [soon(8 * 3600 + 60), "2020-01-01T00:00:00Z".to_owned()] {
        let refused = staff.post(&app, &mute, &json!({"until": wrong})).await.expect_problem(422, "invalid");
        assert_eq!(fields(&refused), ["until"]);
    }
    let loud = staff.post(&app, &mute, &json!({"until": null})).await.expect(200).json();
    assert!(loud.get("muted_until").is_none(), "{loud}");
}

async fn settings_of_alerts_are_bounded_and_for_owners(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (owner, staff, business) = in_hours(&app).await;
    let path = format!("/businesses/{business}");
    let settings = json!({
        "alerts": {"accept_s": 300, "ring_every_s": 10}, "auto_accept": true, "reach": "any",
        "accepts": {"fulfilment": ["pickup", "dine_in"], "payment": ["cash"], "delivery_radius_m": 2500},
    });
    staff.patch(&app, &path, &settings).await.expect_problem(403, "forbidden");
    let set = owner.patch(&app, &path, &settings).await.expect(200).json();
    for field in ["alerts", "auto_accept", "reach", "accepts"] {
        assert_eq!(set[field], settings[field], "{field}");
    }
    assert_eq!(owner.get(&app, &path).await.expect(200).json()["alerts"], settings["alerts"]);
    for (wrong, field) in [
        (json!({"alerts": {"accept_s": 119}}), "alerts.accept_s"),
        (json!({"alerts": {"accept_s": 1201}}), "alerts.accept_s"),
        (json!({"alerts": {"ring_every_s": 4}}), "alerts.ring_every_s"),
        (json!({"alerts": {"ring_every_s": 61}}), "alerts.ring_every_s"),
        (json!({"accepts": {"fulfilment": []}}), "accepts.fulfilment"),
        (json!({"accepts": {"delivery_radius_m": 0}}), "accepts.delivery_radius_m"),
        (json!({"reach": "pigeons"}), "reach"),
    ] {
        let refused = owner.patch(&app, &path, &wrong).await.expect_problem(422, "invalid");
        assert_eq!(fields(&refused), [field], "{wrong}");
    }
    let back = owner.patch(&app, &path, &json!({"alerts": {}, "accepts": {}})).await.expect(200).json();
    assert_eq!(back["alerts"], json!({}), "as the hub has it");
    assert_eq!(back["accepts"]["delivery_radius_m"], 8000);
    let public = app.person("customer", "Zoe").await.get(&app, &path).await.expect(200).json();
    assert!(public.get("alerts").is_none() && public["accepts"].is_object(), "{public}");
}
