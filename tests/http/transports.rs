//! Sockets, long polls and event streams: one cursor for all of them.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::on_both_stores;
use crate::support::{Answer, Device, EventStream, Person, StoreKind, TestApp, seq, until};
use crate::{fields, header};

on_both_stores!(
    the_cursor_of_each_transport_goes_on_with_each_other_while_events_are_posted,
    a_thousand_events_are_resumed_on_each_transport_from_memory_and_after_a_restart_from_the_store,
    a_long_poll_wakes_on_an_event_and_is_empty_when_there_is_none,
    a_cursor_that_leads_nowhere_gives_resync_on_long_polls_and_streams,
    a_foreign_room_is_like_an_absent_one_and_nobody_gets_in_without_credentials,
    a_ticket_opens_one_stream,
    an_event_source_comes_back_with_its_ticket_and_what_it_saw_last_and_nobody_else_does,
    an_ended_sign_in_and_a_lost_room_end_streams_and_long_polls,
);

fn room(business: &str) -> String {
    format!("/rooms/business:{business}")
}

async fn note(app: &TestApp, merchant: &Person, business: &str, text: &str) {
    let body = json!({"type": "NOTE", "title": "t", "message": text});
    merchant.post(app, &format!("/businesses/{business}/notifications"), &body).await.expect(201);
}

async fn notes(app: &TestApp, merchant: &Person, business: &str, count: usize, text: &str) {
    for _ in 0..count / 20 {
        join_all((0..20).map(|_| note(app, merchant, business, text))).await;
    }
}

async fn poll(app: &TestApp, person: &Person, business: &str, query: &str) -> Value {
    person.get(app, &format!("{}/events?{query}", room(business))).await.expect(200).json()
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("no {field} in {value}"))
}

/// Takes at least one event over the transport whose turn it is; the events and the cursor to go on with.
async fn take(
    app: &TestApp,
    person: &Person,
    business: &str,
    turn: usize,
    cursor: &str,
) -> (Vec<Value>, String) {
    match turn % 4 {
        0 => {
            let mut device = Device::of_business(app, person, business, Some(cursor)).await;
            let events = device.events(1 + turn % 7).await;
            device.close().await;
            let cursor = text(&events[events.len() - 1], "cursor").to_owned();
            (events, cursor)
        }
        1 => {
            let mut events = Vec::new();
            let path = format!("{}/stream?cursor={cursor}", room(business));
            let (mut stream, hello) = EventStream::open(app, person, &path).await;
            assert_eq!((hello.id.as_str(), &hello.json()["rooms"][0]["recovered"]), (cursor, &json!(true)));
            for _ in 0..1 + turn % 5 {
                let event = stream.next().await;
                assert_eq!(event.event, "notification");
                assert_eq!(event.id, text(&event.json(), "cursor"));
                events.push(event.json());
            }
            let cursor = text(&events[events.len() - 1], "cursor").to_owned();
            (events, cursor)
        }
        2 => {
            let query = format!("cursor={cursor}&wait=20&limit={}", 1 + turn % 3);
            let answer = poll(app, person, business, &query).await;
            assert_eq!(answer["resync"], false);
            (answer["events"].as_array().unwrap().clone(), text(&answer, "cursor").to_owned())
        }
        _ => {
            let request = person.request(app, Method::GET, &format!("{}/stream?cursor=x", room(business)));
            let request = request.header("last-event-id", cursor);
            let mut stream = EventStream::start(request).await.expect("the stream is opened");
            assert_eq!(stream.next().await.event, "hello");
            let event = stream.next().await.json();
            let cursor = text(&event, "cursor").to_owned();
            (vec![event], cursor)
        }
    }
}

