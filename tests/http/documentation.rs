//! The document and the pages that show it.

use reqwest::redirect::Policy;

use crate::header;
use crate::support::{Answer, StoreKind, TestApp};

#[tokio::test]
async fn the_document_is_served_as_generated_and_its_pages_load_nothing_from_elsewhere() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let served = Answer::of(app.http.get(app.url("/openapi.json"))).await.expect(200);
    assert_eq!(served.text, bellhop::http::openapi::openapi_json());
    for place in ["/docs", "/redoc"] {
        let client = reqwest::Client::builder().redirect(Policy::none()).build().unwrap();
        let answer = Answer::of(client.get(app.url(place))).await.expect(308);
        assert_eq!(header(&answer, "location"), "/docs/");
    }
    let page = Answer::of(app.http.get(app.url("/docs/"))).await.expect(200);
    let start = Answer::of(app.http.get(app.url("/docs/swagger-initializer.js"))).await.expect(200);
    assert!(start.text.contains("/openapi.json"), "{}", start.text);
    for text in [page.text, start.text] {
        assert!(!text.contains("http://") && !text.contains("https://"), "{text}");
    }
}

#[tokio::test]
async fn the_pages_can_be_switched_off() {
    let app = TestApp::start_with(StoreKind::Sqlite, &[("docs.enabled", "false")]).await;
    for place in ["/docs", "/docs/", "/openapi.json"] {
        Answer::of(app.http.get(app.url(place))).await.expect_problem(404, "not_found");
    }
}

#[test]
fn what_the_protocol_says_of_events_is_in_the_document() {
    let document: serde_json::Value = serde_json::from_str(&bellhop::http::openapi::openapi_json()).unwrap();
    for (name, _) in bellhop::domain::event::EventPayload::schemas() {
        assert!(document["components"]["schemas"].get(&name).is_some(), "no schema {name}");
    }
    let protocol = include_str!("../../docs/protocol.md");
    let posts = protocol.split("`POST ").skip(1).filter_map(|rest| rest.split('`').next());
    for path in posts.filter(|path| path.starts_with("/api/v1/")) {
        assert!(document["paths"][path].get("post").is_some(), "no route POST {path}");
    }
}
