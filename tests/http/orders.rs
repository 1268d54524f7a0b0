//! Orders: who may do what, which answer wins, lists.

use bellhop::auth::token::TokenSettings;
use bellhop::domain::access::{Principal, Role};
use bellhop::domain::ids::{LoginSessionId, UserId};
use bellhop::domain::time::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Person, StoreKind, TestApp, order_body};
use crate::{SECRET, each, fields, header, tokens, with};

crate::on_both_stores!(
    of_several_refusals_the_one_that_says_least_wins,
    a_version_is_named_by_the_body_or_by_if_match,
    an_order_goes_from_placed_to_delivered_and_its_contact_disappears_for_members,
    members_order_for_their_tables_only,
    lists_are_paged_filtered_and_searched_by_role,
    an_order_that_has_not_changed_is_not_sent_again,
    operators_see_and_move_every_order_and_place_none,
);

async fn change(app: &TestApp, who: &Person, order: &Value, body: Value) -> Answer {
    who.patch(app, &format!("/orders/{}/status", order["id"].as_str().unwrap()), &body).await
}

async fn of_several_refusals_the_one_that_says_least_wins(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (merchant, zoe) = (app.person("merchant", "Mia").await, app.person("customer", "Zoe").await);
    let (stranger, driver) = (app.person("customer", "Eve").await, app.person("driver", "Dan").await);
    let foreign = app.person("merchant", "Otto").await;
    let business = merchant.business(&app).await;
    let placed = zoe.order(&app, &business).await;
    let accepted = merchant.move_order(&app, &placed, "accepted").await;
    let absent = json!({"id": "ord_00000000000000000000000000000000"});
    let nonsense = json!({"id": "nonsense"});
    let nobody = Person { token: "x".to_owned(), ..zoe.clone() };
    let not_found = change(&app, &zoe, &absent, json!({"status": "cancelled"})).await;
    let not_found = not_found.expect_problem(404, "not_found");

    // Each row would also deserve the refusals of the rows below it.
    let stale = 1;
    for (who, order, body, status, code) in [
        (&nobody, &absent, json!({"status": "rejected"}), 401, "unauthenticated"),
        (&stranger, &placed, json!({"status": "accepted"}), 404, "not_found"),
        (&foreign, &placed, json!({"status": "accepted"}), 404, "not_found"),
        (&driver, &placed, json!({"status": "picked_up"}), 404, "not_found"),
        (&zoe, &absent, json!({"status": "accepted"}), 404, "not_found"),
        (&zoe, &nonsense, json!({"status": "accepted"}), 404, "not_found"),
        (&zoe, &placed, json!({"status": "delivered"}), 403, "not_your_move"),
        (&zoe, &placed, json!({"status": "delivered", "version": stale}), 403, "not_your_move"),
        (&zoe, &placed, json!({"status": "picked_up", "version": stale}), 409, "move_forbidden"),
        (&merchant, &placed, json!({"status": "placed"}), 409, "move_forbidden"),
        (&merchant, &placed, json!({"status": "pending_payment", "version": stale}), 409, "move_forbidden"),
        (&zoe, &placed, json!({"status": "cancelled"}), 428, "version_required"),
        (&merchant, &placed, json!({"status": "delivered"}), 428, "version_required"),
        (&zoe, &placed, json!({"status": "cancelled", "version": stale}), 409, "stale_version"),
        (&merchant, &placed, json!({"status": "accepted", "version": stale}), 409, "stale_version"),
        (&zoe, &placed, json!({"status": "cancelled", "version": 2}), 409, "move_forbidden"),
        (&merchant, &placed, json!({"status": "rejected", "version": 2}), 409, "move_forbidden"),
    ] {
        let name = format!("{} {body}", order["id"]);
        let problem = change(&app, who, order, body).await.expect_problem(status, code);
        match code {
            "stale_version" => assert_eq!(
                (&problem["current_version"], &problem["current_status"]),
                (&json!(2), &json!("accepted")),
                "{name}"
            ),
            "move_forbidden" => assert!(problem["allowed"].is_array(), "{name}"),
            "not_found" => assert_eq!(
                with(problem, json!({"request_id": null})),
                with(not_found.clone(), json!({"request_id": null})),
                "{name}"
            ),
            _ => (),
        }
    }
    let forbidden = change(&app, &merchant, &placed, json!({"status": "rejected", "version": 2})).await;
    assert_eq!(forbidden.json()["allowed"], json!(["preparing", "ready", "delivered", "cancelled"]));
    let unchanged = change(&app, &merchant, &placed, json!({"status": "accepted", "version": 2})).await;
    assert_eq!(unchanged.expect(200).json()["version"], accepted["version"]);
    let unexplained = change(&app, &merchant, &placed, json!({"status": "cancelled", "version": 2})).await;
    assert_eq!(fields(&unexplained.expect_problem(422, "invalid")), ["reason"]);
    driver.post(&app, "/orders", &order_body(&business)).await.expect_problem(403, "forbidden");
}

