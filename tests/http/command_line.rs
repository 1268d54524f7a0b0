//! What an operator does with `bellhop` beside a hub that runs.

use std::time::Duration;

use serde_json::json;

use crate::support::{Device, PASSWORD, Person, StoreKind, TestApp};
use crate::{anonymous, login};

crate::on_both_stores!(
    an_operator_is_made_in_the_database_that_is_there_and_is_told_which,
    a_new_password_takes_the_place_of_the_old_one_and_ends_every_sign_in,
    a_driver_who_waits_is_approved_by_command_and_by_an_operator,
);

async fn an_operator_is_made_in_the_database_that_is_there_and_is_told_which(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let create = ["admin", "create", "--email", " Ops@Example.com"];
    let (done, said) = app.bellhop_in(app.data_folder(), &create, &format!("{PASSWORD}\n")).await;
    let place = match app.postgres_url() {
        Some(url) => {
            let (server, database) = url.rsplit_once('@').unwrap().1.split_once('/').unwrap();
            format!("Postgres at {server}, database {database}")
        }
        None => app.data_folder().join("bellhop.sqlite").display().to_string(),
    };
    assert!(done && said.contains("ops@example.com") && said.contains(&place), "{said}");
    assert!(!said.contains("secret"), "{said}");
    let tokens = anonymous(&app, "/auth/login", &login("ops@example.com", PASSWORD)).await.expect(200).json();
    assert_eq!(tokens["role"], "admin");
    let (done, said) = app.bellhop_in(app.data_folder(), &create, &format!("{PASSWORD}\n")).await;
    assert!(!done && said.contains("has an account already"), "{said}");
    let (done, said) =
        app.bellhop_in(app.data_folder(), &["admin", "password", "nobody@example.com"], "").await;
    assert!(!done && said.contains("there is no account"), "{said}");
}

#[tokio::test]
async fn in_a_folder_without_a_database_commands_refuse_and_leave_nothing_behind() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let elsewhere = app.data_folder().join("elsewhere");
    for command in [
        &["admin", "create", "--email", "ops@example.com"][..],
        &["admin", "approve", "ops@example.com"],
        &["admin", "password", "ops@example.com"],
        &["keys", "rotate"],
        &["epochs", "rotate"],
        &["backup", "copy.sqlite"],
    ] {
        let (done, said) = app.bellhop_in(&elsewhere, command, &format!("{PASSWORD}\n")).await;
        assert!(!done && said.contains("there is no database at") && said.contains("elsewhere"), "{said}");
        assert!(!elsewhere.exists(), "{command:?}");
    }
    let create = ["admin", "create", "--init", "--email", "ops@example.com"];
    let (done, said) = app.bellhop_in(&elsewhere, &create, &format!("{PASSWORD}\n")).await;
    assert!(done && elsewhere.join("bellhop.sqlite").is_file(), "{said}");
}

async fn a_new_password_takes_the_place_of_the_old_one_and_ends_every_sign_in(kind: StoreKind) {
    const NEW: &str = "another correct horse";
    let app = TestApp::start(kind).await;
    let (merchant, other) = (app.person("merchant", "Mia").await, app.person("merchant", "Olga").await);
    let business = merchant.business(&app).await;
    let mut device = Device::of_business(&app, &merchant, &business, None).await;
    let (done, said) =
        app.bellhop_in(app.data_folder(), &["admin", "password", &merchant.email], &format!("{NEW}\n")).await;
    assert!(done && said.contains("1 login sessions ended"), "{said}");
    anonymous(&app, "/auth/login", &login(&merchant.email, PASSWORD))
        .await
        .expect_problem(401, "bad_credentials");
    anonymous(&app, "/auth/login", &login(&merchant.email, NEW)).await.expect(200);
    let refresh = json!({"refresh_token": merchant.refresh_token});
    anonymous(&app, "/auth/refresh", &refresh).await.expect_problem(401, "refresh_refused");
    // The hub that runs hears of it.
    let closed = tokio::time::timeout(Duration::from_secs(20), device.closed()).await.expect("it is told");
    assert_eq!((closed.code, closed.reason.as_str()), (4001, "session_ended"));
    merchant.get(&app, "/orders").await.expect_problem(401, "unauthenticated");
    other.get(&app, "/orders").await.expect(200);
}

async fn a_driver_who_waits_is_approved_by_command_and_by_an_operator(kind: StoreKind) {
    let app = TestApp::start_with(kind, &[("drivers.auto_approve", "false")]).await;
    let operator = app.operator("Ada").await;
    let sign_up = async |email: &str| {
        let body = json!({"email": email, "password": PASSWORD, "role": "driver"});
        anonymous(&app, "/auth/signup", &body).await.expect(201).json()
    };
    let (dora, dan) = (sign_up("dora@example.com").await, sign_up("dan@example.com").await);
    assert_eq!((&dora["approved"], &dan["approved"]), (&json!(false), &json!(false)));
    anonymous(&app, "/auth/login", &login("dora@example.com", PASSWORD)).await.expect(200);
    let path = format!("/admin/users/{}/approve", dora["id"].as_str().unwrap());
    for _ in 0..2 {
        let approved = operator.post(&app, &path, &json!({})).await.expect(200).json();
        assert_eq!(approved, crate::with(dora.clone(), json!({"approved": true})));
    }
    let driver: Person = app.person("driver", "Dirk").await;
    driver.post(&app, &path, &json!({})).await.expect_problem(403, "forbidden");
    let (done, said) = app.bellhop_in(app.data_folder(), &["admin", "approve", " Dan@example.com"], "").await;
    assert!(done && said.contains("dan@example.com is approved as a driver"), "{said}");
    let path = format!("/admin/users/{}/approve", dan["id"].as_str().unwrap());
    assert_eq!(operator.post(&app, &path, &json!({})).await.expect(200).json()["approved"], true);
}
