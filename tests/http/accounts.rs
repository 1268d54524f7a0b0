//! Accounts and sign-ins.

use serde_json::{Value, json};

use crate::support::{Answer, Device, PASSWORD, Person, StoreKind, TestApp};
use crate::{anonymous, fields, header, login};

crate::on_both_stores!(
    an_account_is_made_once_whatever_the_case_of_its_address,
    a_password_from_before_normal_forms_still_opens_its_account_and_is_hashed_anew,
    a_refresh_token_is_exchanged_and_repeating_the_last_exchange_gives_the_same_successor,
    a_lost_answer_costs_no_sign_in_however_late_it_is_asked_for_again,
    a_rotated_token_used_again_ends_the_family,
    a_rotated_token_used_again_after_its_successor_was_used_ends_the_family,
    signing_out_ends_this_sign_in_at_once_and_no_other,
    a_phone_number_is_shown_to_nobody_but_its_owner,
    members_say_for_themselves_whether_they_are_called,
);

async fn an_account_is_made_once_whatever_the_case_of_its_address(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let body = json!({"email": "Zoe@Example.com", "password": PASSWORD, "name": "Zoë"});
    let user = anonymous(&app, "/auth/signup", &body).await.expect(201).json();
    assert_eq!((&user["email"], &user["role"]), (&json!("zoe@example.com"), &json!("customer")));
    assert!(user.get("access_token").is_none());
    anonymous(&app, "/auth/signup", &body).await.expect_problem(409, "already_exists");
    let answer = anonymous(&app, "/auth/login", &login("ZOE@example.com", PASSWORD)).await.expect(200);
    assert_eq!(header(&answer, "cache-control"), "no-store");
    let tokens = answer.json();
    assert_eq!((&tokens["token_type"], &tokens["expires_in"]), (&json!("bearer"), &json!(3600)));
    assert_eq!(tokens["role"], "customer");
}

#[tokio::test]
async fn drivers_wait_for_approval_unless_the_settings_say_otherwise() {
    for (auto_approve, approved) in [("true", true), ("false", false)] {
        let app = TestApp::start_with(StoreKind::Sqlite, &[("drivers.auto_approve", auto_approve)]).await;
        let body = json!({"email": "d@example.com", "password": PASSWORD, "role": "driver"});
        let driver = anonymous(&app, "/auth/signup", &body).await.expect(201).json();
        assert_eq!(driver["approved"], approved);
    }
}

#[tokio::test]
async fn an_unknown_address_and_a_wrong_password_look_the_same_and_are_slowed_down_alike() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let known = app.person("customer", "Zoe").await;
    for email in [known.email.as_str(), "nobody@example.com"] {
        let body = login(email, "wrong password");
        for _ in 0..5 {
            anonymous(&app, "/auth/login", &body).await.expect_problem(401, "bad_credentials");
        }
        let slowed = anonymous(&app, "/auth/login", &body).await;
        assert_eq!(header(&slowed, "retry-after"), "1");
        assert_eq!(header(&slowed, "ratelimit"), "\"failed-sign-ins\";r=0;t=1");
        slowed.expect_problem(429, "too_many_requests");
    }
}

#[tokio::test]
async fn a_device_is_called_the_same_at_sign_in_and_on_its_socket() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let zoe = app.person("customer", "Zoe").await;
    let sign_in = async |id: &str| {
        let body = json!({"email": zoe.email, "password": PASSWORD, "device": {"id": id}});
        anonymous(&app, "/auth/login", &body).await
    };
    sign_in(&"x".repeat(64)).await.expect(200);
    for bad in ["", "tablet-k\u{fc}che", "two words", &"x".repeat(65)] {
        assert_eq!(fields(&sign_in(bad).await.expect_problem(422, "invalid")), ["device.id"], "{bad}");
    }
}

async fn a_password_from_before_normal_forms_still_opens_its_account_and_is_hashed_anew(kind: StoreKind) {
    use argon2::PasswordHasher as _;
    let app = TestApp::start(kind).await;
    let zoe = app.person("customer", "Zoe").await;
    let (nfc, nfd) = ("p\u{e4}ssw\u{f6}rter", "pa\u{308}sswo\u{308}rter");
    let hash = argon2::Argon2::default().hash_password(nfd.as_bytes()).unwrap().to_string();
    app.execute(format!("UPDATE users SET password_hash = '{hash}'")).await;
    anonymous(&app, "/auth/login", &login(&zoe.email, nfc)).await.expect_problem(401, "bad_credentials");
    anonymous(&app, "/auth/login", &login(&zoe.email, nfd)).await.expect(200);
    for typed in [nfc, nfd] {
        anonymous(&app, "/auth/login", &login(&zoe.email, typed)).await.expect(200);
    }
}

fn exchange(token: &Value) -> Value {
    json!({"refresh_token": token})
}