async fn a_version_is_named_by_the_body_or_by_if_match(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (merchant, zoe) = (app.person("merchant", "Mia").await, app.person("customer", "Zoe").await);
    let order = zoe.order(&app, &merchant.business(&app).await).await;
    let path = format!("/orders/{}/status", order["id"].as_str().unwrap());
    assert_eq!(order.get("notes"), Some(&Value::Null), "none is said, not left out");
    let matching = async |tag: &'static str, status: &str| {
        let request = merchant.request(&app, Method::PATCH, &path).header("if-match", tag);
        Answer::of(request.json(&json!({"status": status}))).await
    };
    let accepted = matching("\"1\"", "accepted").await.expect(200);
    assert_eq!(header(&accepted, "etag"), "\"2.0.1\"");
    for outdated in ["\"1\"", "W/\"1.0.1\"", "\"x\""] {
        let problem = matching(outdated, "preparing").await.expect_problem(412, "precondition_failed");
        assert_eq!(problem["current_version"], 2, "{outdated}");
    }
    matching("*", "preparing").await.expect_problem(428, "version_required");
    matching("2", "preparing").await.expect_problem(400, "malformed");
    matching("\"7\", \"2.9.9\"", "preparing").await.expect(200);
    matching("W/\"3.0.1\"", "ready").await.expect(200);
}

async fn an_order_goes_from_placed_to_delivered_and_its_contact_disappears_for_members(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (merchant, zoe) = (app.person("merchant", "Mia").await, app.person("customer", "Zoe").await);
    let business = merchant.business(&app).await;
    let delivery = json!({
        "fulfilment": "delivery", "address": {"text": "Rua Augusta 1\n3rd floor", "lat": 38.71, "lng": -9.13},
        "customer": {"name": "Zoë <b>", "phone": "+351 21 000"}, "notes": "ring\ntwice",
        "items": [{"sku": "soup", "qty": 2}, {"sku": "bread", "qty": 3}],
    });
    let answer = zoe.post(&app, "/orders", &with(order_body(&business), delivery)).await.expect(201);
    let mut order = answer.json();
    assert_eq!((&order["total_minor"], &order["currency"]), (&json!(800), &json!("EUR")));
    assert_eq!((&order["status"], &order["order_number"]), (&json!("placed"), &json!("001")));
    assert_eq!(order["customer"], json!({"name": "Zoë <b>", "phone": "+351 21 000"}));
    let path = format!("/orders/{}", order["id"].as_str().unwrap());
    assert_eq!(header(&answer, "location"), format!("/api/v1{path}"));
    assert_eq!(header(&answer, "etag"), "\"1.1.1\"");
    for status in ["accepted", "preparing", "ready", "picked_up"] {
        order = merchant.move_order(&app, &order, status).await;
        assert_eq!(order["status"], status);
        assert_eq!(order["customer"]["phone"], "+351 21 000", "{status}");
    }
    let delivered = merchant.move_order(&app, &order, "delivered").await;
    assert_eq!(delivered["payment"], json!({"method": "cash", "status": "paid", "version": 2}));
    assert_eq!(delivered["customer"]["phone"], "+351 21 000", "something may have been left behind");
    // A day later.
    app.execute("UPDATE orders SET updated_at = updated_at - 86400000000".to_owned()).await;
    let seen = merchant.get(&app, &path).await.expect(200).json();
    assert!(seen["customer"].get("phone").is_none() && seen.get("address").is_none(), "{seen}");
    let own = zoe.get(&app, &path).await.expect(200).json();
    assert_eq!(own["address"]["text"], "Rua Augusta 1\n3rd floor");
    assert_eq!(zoe.get(&app, "/orders").await.expect(200).json()["items"][0], own);
}

