//! Answers about sign-ins that get lost between the database and the device.

use std::time::Duration;

use serde_json::json;

use crate::support::{Answer, CommitFault, Device, NetworkFault, Proxy, TestApp};

/// Nothing here takes so long that is not broken.
const PATIENCE: Duration = Duration::from_secs(30);

async fn refresh(app: &TestApp, token: &str) -> Answer {
    let body = json!({"refresh_token": token});
    Answer::of(app.http.post(app.url("/api/v1/auth/refresh")).json(&body)).await
}

/// The next COMMIT happens and nobody hears of it: its answer is lost and the database away from then on.
async fn lose_the_answer_of_the_next_commit<T>(proxy: &Proxy, request: impl Future<Output = T>) -> T {
    proxy.fail_every_other_commit(CommitFault::AnswerLost);
    let away = async {
        let mut polls = tokio::time::interval(Duration::from_millis(1));
        while proxy.failed_commits() == 0 {
            polls.tick().await;
        }
        proxy.set(NetworkFault::Refusing);
        proxy.cut();
    };
    let (answer, ()) = tokio::join!(request, away);
    proxy.let_commits_pass();
    answer
}

#[tokio::test]
async fn a_refresh_whose_commit_was_not_answered_is_repeated_until_it_is_and_the_socket_stays() {
    let (proxy, app) = TestApp::start_behind_proxy(&[("database.lanes", "1")]).await;
    let merchant = app.person("merchant", "Mia").await;
    let business = merchant.business(&app).await;
    let mut device = Device::of_business(&app, &merchant, &business, None).await;
    let first = refresh(&app, &merchant.refresh_token);
    let answer = lose_the_answer_of_the_next_commit(&proxy, first).await;
    assert_eq!(answer.status, 503, "{}", answer.text);
    // The device does as it is told, for longer than any grace.
    app.execute("UPDATE sessions SET rotated_at = rotated_at - 15000000".to_owned()).await;
    proxy.set(NetworkFault::None);
    let repeated = async {
        let mut polls = tokio::time::interval(Duration::from_millis(100));
        loop {
            polls.tick().await;
            let answer = refresh(&app, &merchant.refresh_token).await;
            if answer.status != 503 {
                return answer.expect(200).json();
            }
        }
    };
    let tokens = tokio::time::timeout(PATIENCE, repeated).await.expect("the database is back");
    device.settle().await;
    let next = refresh(&app, tokens["refresh_token"].as_str().unwrap()).await.expect(200).json();
    assert_ne!(next["refresh_token"], tokens["refresh_token"]);
    device.close().await;
}

#[tokio::test]
async fn a_ticket_that_was_taken_without_an_answer_still_opens_one_socket() {
    let (proxy, app) = TestApp::start_behind_proxy(&[("database.lanes", "1")]).await;
    let merchant = app.person("merchant", "Mia").await;
    let business = merchant.business(&app).await;
    let ticket = merchant.post(&app, "/auth/ticket", &json!({})).await.expect(200).json();
    let path = format!("/ws/notifications/{business}?ticket={}", ticket["ticket"].as_str().unwrap());
    let dial = || Device::dial(&app, None, &path, &[]);
    let refused = lose_the_answer_of_the_next_commit(&proxy, dial()).await.err().expect("nobody knows");
    assert_eq!(refused.status(), 503);
    proxy.set(NetworkFault::None);
    let again = async {
        let mut polls = tokio::time::interval(Duration::from_millis(100));
        loop {
            polls.tick().await;
            match dial().await {
                Ok(device) => return device,
                Err(refused) => assert_eq!(refused.status(), 503),
            }
        }
    };
    let device = tokio::time::timeout(PATIENCE, again).await.expect("the database is back");
    assert_eq!(dial().await.err().expect("it is spent").status(), 401);
    device.close().await;
}
