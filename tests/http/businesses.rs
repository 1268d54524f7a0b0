//! Businesses, their members, menus and notifications.

use std::time::Duration;

use bellhop::domain::time::Timestamp;
use serde_json::json;

use crate::support::{Answer, StoreKind, TestApp};
use crate::{each, fields, header};

crate::on_both_stores!(
    a_change_of_a_business_that_names_nothing_is_refused,
    owners_decide_who_belongs_to_a_business_and_staff_may_look,
    nobody_becomes_a_member_without_saying_yes,
    a_business_is_shown_in_the_state_it_has_now,
    merchants_list_their_businesses_and_customers_all_page_by_page,
    everybody_reads_a_menu_and_members_write_it,
    a_notification_is_stored_and_listed_newest_first,
);

async fn a_change_of_a_business_that_names_nothing_is_refused(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let owner = app.person("merchant", "Olga").await;
    let path = format!("/businesses/{}", owner.business(&app).await);
    let refused = owner.patch(&app, &path, &json!({})).await.expect_problem(422, "invalid");
    assert_eq!(fields(&refused), ["body"]);
}

async fn owners_decide_who_belongs_to_a_business_and_staff_may_look(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (owner, staff) = (app.person("merchant", "Olga").await, app.person("merchant", "Sam").await);
    let business = owner.business(&app).await;
    let members = format!("/businesses/{business}/members");
    staff.get(&app, &members).await.expect_problem(404, "not_found");

    owner.post(&app, &members, &json!({"email": staff.email.to_uppercase()})).await.expect(202);
    staff.get(&app, &members).await.expect_problem(404, "not_found");
    staff.accept_invitation(&app, &business).await;
    let listed = staff.get(&app, &members).await.expect(200).json();
    assert_eq!(each(&listed, "role"), ["owner", "staff"]);
    assert_eq!(each(&listed, "user_id"), [owner.id.clone(), staff.id.clone()]);
    let by_staff = staff.post(&app, &members, &json!({"user_id": owner.id})).await;
    by_staff.expect_problem(403, "forbidden");
    let role = json!({"user_id": staff.id, "role": "staff"});
    assert_eq!(owner.post(&app, &members, &role).await.expect(200).json()["email"], staff.email);
    let last_owner = owner.delete(&app, &format!("{members}/{}", owner.id)).await;
    last_owner.expect_problem(409, "last_owner");

    let path = format!("/businesses/{business}");
    staff.patch(&app, &path, &json!({"name": "Bakery"})).await.expect_problem(403, "forbidden");
    staff.patch(&app, &path, &json!({"state": "closed"})).await.expect(200);
    let both = json!({"state": "open", "tables": 3});
    staff.patch(&app, &path, &both).await.expect_problem(403, "forbidden");
    owner.patch(&app, &path, &both).await.expect(200);
    owner.delete(&app, &format!("{members}/{}", staff.id)).await.expect(204);
    staff.patch(&app, &path, &json!({"state": "closed"})).await.expect_problem(404, "not_found");
}

