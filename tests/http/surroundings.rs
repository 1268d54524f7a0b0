//! What happens around every request: ids, slashes, methods, health, metrics, other sites' pages.

use reqwest::Method;
use serde_json::json;

use crate::header;
use crate::support::{Answer, StoreKind, TestApp};

#[tokio::test]
async fn a_request_keeps_its_sane_id_and_gets_one_otherwise() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let with_id = |id: &'static str| app.http.get(app.url("/api/v1/nowhere")).header("x-request-id", id);
    let kept = Answer::of(with_id("trace-1")).await;
    assert_eq!(header(&kept, "x-request-id"), "trace-1");
    assert_eq!(kept.expect_problem(404, "not_found")["request_id"], "trace-1");
    let replaced = Answer::of(with_id("two words")).await;
    assert_eq!(header(&replaced, "x-request-id").len(), 36);
}

#[tokio::test]
async fn a_trailing_slash_and_head_lead_to_the_same_route() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    assert_eq!(Answer::of(app.http.get(app.url("/health/"))).await.expect(200).json()["status"], "healthy");
    let head = Answer::of(app.http.head(app.url("/health"))).await.expect(200);
    assert_eq!(head.text, "");
    let wrong = Answer::of(app.http.request(Method::PUT, app.url("/api/v1/orders/"))).await;
    assert_eq!(header(&wrong, "allow"), "GET, POST, HEAD");
    wrong.expect_problem(405, "method_not_allowed");
}

#[tokio::test]
async fn health_says_what_supervisors_ask() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let get = async |path: &str| Answer::of(app.http.get(app.url(path))).await.expect(200).json();
    assert_eq!(get("/health/live").await, json!({"status": "alive"}));
    let ready = json!({"status": "ready", "database": "healthy", "redis": "not_configured"});
    assert_eq!(get("/health/ready").await, ready);
    let detailed = get("/health/detailed").await;
    assert_eq!(detailed["status"], "healthy");
    assert_eq!(detailed["checks"]["database"]["details"]["store"], "sqlite");
    assert_eq!(get("/health/version").await["version"], env!("CARGO_PKG_VERSION"));
}

#[tokio::test]
async fn counters_with_known_labels_begin_at_zero_and_the_build_is_told() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    Answer::of(app.http.get(app.url("/docs/"))).await.expect(200);
    let metrics = Answer::of(app.http.get(app.url("/metrics"))).await.expect(200).text;
    for series in [
        "websocket_closes_total{reason=\"overloaded\"} 0",
        "websocket_closes_total{reason=\"internal\"} 0",
        "http_connections_refused_total{reason=\"head_timeout\"} 0",
        "security_events_total{kind=\"refresh_reuse\"} 0",
        "orders_processed_total{status=\"delivered\"} 0",
        "jobs_total{job=\"checkpoint\",outcome=\"failed\"} 0",
        "cache_requests_total{cache=\"menu\",result=\"stale\"} 0",
        "epoch_rotations_total{cause=\"store_behind\"} 0",
        "order_creation_errors_total 0",
        concat!("build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
        "http_requests_total{endpoint=\"/docs\",method=\"GET\",status=\"200\"} 1",
    ] {
        assert!(metrics.lines().any(|line| line == series), "{series} is missing in\n{metrics}");
    }
}

#[tokio::test]
async fn the_bare_address_is_a_page_for_people_and_json_for_programs() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let browser = |path: &'static str| app.http.get(app.url(path)).header("accept", "text/html,*/*;q=0.8");
    let page = Answer::of(browser("/")).await.expect(200);
    assert_eq!(header(&page, "content-type"), "text/html; charset=utf-8");
    assert_eq!(header(&page, "content-security-policy"), "default-src 'self'");
    for part in [
        env!("CARGO_PKG_VERSION"),
        "is ready",
        "href=\"/docs/\"",
        "href=\"/health/ready\"",
        "href=\"/metrics\"",
    ] {
        assert!(page.text.contains(part), "{part}: {}", page.text);
    }
    assert!(!page.text.contains("<style") && !page.text.contains("<script") && !page.text.contains("://"));
    for link in page.text.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        Answer::of(app.http.get(app.url(link))).await.expect(200);
    }
    let json = Answer::of(app.http.get(app.url("/"))).await.expect(200).json();
    assert_eq!((&json["name"], &json["status"]), (&json!("bellhop"), &json!("ready")));
    let console = Answer::of(browser("/admin")).await.expect(200);
    assert!(console.text.contains("console is not there yet"), "{}", console.text);
    Answer::of(app.http.get(app.url("/console"))).await.expect_problem(404, "not_found");
    Answer::of(app.http.post(app.url("/"))).await.expect_problem(404, "not_found");
}