async fn a_refresh_token_is_exchanged_and_repeating_the_last_exchange_gives_the_same_successor(
    kind: StoreKind,
) {
    let app = TestApp::start(kind).await;
    let zoe = app.person("customer", "Zoe").await;
    let rotated = exchange(&json!(zoe.refresh_token));
    let first = anonymous(&app, "/auth/refresh", &rotated).await.expect(200);
    assert_eq!(header(&first, "cache-control"), "no-store");
    let again = anonymous(&app, "/auth/refresh", &rotated).await.expect(200).json();
    assert_ne!(first.json()["refresh_token"], zoe.refresh_token.as_str());
    assert_eq!(first.json()["refresh_token"], again["refresh_token"]);
    let token = again["access_token"].as_str().unwrap().to_owned();
    Person { token, ..zoe }.get(&app, "/orders").await.expect(200);
}

async fn a_lost_answer_costs_no_sign_in_however_late_it_is_asked_for_again(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let merchant = app.person("merchant", "Mia").await;
    let business = merchant.business(&app).await;
    let mut device = Device::of_business(&app, &merchant, &business, None).await;
    let rotated = exchange(&json!(merchant.refresh_token));
    let lost = anonymous(&app, "/auth/refresh", &rotated).await.expect(200).json();
    for seconds in [30, 3_600] {
        // So long ago it was.
        app.execute(format!("UPDATE sessions SET rotated_at = rotated_at - {seconds}000000")).await;
        // What the device does with the token it has says nothing of the one that was lost.
        merchant.get(&app, "/orders").await.expect(200);
        let again = anonymous(&app, "/auth/refresh", &rotated).await.expect(200).json();
        assert_eq!(again["refresh_token"], lost["refresh_token"], "after {seconds} s");
    }
    device.settle().await;
    let next = anonymous(&app, "/auth/refresh", &exchange(&lost["refresh_token"])).await.expect(200).json();
    assert_ne!(next["refresh_token"], lost["refresh_token"]);
    device.close().await;
}

async fn a_rotated_token_used_again_after_its_successor_was_used_ends_the_family(kind: StoreKind) {
    let mut app = TestApp::start(kind).await;
    let merchant = app.person("merchant", "Mia").await;
    let rotated = exchange(&json!(merchant.refresh_token));
    let next = anonymous(&app, "/auth/refresh", &rotated).await.expect(200).json();
    let token = next["access_token"].as_str().unwrap().to_owned();
    let used = Person { token, ..merchant.clone() };
    used.get(&app, "/orders").await.expect(200);
    let again = anonymous(&app, "/auth/refresh", &rotated).await.expect(200).json();
    assert_eq!(again["refresh_token"], next["refresh_token"], "a page that is open twice");
    // What a node has seen outlives it.
    app.restart().await;
    app.execute("UPDATE sessions SET used_at = used_at - 11000000".to_owned()).await;
    anonymous(&app, "/auth/refresh", &rotated).await.expect_problem(401, "refresh_refused");
    anonymous(&app, "/auth/refresh", &exchange(&next["refresh_token"])).await.expect(401);
    used.get(&app, "/orders").await.expect_problem(401, "unauthenticated");
}

async fn a_rotated_token_used_again_ends_the_family(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let zoe = app.person("customer", "Zoe").await;
    let first = exchange(&json!(zoe.refresh_token));
    let second = anonymous(&app, "/auth/refresh", &first).await.expect(200).json();
    let third =
        anonymous(&app, "/auth/refresh", &exchange(&second["refresh_token"])).await.expect(200).json();
    // Two generations back is beyond any answer that was lost.
    anonymous(&app, "/auth/refresh", &first).await.expect_problem(401, "refresh_refused");
    let last = exchange(&third["refresh_token"]);
    anonymous(&app, "/auth/refresh", &last).await.expect_problem(401, "refresh_refused");
    zoe.get(&app, "/orders").await.expect_problem(401, "unauthenticated");
}

async fn signing_out_ends_this_sign_in_at_once_and_no_other(kind: StoreKind) {
    let mut app = TestApp::start(kind).await;
    let zoe = app.person("customer", "Zoe").await;
    let mut elsewhere = zoe.clone();
    elsewhere.sign_in(&app, Some("phone")).await;
    zoe.post(&app, "/auth/logout", &json!({})).await.expect(204);
    zoe.get(&app, "/orders").await.expect_problem(401, "unauthenticated");
    let last = exchange(&json!(zoe.refresh_token));
    anonymous(&app, "/auth/refresh", &last).await.expect_problem(401, "refresh_refused");
    elsewhere.get(&app, "/orders").await.expect(200);
    app.restart().await;
    zoe.get(&app, "/orders").await.expect_problem(401, "unauthenticated");
    elsewhere.get(&app, "/orders").await.expect(200);
}