async fn members_order_for_their_tables_only(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (merchant, foreign) = (app.person("merchant", "Mia").await, app.person("merchant", "Otto").await);
    let business = merchant.business(&app).await;
    let dine_in = with(order_body(&business), json!({"fulfilment": "dine_in", "table": 20}));
    let order = merchant.post(&app, "/orders", &dine_in).await.expect(201).json();
    assert_eq!((&order["table"], &order["customer"]["name"]), (&json!(20), &json!("Guest")));
    merchant.post(&app, "/orders", &order_body(&business)).await.expect_problem(403, "forbidden");
    foreign.post(&app, "/orders", &dine_in).await.expect_problem(404, "not_found");
    let no_table = merchant.post(&app, "/orders", &with(dine_in, json!({"table": 21}))).await;
    assert_eq!(fields(&no_table.expect_problem(422, "invalid")), ["table"]);
}

async fn lists_are_paged_filtered_and_searched_by_role(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (merchant, foreign) = (app.person("merchant", "Mia").await, app.person("merchant", "Otto").await);
    let (zoe, ana) = (app.person("customer", "Zoe").await, app.person("customer", "Ana").await);
    let business = merchant.business(&app).await;
    let mut placed = Vec::new();
    for customer in [&zoe, &ana, &zoe, &zoe] {
        placed.push(customer.order(&app, &business).await);
    }
    merchant.move_order(&app, &placed[0], "accepted").await;
    let newest_first: Vec<String> =
        placed.iter().rev().map(|order| order["id"].as_str().unwrap().to_owned()).collect();
    let list =
        async |who: &Person, query: &str| who.get(&app, &format!("/orders?{query}")).await.expect(200).json();

    let all = list(&merchant, "").await;
    assert_eq!(each(&all, "id"), newest_first);
    assert_eq!((&all["total"], &all["limit"], &all["page"]), (&json!(4), &json!(20), &json!(1)));
    assert_eq!(
        (&all["pages"], &all["has_more"], &all["next_cursor"]),
        (&json!(1), &json!(false), &json!(null))
    );
    assert_eq!(each(&list(&zoe, "").await, "id").len(), 3);
    assert_eq!(each(&list(&foreign, "").await, "id").len(), 0);
    let of_business = format!("business_id={business}&status=accepted");
    assert_eq!(each(&list(&merchant, &of_business).await, "id"), newest_first[3..]);
    let foreign_business = foreign.get(&app, &format!("/orders?business_id={business}")).await;
    foreign_business.expect_problem(404, "not_found");
    assert_eq!(each(&list(&merchant, "q=an").await, "id"), newest_first[2..3]);
    assert_eq!(each(&list(&merchant, "q=zoe+sou").await, "id").len(), 3);
    assert_eq!(each(&list(&merchant, "q=bread").await, "id").len(), 0);
    for q in ["2", "02", "002", "0000002"] {
        assert_eq!(each(&list(&merchant, &format!("q={q}")).await, "id"), newest_first[2..3], "{q}");
    }
    for q in ["%23", "---", "+-+", "%25", "_", "*", "%27%22()", "%F0%9F%8D%95"] {
        for query in [format!("q={q}"), format!("q={q}&business_id={business}&status=placed")] {
            let none = list(&merchant, &query).await;
            assert_eq!(
                (each(&none, "id").len(), &none["total"], &none["pages"]),
                (0, &json!(0), &json!(0)),
                "{query}"
            );
        }
    }

    let second = list(&merchant, "limit=3&page=2").await;
    assert_eq!((&second["pages"], &second["total"]), (&json!(2), &json!(4)));
    assert_eq!(each(&second, "id"), newest_first[3..]);
    let first = list(&merchant, "limit=3").await;
    assert_eq!(first["has_more"], true);
    let rest = list(&merchant, &format!("limit=3&cursor={}", first["next_cursor"].as_str().unwrap())).await;
    assert_eq!([each(&first, "id"), each(&rest, "id")].concat(), newest_first);
    assert_eq!((&rest["total"], &rest["pages"], &rest["page"]), (&json!(null), &json!(null), &json!(null)));
    assert!(all.get("total_capped").is_none(), "every order was counted");

    for (query, field) in [
        ("limit", "limit"),
        ("limit=", "limit"),
        ("status=", "status"),
        ("q=", "q"),
        ("business_id=", "business_id"),
        ("page=", "page"),
        ("cursor=", "cursor"),
        ("q=%ff", "query"),
        ("page=202&limit=50", "page"),
    ] {
        let refused = merchant.get(&app, &format!("/orders?{query}")).await;
        assert_eq!(fields(&refused.expect_problem(422, "invalid")), [field], "{query}");
    }
    list(&merchant, "page=201&limit=50").await;
}

