//! Where somebody is signed in, and what ends with a sign-in.

use serde_json::json;

use crate::support::{Device, Person, StoreKind, TestApp};
use crate::{anonymous, each};

crate::on_both_stores!(
    sign_ins_are_listed_with_their_device_and_activity_and_survive_a_restart,
    ending_a_sign_in_closes_its_sockets_and_refuses_its_tokens_at_once,
    a_rotated_token_used_again_closes_the_sockets_of_the_family,
);

async fn elsewhere(app: &TestApp, person: &Person, device: &str) -> Person {
    let mut elsewhere = person.clone();
    elsewhere.sign_in(app, Some(device)).await;
    elsewhere
}

async fn sign_ins_are_listed_with_their_device_and_activity_and_survive_a_restart(kind: StoreKind) {
    let mut app = TestApp::start(kind).await;
    let zoe = app.person("customer", "Zoe").await;
    let phone = elsewhere(&app, &zoe, "phone").await;
    phone.get(&app, "/orders").await.expect(200);
    let list = zoe.get(&app, "/auth/sessions").await.expect(200).json();
    let items = list["items"].as_array().unwrap();
    assert_eq!(items.len(), 2);
    let of_phone = items.iter().find(|session| session["device"]["id"] == "phone").unwrap();
    assert_eq!(of_phone["device"], json!({"id": "phone", "name": "phone", "platform": "test"}));
    assert_eq!(of_phone["current"], false);
    assert!(of_phone["last_active_at"].as_str() > of_phone["created_at"].as_str(), "{of_phone}");
    let own = items.iter().find(|session| session["device"].is_null()).unwrap();
    assert_eq!(own["current"], true);
    let seen = of_phone["last_active_at"].clone();
    app.restart().await;
    let list = zoe.get(&app, "/auth/sessions").await.expect(200).json();
    let again =
        list["items"].as_array().unwrap().iter().find(|session| session["id"] == of_phone["id"]).unwrap();
    assert_eq!(again["last_active_at"], seen);
    let yan = app.person("customer", "Yan").await;
    assert_eq!(each(&yan.get(&app, "/auth/sessions").await.expect(200).json(), "id").len(), 1);
}

async fn ending_a_sign_in_closes_its_sockets_and_refuses_its_tokens_at_once(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let owner = app.person("merchant", "Olga").await;
    let business = owner.business(&app).await;
    let tablet = elsewhere(&app, &owner, "tablet").await;
    let mut lost = Device::of_business(&app, &tablet, &business, None).await;
    let mut kept = Device::of_business(&app, &owner, &business, None).await;
    let list = owner.get(&app, "/auth/sessions").await.expect(200).json();
    let of_tablet = list["items"].as_array().unwrap().iter().find(|s| s["device"]["id"] == "tablet").unwrap()
        ["id"]
        .clone();
    let path = format!("/auth/sessions/{}", of_tablet.as_str().unwrap());
    app.person("merchant", "Otto").await.delete(&app, &path).await.expect_problem(404, "not_found");
    owner.delete(&app, &path).await.expect(204);
    assert_eq!(lost.closed().await.code, 4001);
    tablet.get(&app, "/orders").await.expect_problem(401, "unauthenticated");
    let token = json!({"refresh_token": tablet.refresh_token});
    anonymous(&app, "/auth/refresh", &token).await.expect_problem(401, "refresh_refused");
    owner.delete(&app, &path).await.expect_problem(404, "not_found");
    kept.settle().await;
    kept.close().await;
}

async fn a_rotated_token_used_again_closes_the_sockets_of_the_family(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let owner = app.person("merchant", "Olga").await;
    let business = owner.business(&app).await;
    let other = elsewhere(&app, &owner, "tablet").await;
    let mut stolen = Device::of_business(&app, &owner, &business, None).await;
    let mut kept = Device::of_business(&app, &other, &business, None).await;
    let refresh = async |token: &serde_json::Value| {
        anonymous(&app, "/auth/refresh", &json!({"refresh_token": token})).await
    };
    let first = json!(owner.refresh_token);
    let second = refresh(&first).await.expect(200).json();
    refresh(&second["refresh_token"]).await.expect(200);
    stolen.settle().await;
    refresh(&first).await.expect_problem(401, "refresh_refused");
    assert_eq!(stolen.closed().await.code, 4001);
    kept.settle().await;
    kept.close().await;
    let counted = app.metrics().security_events_total.with_label_values(&["refresh_reuse"]).get();
    assert_eq!(counted, 1);
}