async fn the_cursor_of_each_transport_goes_on_with_each_other_while_events_are_posted(kind: StoreKind) {
    const EVENTS: usize = 400;
    let app = TestApp::start(kind).await;
    let merchant = app.person("merchant", "Mia").await;
    let business = merchant.business(&app).await;
    let whole = Device::of_business(&app, &merchant, &business, None).await;
    let start = text(&whole.hello["rooms"][0], "cursor").to_owned();
    let reading = async {
        let (mut cursor, mut seen, mut turn) = (start, Vec::new(), 0);
        while seen.len() < EVENTS {
            // The last few are taken where a number need not be said beforehand.
            let turn_now = if EVENTS - seen.len() < 8 { 2 } else { turn };
            let (events, next) = take(&app, &merchant, &business, turn_now, &cursor).await;
            seen.extend(events);
            cursor = next;
            turn += 1;
        }
        assert!(turn > 50, "the transports were changed {turn} times");
        seen
    };
    let posting = notes(&app, &merchant, &business, EVENTS, "tick");
    let (seen, ()) = tokio::join!(reading, posting);
    let seqs: Vec<u64> = seen.iter().map(seq).collect();
    assert_eq!(seqs, (1..=EVENTS as u64).collect::<Vec<_>>(), "each once and in order");
    let mut whole = whole;
    assert_eq!(whole.events(EVENTS).await, seen, "the same events, the same JSON");
    whole.close().await;
}

async fn a_thousand_events_are_resumed_on_each_transport_from_memory_and_after_a_restart_from_the_store(
    kind: StoreKind,
) {
    let mut app = TestApp::start(kind).await;
    let mut merchant = app.person("merchant", "Mia").await;
    let business = merchant.business(&app).await;
    let start = text(&poll(&app, &merchant, &business, "").await, "cursor").to_owned();
    notes(&app, &merchant, &business, 1000, "tick").await;
    for pass in 0..2 {
        let (mut cursor, mut polled) = (start.clone(), Vec::new());
        loop {
            let answer = poll(&app, &merchant, &business, &format!("cursor={cursor}&limit=500")).await;
            let events = answer["events"].as_array().unwrap();
            text(&answer, "cursor").clone_into(&mut cursor);
            if events.is_empty() {
                break;
            }
            polled.extend(events.iter().map(seq));
        }
        let path = format!("{}/stream?cursor={start}", room(&business));
        let (mut stream, _) = EventStream::open(&app, &merchant, &path).await;
        let mut streamed = Vec::new();
        for _ in 0..1000 + pass {
            streamed.push(seq(&stream.next().await.json()));
        }
        let all: Vec<u64> = (1..=1000 + pass).collect();
        assert_eq!((&polled, &streamed), (&all, &all), "pass {pass}");
        let mut device = Device::of_business(&app, &merchant, &business, Some(&cursor)).await;
        note(&app, &merchant, &business, "live again").await;
        assert_eq!(seq(&device.next().await), 1001 + pass);
        assert_eq!(seq(&stream.next().await.json()), 1001 + pass);
        device.close().await;
        if pass == 0 {
            drop(stream);
            app.restart().await;
            merchant.sign_in(&app, None).await;
        }
    }
}

async fn a_long_poll_wakes_on_an_event_and_is_empty_when_there_is_none(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (merchant, customer) = (app.person("merchant", "Mia").await, app.person("customer", "Carl").await);
    let business = merchant.business(&app).await;
    let now = poll(&app, &merchant, &business, "").await;
    assert_eq!(now, json!({"events": [], "cursor": now["cursor"], "resync": false}));
    let query = format!("cursor={}&wait=30", text(&now, "cursor"));
    let waiting = poll(&app, &merchant, &business, &query);
    let (woken, order) = tokio::join!(waiting, async {
        while app.sessions().readers() == 0 {
            tokio::task::yield_now().await;
        }
        customer.order(&app, &business).await
    });
    assert_eq!(woken["events"][0]["event"]["data"]["order_id"], order["id"]);
    assert_eq!((woken["cursor"].clone(), seq(&woken)), (woken["events"][0]["cursor"].clone(), 1));
    let order_room = format!("/rooms/order:{}/events?wait=1", text(&order, "id"));
    let began = std::time::Instant::now();
    let empty = customer.get(&app, &order_room).await.expect(200);
    assert!(began.elapsed().as_millis() >= 1000, "it waited");
    assert_eq!(header(&empty, "cache-control"), "no-store");
    assert_eq!((seq(&empty.json()), &empty.json()["events"]), (1, &json!([])));
}