async fn an_order_that_has_not_changed_is_not_sent_again(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (merchant, zoe) = (app.person("merchant", "Mia").await, app.person("customer", "Zoe").await);
    let order = zoe.order(&app, &merchant.business(&app).await).await;
    let path = format!("/orders/{}", order["id"].as_str().unwrap());
    let having = async |tag: &'static str| {
        Answer::of(zoe.request(&app, Method::GET, &path).header("if-none-match", tag)).await
    };
    let same = having("\"1.0.1\"").await.expect(304);
    assert_eq!((header(&same, "etag"), same.text.as_str()), ("\"1.0.1\"", ""));
    merchant.move_order(&app, &order, "accepted").await;
    assert_eq!(header(&having("\"1.0.1\"").await.expect(200), "etag"), "\"2.0.1\"");
}

async fn operators_see_and_move_every_order_and_place_none(kind: StoreKind) {
    let app = TestApp::start_with(kind, &[("auth.secret_key", SECRET)]).await;
    let (merchant, zoe) = (app.person("merchant", "Mia").await, app.person("customer", "Zoe").await);
    let business = merchant.business(&app).await;
    let operator =
        Principal { user: UserId::generate(), session: LoginSessionId::generate(), role: Role::Admin };
    let token = tokens(SECRET, TokenSettings::default()).issue_access(
        operator,
        None,
        0,
        uuid::Uuid::now_v7(),
        Timestamp::now(),
    );
    let operator = Person { token: token.text, ..zoe.clone() };
    operator.post(&app, "/orders", &order_body(&business)).await.expect_problem(403, "forbidden");
    let body = with(order_body(&business), json!({"customer": {"name": "Zoe", "phone": "0800 1"}}));
    let order = zoe.post(&app, "/orders", &body).await.expect(201).json();
    let listed = operator.get(&app, "/orders").await.expect(200).json();
    assert_eq!(listed["items"][0], order);
    let cancelled = json!({"status": "cancelled", "version": 1, "reason": "fraud"});
    let cancelled = change(&app, &operator, &order, cancelled).await.expect(200).json();
    assert_eq!(cancelled["status"], "cancelled");
    assert_eq!(cancelled["customer"]["phone"], "0800 1", "for a day");
    let members = format!("/businesses/{business}/members");
    operator.post(&app, &members, &json!({"user_id": merchant.id, "role": "owner"})).await.expect(200);
    let absent = "/businesses/biz_00000000000000000000000000000000/members";
    operator.get(&app, absent).await.expect_problem(404, "not_found");
}
