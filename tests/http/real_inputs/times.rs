//! Times as clients write them, and as every answer shows them: in UTC, with six digits of the second.

use bellhop::domain::time::Timestamp;
use serde_json::{Value, json};

use crate::support::{Device, Person, StoreKind, TestApp};

crate::on_both_stores!(
    times_are_read_in_any_offset_and_shown_in_one_form,
    every_time_in_an_answer_has_six_digits
);

/// A tomorrow at noon, in the forms that clients send. Those of the first list are the same moment.
fn written() -> (Vec<String>, Vec<String>) {
    let day = Timestamp::now().plus(std::time::Duration::from_secs(86_400)).to_rfc3339()[..10].to_owned();
    let good = [
        "T12:00:00Z",
        "T12:00:00.000Z",
        "T12:00:00.000000000Z",
        "t12:00:00z",
        "T17:30:00+05:30",
        "T05:00:00-07:00",
        "T12:45:00+00:45",
        "T12:00:00-00:00",
    ];
    let bad = [
        "",
        "T12:00:00",
        "T12:00Z",
        " 12:00",
        "T24:00:00Z",
        "T12:00:00+0200",
        "T12:00:60Z",
        "T12:00:00 UTC",
        "T१२:००:००Z",
    ];
    (
        good.iter().map(|time| format!("{day}{time}")).collect(),
        bad.iter()
            .map(|time| format!("{day}{time}"))
            .chain(["tomorrow".to_owned(), "1767225600".to_owned()])
            .collect(),
    )
}

async fn times_are_read_in_any_offset_and_shown_in_one_form(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let owner = app.person("merchant", "Olga").await;
    let path = format!("/businesses/{}", owner.business(&app).await);
    let (good, bad) = written();
    let expected = format!("{}T12:00:00.000000Z", &good[0][..10]);
    let pause = |until: &str| json!({"state": "paused", "paused_until": until});
    for time in good {
        let paused = owner.patch(&app, &path, &pause(&time)).await.expect(200).json();
        assert_eq!(paused["paused_until"], expected, "{time}");
    }
    for time in bad {
        let problem = owner.patch(&app, &path, &pause(&time)).await.expect_problem(422, "invalid");
        assert_eq!(crate::fields(&problem), ["paused_until"], "{time}");
    }
}

/// Every text of an answer that begins like a time.
fn times<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::String(text) if text.as_bytes().get(10) == Some(&b'T') && text.starts_with("20") => {
            found.push(text)
        }
        Value::Array(values) => values.iter().for_each(|value| times(value, found)),
        Value::Object(fields) => fields.values().for_each(|value| times(value, found)),
        _ => {}
    }
}

async fn every_time_in_an_answer_has_six_digits(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (mut owner, zoe) = (app.person("merchant", "Olga").await, app.person("customer", "Zoe").await);
    owner.sign_in(&app, Some("till")).await;
    let operator = app.operator("Opal").await;
    let business = owner.business(&app).await;
    let until = format!("{}T12:00:00Z", &written().0[0][..10]);
    let order = zoe.order(&app, &business).await;
    let order = owner.move_order(&app, &order, "accepted").await;
    let id = order["id"].as_str().unwrap().to_owned();
    let notification = json!({"type": "X", "title": "x", "message": "x"});
    let notifications = format!("/businesses/{business}/notifications");
    let posted = owner.post(&app, &notifications, &notification).await.expect(201).json();
    let read = format!("{notifications}/{}/read", posted["id"].as_str().unwrap());
    let mia = app.person("merchant", "Mia").await;
    let invited = json!({"user_id": mia.id});
    let paused = json!({"state": "paused", "paused_until": until});
    let mut answers = vec![
        order,
        posted,
        owner.post(&app, &read, &json!({})).await.expect(200).json(),
        owner.post(&app, &format!("/businesses/{business}/members"), &invited).await.expect(202).json(),
        owner.patch(&app, &format!("/businesses/{business}"), &paused).await.expect(200).json(),
    ];
    let get = async |who: &Person, path: String| who.get(&app, &path).await.expect(200).json();
    for path in [
        format!("/orders/{id}"),
        format!("/orders/{id}/timeline"),
        "/orders".to_owned(),
        "/businesses".to_owned(),
        format!("/businesses/{business}/stats"),
        notifications,
        "/auth/sessions".to_owned(),
        format!("/rooms/business:{business}/events?cursor=00000000.0"),
    ] {
        answers.push(get(&owner, path).await);
    }
    answers.push(get(&mia, "/invitations".to_owned()).await);
    answers.push(get(&operator, "/admin/jobs".to_owned()).await);
    for path in ["/health", "/health/detailed"] {
        let answer = crate::support::Answer::of(app.http.get(app.url(path))).await;
        answers.push(answer.expect(200).json());
    }
    owner.patch(&app, &format!("/businesses/{business}"), &json!({"state": "open"})).await.expect(200);
    let mut device = Device::of_business(&app, &owner, &business, None).await;
    zoe.order(&app, &business).await;
    answers.push(device.next().await);
    let mut found = Vec::new();
    answers.iter().for_each(|answer| times(answer, &mut found));
    assert!(found.len() > 40, "{found:?}");
    for time in found {
        let (seconds, fraction) = time.split_at(19);
        let digits = fraction.strip_prefix('.').and_then(|rest| rest.strip_suffix('Z'));
        assert!(digits.is_some_and(|d| d.len() == 6 && d.bytes().all(|b| b.is_ascii_digit())), "{time}");
        assert!(Timestamp::parse_rfc3339(time).is_some() && seconds.len() == 19, "{time}");
    }
}