async fn nobody_becomes_a_member_without_saying_yes(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (owner, mia) = (app.person("merchant", "Olga").await, app.person("merchant", "Mia").await);
    let (customer, tim) = (app.person("customer", "Zoe").await, app.person("merchant", "Tim").await);
    let business = owner.business(&app).await;
    let members = format!("/businesses/{business}/members");
    let order = customer.order(&app, &business).await;

    // Known or not, merchant or not: the answers are alike.
    let unknown = format!("nobody-{}", mia.email);
    let mut answers = Vec::new();
    for email in [&mia.email, &unknown, &customer.email] {
        let answer = owner.post(&app, &members, &json!({"email": email})).await.expect(202).json();
        assert_eq!(answer.as_object().unwrap().keys().collect::<Vec<_>>(), ["expires_at", "role", "status"]);
        answers.push((answer["role"].clone(), answer["status"].clone()));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(mia.get(&app, "/orders").await.expect(200).json()["items"], json!([]));
    mia.get(&app, &format!("/orders/{}", order["id"].as_str().unwrap()))
        .await
        .expect_problem(404, "not_found");

    let listed = mia.get(&app, "/invitations").await.expect(200).json();
    let invitation = listed["items"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(listed["items"][0]["business"], json!({"id": business, "name": "Soup Kitchen"}));
    assert_eq!(tim.get(&app, "/invitations").await.expect(200).json()["items"], json!([]));
    let answer = |word: &str| format!("/invitations/{invitation}/{word}");
    tim.post(&app, &answer("accept"), &json!({})).await.expect_problem(404, "not_found");

    mia.post(&app, &answer("decline"), &json!({})).await.expect(204);
    mia.post(&app, &answer("decline"), &json!({})).await.expect(204);
    mia.get(&app, &members).await.expect_problem(404, "not_found");
    // It can be thought over, and a repeated yes is still one yes.
    for _ in 0..2 {
        let joined = mia.post(&app, &answer("accept"), &json!({})).await.expect(200).json();
        assert_eq!(joined, json!({"business_id": business, "role": "staff"}));
    }
    mia.post(&app, &answer("decline"), &json!({})).await.expect_problem(404, "not_found");
    assert_eq!(each(&mia.get(&app, &members).await.expect(200).json(), "role"), ["owner", "staff"]);
    assert_eq!(mia.get(&app, "/orders").await.expect(200).json()["items"][0]["id"], order["id"]);
    // An answered invitation does not bring back whoever was removed.
    owner.delete(&app, &format!("{members}/{}", mia.id)).await.expect(204);
    mia.post(&app, &answer("accept"), &json!({})).await.expect(200);
    mia.get(&app, &members).await.expect_problem(404, "not_found");
}

async fn a_business_is_shown_in_the_state_it_has_now(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let owner = app.person("merchant", "Olga").await;
    let path = format!("/businesses/{}", owner.business(&app).await);
    let fresh = owner.get(&app, &path).await.expect(200).json();
    assert_eq!((&fresh["state"], &fresh["timezone"]), (&json!("open"), &json!("UTC")));
    let busy = json!({"state": "busy", "extra_minutes": 10});
    assert_eq!(owner.patch(&app, &path, &busy).await.expect(200).json()["extra_minutes"], 10);
    let until = Timestamp::now().plus(Duration::from_secs(600)).to_rfc3339();
    let paused = json!({"state": "paused", "paused_until": until});
    let paused = owner.patch(&app, &path, &paused).await.expect(200).json();
    assert_eq!((&paused["state"], &paused["paused_until"]), (&json!("paused"), &json!(until)));
    assert!(paused.get("extra_minutes").is_none());
    assert!(paused["version"].as_i64() > fresh["version"].as_i64());
    assert_eq!(owner.get(&app, &path).await.expect(200).json(), paused);
}

async fn merchants_list_their_businesses_and_customers_all_page_by_page(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (owner, other) = (app.person("merchant", "Olga").await, app.person("merchant", "Otto").await);
    let customer = app.person("customer", "Zoe").await;
    let mut expected = Vec::new();
    for owner in [&owner, &other, &owner] {
        expected.push(owner.business(&app).await);
    }
    let mine = each(&owner.get(&app, "/businesses").await.expect(200).json(), "id");
    assert_eq!(mine, [expected[0].clone(), expected[2].clone()]);
    let first = customer.get(&app, "/businesses?limit=2").await.expect(200).json();
    assert_eq!(first["has_more"], true);
    let rest = format!("/businesses?limit=2&cursor={}", first["next_cursor"].as_str().unwrap());
    let rest = customer.get(&app, &rest).await.expect(200).json();
    assert_eq!((&rest["has_more"], &rest["next_cursor"]), (&json!(false), &json!(null)));
    assert_eq!([each(&first, "id"), each(&rest, "id")].concat(), expected);
}

async fn everybody_reads_a_menu_and_members_write_it(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (owner, stranger) = (app.person("merchant", "Olga").await, app.person("merchant", "Otto").await);
    let business = owner.business(&app).await;
    let items = format!("/businesses/{business}/menu/items");
    let item = json!({"sku": "寿/司%2F", "name": "Sushi", "category": "Fish", "price_minor": 900});
    let added = owner.post(&app, &items, &item).await.expect(201);
    owner.post(&app, &items, &item).await.expect_problem(409, "already_exists");
    stranger.post(&app, &items, &item).await.expect_problem(404, "not_found");
    let address = header(&added, "location").strip_prefix("/api/v1").unwrap();
    let changes = json!({"price_minor": 950, "category": null});
    let changed = owner.patch(&app, address, &changes).await.expect(200).json();
    assert_eq!((&changed["price_minor"], &changed["category"]), (&json!(950), &json!(null)));
    stranger.patch(&app, address, &changes).await.expect_problem(404, "not_found");
    let menu = Answer::of(app.http.get(app.url(&format!("/api/v1/businesses/{business}/menu/")))).await;
    let menu = menu.expect(200).json();
    assert_eq!(menu["items"].as_array().unwrap().len(), 3);
    assert_eq!(menu["currency"], "EUR");
    owner.delete(&app, address).await.expect(204);
    owner.delete(&app, address).await.expect_problem(404, "not_found");
}

async fn a_notification_is_stored_and_listed_newest_first(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (owner, stranger) = (app.person("merchant", "Olga").await, app.person("merchant", "Otto").await);
    let path = format!("/businesses/{}/notifications", owner.business(&app).await);
    for title in ["one", "two", "three"] {
        let body = json!({"type": "STOCK_LOW", "title": title, "message": "a\nb", "data": {"left": 2}});
        let posted = owner.post(&app, &path, &body).await.expect(201).json();
        assert_eq!((&posted["priority"], &posted["data"]["left"]), (&json!("NORMAL"), &json!(2)));
    }
    let first = owner.get(&app, &format!("{path}?limit=2")).await.expect(200).json();
    assert_eq!(each(&first, "title"), ["three", "two"]);
    let rest = format!("{path}?limit=2&before={}", first["next_before"].as_str().unwrap());
    assert_eq!(each(&owner.get(&app, &rest).await.expect(200).json(), "title"), ["one"]);
    stranger.get(&app, &path).await.expect_problem(404, "not_found");
}