#[tokio::test]
async fn requests_are_counted_by_route_and_not_by_address() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let owner = app.person("merchant", "Olga").await;
    let business = owner.business(&app).await;
    owner.get(&app, &format!("/businesses/{business}/")).await.expect(200);
    Answer::of(app.http.get(app.url("/wp-admin.php"))).await.expect(404);
    let metrics = Answer::of(app.http.get(app.url("/metrics"))).await.expect(200).text;
    for line in [
        "http_requests_total{endpoint=\"/api/v1/businesses/{id}\",method=\"GET\",status=\"200\"} 1",
        "http_requests_total{endpoint=\"unmatched\",method=\"GET\",status=\"404\"} 1",
        "http_request_duration_seconds_count{endpoint=\"/api/v1/businesses\",method=\"POST\"} 1",
    ] {
        assert!(metrics.lines().any(|l| l == line), "{line} is missing in\n{metrics}");
    }
    assert!(!metrics.contains(&business) && !metrics.contains("wp-admin"));
}

#[tokio::test]
async fn operations_of_the_database_are_counted_and_timed_by_what_they_do_to_which_table() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let (owner, zoe) = (app.person("merchant", "Olga").await, app.person("customer", "Zoe").await);
    let business = owner.business(&app).await;
    let order = zoe.order(&app, &business).await;
    owner.move_order(&app, &order, "accepted").await;
    owner.get(&app, "/orders?q=zoe").await.expect(200);
    Answer::of(app.http.get(app.url("/health/ready"))).await.expect(200);
    let metrics = Answer::of(app.http.get(app.url("/metrics"))).await.expect(200).text;
    let count = |series: &str| {
        let value = metrics.lines().find_map(|line| line.strip_prefix(series)).unwrap_or_default().trim();
        value.parse::<u64>().unwrap_or_else(|_| panic!("{series} is missing in\n{metrics}"))
    };
    for (operation, table) in [
        ("insert", "orders"),
        ("insert", "order_items"),
        ("insert", "room_events"),
        ("update", "orders"),
        ("select", "orders"),
        ("select", "order_items"),
        ("select", "businesses"),
        ("select", "users"),
        ("select", "none"),
    ] {
        let labels = format!("{{operation=\"{operation}\",table=\"{table}\"}}");
        let operations = count(&format!("database_operations_total{labels}"));
        let timed = count(&format!("database_query_seconds_count{labels}"));
        // A read of the hub's own that is under way was counted and not timed yet.
        assert!(operations > 0 && operations.abs_diff(timed) <= 1, "{operations} and {timed} of {labels}");
    }
    assert_eq!(count("database_operations_total{operation=\"insert\",table=\"orders\"}"), 1);
    // The planner of SQLite is told how the data is spread, which is done to no table.
    let upkeep = "{operation=\"other\",table=\"none\"}";
    let other = |line: &&str| line.starts_with("database_operations_total") && line.contains("other");
    for line in metrics.lines().filter(other) {
        assert!(line.contains(upkeep), "{line}");
    }
}

#[tokio::test]
async fn pages_of_allowed_origins_may_call_and_others_are_not_told_that_they_may() {
    let setting = ("server.allowed_origins", "https://shop.example");
    let app = TestApp::start_with(StoreKind::Sqlite, &[setting]).await;
    let preflight = |origin: &'static str| {
        let request = app.http.request(Method::OPTIONS, app.url("/api/v1/orders"));
        let request = request.header("origin", origin).header("access-control-request-method", "POST");
        request.header("access-control-request-headers", "authorization,content-type,idempotency-key")
    };
    let allowed = Answer::of(preflight("https://shop.example")).await.expect(200);
    assert_eq!(header(&allowed, "access-control-allow-origin"), "https://shop.example");
    assert_eq!(header(&allowed, "access-control-allow-credentials"), "");
    let refused = Answer::of(preflight("https://evil.example")).await;
    assert_eq!(header(&refused, "access-control-allow-origin"), "");
}