async fn a_cursor_that_leads_nowhere_gives_resync_on_long_polls_and_streams(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let merchant = app.person("merchant", "Mia").await;
    let business = merchant.business(&app).await;
    note(&app, &merchant, &business, "one").await;
    let head = text(&poll(&app, &merchant, &business, "").await, "cursor").to_owned();
    let (epoch, _) = head.split_once('.').unwrap();
    let other = if epoch == "00000001" { "00000002" } else { "00000001" };
    let lost = [format!("{epoch}.2"), format!("{other}.1")];
    for cursor in &lost {
        // At once, although it was ready to wait.
        let answer = poll(&app, &merchant, &business, &format!("cursor={cursor}&wait=30")).await;
        assert_eq!(answer, json!({"events": [], "cursor": head, "resync": true}), "{cursor}");
    }
    for cursor in lost.iter().map(String::as_str).chain(["nonsense"]) {
        let path = format!("{}/stream?cursor={cursor}", room(&business));
        let (mut stream, hello) = EventStream::open(&app, &merchant, &path).await;
        // Without an id: a browser that loses the connection now comes back with the cursor that is lost, and is told.
        let greeted = (hello.id.as_str(), &hello.json()["rooms"][0]["recovered"]);
        assert_eq!(greeted, ("", &json!(false)), "{cursor}");
        let resync = stream.next().await;
        assert_eq!((resync.event.as_str(), &resync.id), ("resync", &head), "{cursor}");
        let frame = json!({"type": "resync", "room": format!("business:{business}"), "cursor": head});
        assert_eq!(resync.json(), frame);
    }
    let (_, hello) = EventStream::open(&app, &merchant, &format!("{}/stream", room(&business))).await;
    assert_eq!(hello.id, head, "who has no cursor goes on from here");
    let (mut stream, _) =
        EventStream::open(&app, &merchant, &format!("{}/stream?cursor=x", room(&business))).await;
    assert_eq!(stream.next().await.event, "resync");
    note(&app, &merchant, &business, "next").await;
    assert_eq!(seq(&stream.next().await.json()), 2, "after a resync it is live");
    let path = format!("{}/events?cursor=nonsense&limit=501&wait=31", room(&business));
    let problem = merchant.get(&app, &path).await.expect_problem(422, "invalid");
    assert_eq!(fields(&problem), ["cursor", "limit", "wait"]);
}

async fn a_foreign_room_is_like_an_absent_one_and_nobody_gets_in_without_credentials(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (merchant, stranger) = (app.person("merchant", "Mia").await, app.person("merchant", "Eve").await);
    let customer = app.person("customer", "Carl").await;
    let business = merchant.business(&app).await;
    let order = customer.order(&app, &business).await;
    let order_room = format!("/rooms/order:{}", text(&order, "id"));
    for transport in ["events", "stream"] {
        let mut refusals = Vec::new();
        for (person, room) in [
            (&stranger, room(&business)),
            (&customer, room(&business)),
            (&stranger, order_room.clone()),
            (&stranger, "/rooms/order:ord_0190f3c1a2b37d4e8f00112233445566".to_owned()),
            (&stranger, "/rooms/ops".to_owned()),
        ] {
            let refused = person.get(&app, &format!("{room}/{transport}")).await;
            let mut problem = refused.expect_problem(404, "not_found");
            problem["request_id"].take();
            refusals.push(problem);
        }
        refusals.dedup();
        assert_eq!(refusals.len(), 1, "all refusals look the same: {refusals:?}");
        let path = app.url(&format!("/api/v1{}/{transport}", room(&business)));
        Answer::of(app.http.get(&path)).await.expect_problem(401, "unauthenticated");
    }
    let head = app.http.head(app.url(&format!("/api/v1{}/stream", room(&business))));
    let head = Answer::of(head.bearer_auth(&merchant.token)).await.expect(200);
    assert_eq!((head.text.as_str(), app.sessions().readers()), ("", 0), "HEAD leaves nothing behind");
}

async fn a_ticket_opens_one_stream(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let merchant = app.person("merchant", "Mia").await;
    let business = merchant.business(&app).await;
    let ticket = merchant.post(&app, "/auth/ticket", &json!({})).await.expect(200).json();
    let path = format!("/api/v1{}/stream?ticket={}", room(&business), text(&ticket, "ticket"));
    let mut stream = EventStream::start(app.http.get(app.url(&path))).await.expect("the first time");
    assert_eq!(stream.next().await.event, "hello");
    let refused = EventStream::start(app.http.get(app.url(&path))).await.err().expect("not a second time");
    refused.expect_problem(401, "unauthenticated");
    merchant.post(&app, "/auth/logout", &json!({})).await.expect(204);
    assert_eq!(
        stream.closed().await,
        "session_ended",
        "a ticket's stream ends with the sign-in it came from"
    );
}