#[tokio::test]
async fn a_flood_of_sign_ins_hashes_no_more_at_once_than_allowed_and_orders_go_on() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let (owner, zoe) = (app.person("merchant", "Olga").await, app.person("customer", "Zoe").await);
    let business = owner.business(&app).await;
    let flood: Vec<_> = (0..60)
        .map(|n| {
            let body = login(&format!("{n}@example.com"), "wrong password");
            let request = app.http.post(app.url("/api/v1/auth/login")).json(&body);
            tokio::spawn(Answer::of(request))
        })
        .collect();
    for _ in 0..20 {
        zoe.order(&app, &business).await;
    }
    for answer in flood {
        let status = answer.await.unwrap().status.as_u16();
        assert!([401, 503].contains(&status), "{status}");
    }
    let allowed = std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1));
    let peak = app.metrics().password_hashes_peak.get();
    assert!((1..=allowed as i64).contains(&peak), "{peak} at once, {allowed} allowed");
    assert_eq!(app.metrics().password_hashes_running.get(), 0);
}

#[tokio::test]
async fn a_ticket_is_no_access_token() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let zoe = app.person("customer", "Zoe").await;
    let answer = zoe.post(&app, "/auth/ticket", &json!({})).await.expect(200);
    assert_eq!(header(&answer, "cache-control"), "no-store");
    assert_eq!(answer.json()["expires_in"], 30);
    let token = answer.json()["ticket"].as_str().unwrap().to_owned();
    Person { token, ..zoe }.get(&app, "/orders").await.expect_problem(401, "unauthenticated");
}

async fn a_phone_number_is_shown_to_nobody_but_its_owner(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (owner, staff) = (app.person("merchant", "Olga").await, app.person("merchant", "Sam").await);
    let operator = app.operator("Ada").await;
    let business = owner.business(&app).await;
    owner.take_in(&app, &business, &staff).await;
    let before = staff.get(&app, "/auth/me").await.expect(200).json();
    assert_eq!((&before["id"], &before["email"]), (&json!(staff.id), &json!(staff.email)));
    assert_eq!(before["phone"], Value::Null);
    let changed = staff.patch(&app, "/auth/me", &json!({"phone": " +351 21 555-0199 "})).await.expect(200);
    assert_eq!(header(&changed, "cache-control"), "no-store");
    assert_eq!(changed.json()["phone"], "+351 21 555-0199");
    staff.patch(&app, "/auth/me", &json!({})).await.expect(200);
    assert_eq!(staff.get(&app, "/auth/me").await.expect(200).json()["phone"], "+351 21 555-0199");
    let members = format!("/businesses/{business}/members");
    for other in [&owner, &operator, &staff] {
        let shown = other.get(&app, &members).await.expect(200);
        assert!(!shown.text.contains("555-0199") && !shown.text.contains("phone"), "{}", shown.text);
    }
    assert_eq!(owner.get(&app, "/auth/me").await.expect(200).json()["phone"], Value::Null);
    let refused = staff.patch(&app, "/auth/me", &json!({"phone": "call me"})).await;
    assert_eq!(fields(&refused.expect_problem(422, "invalid")), ["phone"]);
    let removed = staff.patch(&app, "/auth/me", &json!({"phone": null})).await.expect(200).json();
    assert_eq!(removed["phone"], Value::Null);
}

async fn members_say_for_themselves_whether_they_are_called(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (owner, staff) = (app.person("merchant", "Olga").await, app.person("merchant", "Sam").await);
    let operator = app.operator("Ada").await;
    let business = owner.business(&app).await;
    owner.take_in(&app, &business, &staff).await;
    let members = format!("/businesses/{business}/members");
    let called = async || {
        let members = owner.get(&app, &members).await.expect(200).json();
        let members = members["items"].as_array().expect("a list").clone();
        members.iter().map(|member| member["alert_me"].as_bool().expect("it is said")).collect::<Vec<bool>>()
    };
    assert_eq!(called().await, [true, false], "owners first");
    let path = |person: &Person| format!("{members}/{}", person.id);
    let said = staff.patch(&app, &path(&staff), &json!({"alert_me": true})).await.expect(200).json();
    assert_eq!((&said["user_id"], &said["alert_me"]), (&json!(staff.id), &json!(true)));
    owner.patch(&app, &path(&owner), &json!({"alert_me": false})).await.expect(200);
    assert_eq!(called().await, [false, true]);
    for (who, of) in [(&owner, &staff), (&staff, &owner), (&operator, &staff)] {
        who.patch(&app, &path(of), &json!({"alert_me": true})).await.expect_problem(403, "forbidden");
    }
    operator.patch(&app, &path(&operator), &json!({"alert_me": true})).await.expect_problem(404, "not_found");
    let nothing = staff.patch(&app, &path(&staff), &json!({})).await;
    assert_eq!(fields(&nothing.expect_problem(422, "invalid")), ["alert_me"]);
    // Elsewhere they are no members.
    let elsewhere = app.person("merchant", "Otto").await.business(&app).await;
    let foreign = format!("/businesses/{elsewhere}/members/{}", staff.id);
    staff.patch(&app, &foreign, &json!({"alert_me": true})).await.expect_problem(404, "not_found");
}