async fn an_event_source_comes_back_with_its_ticket_and_what_it_saw_last_and_nobody_else_does(
    kind: StoreKind,
) {
    let mut app = TestApp::start(kind).await;
    let merchant = app.person("merchant", "Mia").await;
    let (business, other) = (merchant.business(&app).await, merchant.business(&app).await);
    let ticket = merchant.post(&app, "/auth/ticket", &json!({})).await.expect(200).json();
    let address =
        |business: &str| format!("/api/v1{}/stream?ticket={}", room(business), text(&ticket, "ticket"));
    let come = async |app: &TestApp, business: &str, last: &str| {
        let request = app.http.get(app.url(&address(business)));
        EventStream::start(if last.is_empty() { request } else { request.header("last-event-id", last) })
            .await
    };
    let mut stream = come(&app, &business, "").await.expect("the first time");
    let hello = stream.next().await;
    note(&app, &merchant, &business, "one").await;
    let event = stream.next().await;
    let cursor = text(&event.json(), "cursor").to_owned();
    assert!(event.id.starts_with(&format!("{cursor}~")) && hello.id.contains('~'), "{event:?}");
    // It is a cursor on every transport.
    let polled = poll(&app, &merchant, &business, &format!("cursor={}", event.id)).await;
    assert_eq!(polled, json!({"events": [], "cursor": cursor, "resync": false}));
    drop(stream);
    app.restart().await;
    note(&app, &merchant, &business, "two").await;
    for _ in 0..2 {
        let mut stream = come(&app, &business, &event.id).await.expect("it comes back");
        assert_eq!(stream.next().await.json()["rooms"][0]["recovered"], true);
        let next = stream.next().await;
        assert_eq!(
            (seq(&next.json()), next.id.split_once('~').unwrap().1),
            (2, event.id.split_once('~').unwrap().1)
        );
    }
    let (_, proof) = event.id.split_once('~').unwrap();
    let forged = format!("{cursor}~{}", proof.chars().rev().collect::<String>());
    for (business, last) in [
        (&business, cursor.as_str()),
        (&business, ""),
        (&business, "~"),
        (&business, &forged),
        (&other, &event.id),
    ] {
        let refused = come(&app, business, last).await.err().unwrap_or_else(|| panic!("{last} is let in"));
        refused.expect_problem(401, "unauthenticated");
    }
    merchant.post(&app, "/auth/logout", &json!({})).await.expect(204);
    let refused = come(&app, &business, &event.id).await.err().expect("the sign-in has ended");
    refused.expect_problem(401, "unauthenticated");
}

async fn an_ended_sign_in_and_a_lost_room_end_streams_and_long_polls(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (owner, staff) = (app.person("merchant", "Olga").await, app.person("merchant", "Sam").await);
    let business = owner.business(&app).await;
    owner.take_in(&app, &business, &staff).await;
    let waiting = format!("{}/events?wait=30", room(&business));
    for (person, reason, status, code) in
        [(&staff, "access_denied", 404, "not_found"), (&owner, "session_ended", 401, "unauthenticated")]
    {
        let path = format!("{}/stream", room(&business));
        let (mut stream, _) = EventStream::open(&app, person, &path).await;
        let (polled, ()) = tokio::join!(person.get(&app, &waiting), async {
            while app.sessions().readers() < 2 {
                tokio::task::yield_now().await;
            }
            if reason == "access_denied" {
                let member = format!("/businesses/{business}/members/{}", staff.id);
                owner.delete(&app, &member).await.expect(204);
            } else {
                owner.post(&app, "/auth/logout", &json!({})).await.expect(204);
            }
        });
        assert_eq!(stream.closed().await, reason);
        polled.expect_problem(status, code);
    }
}

#[tokio::test]
async fn a_stream_that_is_not_read_keeps_little_waiting_and_misses_nothing() {
    let app = TestApp::start_with(StoreKind::Sqlite, &[("sessions.outbox_frames", "4")]).await;
    let merchant = app.person("merchant", "Mia").await;
    let business = merchant.business(&app).await;
    let (mut stream, hello) =
        EventStream::open(&app, &merchant, &format!("{}/stream", room(&business))).await;
    assert_eq!((hello.retry, seq(&hello.json()["rooms"][0])), (Some(2000), 0));
    // More than the kernel takes for a reader that does not read.
    notes(&app, &merchant, &business, 1500, &"x".repeat(2000)).await;
    let delivered = |lane| app.metrics().deliveries_total.with_label_values(&[lane]).get();
    assert!(delivered("live") + delivered("history") < 1500, "the rest stays in the log");
    for expected in 1..=1500 {
        assert_eq!(seq(&stream.next().await.json()), expected);
    }
}

#[tokio::test]
async fn streams_and_long_polls_take_the_places_of_sockets() {
    let app = TestApp::start_with(StoreKind::Sqlite, &[("sessions.max_per_user", "2")]).await;
    let merchant = app.person("merchant", "Mia").await;
    let business = merchant.business(&app).await;
    let path = format!("{}/stream", room(&business));
    let device = Device::of_business(&app, &merchant, &business, None).await;
    let (stream, _) = EventStream::open(&app, &merchant, &path).await;
    let refused = merchant.get(&app, &format!("{}/events", room(&business))).await;
    assert!(!header(&refused, "retry-after").is_empty());
    refused.expect_problem(429, "too_many_requests");
    merchant.get(&app, &path).await.expect_problem(429, "too_many_requests");
    device.close().await;
    until("the socket has gone", || app.sessions().open() == 0).await;
    poll(&app, &merchant, &business, "").await;
    let waiting = merchant.request(&app, Method::GET, &format!("{}/events?wait=30", room(&business)));
    let waiting = tokio::spawn(Answer::of(waiting));
    until("both are served", || app.sessions().readers() == 2).await;
    drop(stream);
    waiting.abort();
    // The poll would wait for longer than this does.
    until("who hangs up gives the place back at once", || app.sessions().readers() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_hub_answers_long_polls_and_ends_streams_at_once() {
    let mut app = TestApp::start(StoreKind::Sqlite).await;
    let merchant = app.person("merchant", "Mia").await;
    let business = merchant.business(&app).await;
    let (mut stream, _) = EventStream::open(&app, &merchant, &format!("{}/stream", room(&business))).await;
    let request = merchant.request(&app, Method::GET, &format!("{}/events?wait=30", room(&business)));
    let waiting = tokio::spawn(Answer::of(request));
    until("both are served", || app.sessions().readers() == 2).await;
    let ended = tokio::spawn(async move { stream.closed().await });
    let began = std::time::Instant::now();
    app.stop();
    // The poll would wait for 30 s.
    assert!(began.elapsed().as_secs() < 20, "the stop took {:?}", began.elapsed());
    assert_eq!(ended.await.unwrap(), "restart");
    let answer = waiting.await.unwrap().expect(200).json();
    assert_eq!((&answer["events"], &answer["resync"]), (&json!([]), &json!(false)));
}

#[tokio::test]
async fn names_that_libraries_add_to_a_query_are_alike_on_every_route() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let mia = app.person("merchant", "Mia").await;
    let business = mia.business(&app).await;
    let room = room(&business);
    let notifications = format!("/businesses/{business}/notifications");
    let reading = ["/businesses".to_owned(), "/orders".to_owned(), notifications, format!("{room}/events")];
    let others = [format!("/businesses/{business}"), format!("/businesses/{business}/menu")];
    for path in reading.iter().chain(&others) {
        mia.get(&app, &format!("{path}?_=1712&utm_source=mail&_=1713")).await.expect(200);
    }
    for path in &reading {
        let slip = mia.get(&app, &format!("{path}?_=1&staus=placed")).await.expect_problem(422, "invalid");
        assert_eq!(fields(&slip), ["staus"], "{path}");
    }
    note(&app, &mia, &business, "first").await;
    let cursor = poll(&app, &mia, &business, "").await["cursor"].as_str().unwrap().to_owned();
    note(&app, &mia, &business, "second").await;
    // As libraries do that cannot send the header.
    let path = format!("{room}/stream?_=1&lastEventId={cursor}&cursor=0000beef.0");
    let (mut stream, hello) = EventStream::open(&app, &mia, &path).await;
    assert_eq!(hello.json()["rooms"][0]["recovered"], true);
    assert!(stream.next().await.data.contains("second"));
}
