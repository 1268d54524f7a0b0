//! Clients and proxies that offer every request as an upgrade: two thousand orders each, none of them with an error.

use futures_util::{StreamExt as _, stream};
use serde_json::json;

use crate::running::Running;
use crate::support::{Endpoint, StoreKind, TestApp};

const ORDERS: usize = 2_000;

/// An nginx that passes each request on as an offer to upgrade, over connections that it keeps.
const BLANKET_UPGRADE: &str = "\
    upstream hub { server 127.0.0.1:8000; keepalive 16; }\n\
    server { listen 80; location / {\n\
        proxy_http_version 1.1; proxy_set_header Host $http_host;\n\
        proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection \"upgrade\";\n\
        proxy_pass http://hub;\n\
    } }";

async fn placed(app: &TestApp) -> Option<i64> {
    app.numbers("SELECT count(*) FROM orders").await[0]
}

#[tokio::test]
#[ignore = "needs nginx: scripts/proxies"]
async fn an_nginx_that_offers_every_request_as_an_upgrade_places_two_thousand_orders() {
    let app = TestApp::start_with(StoreKind::Sqlite, &[("server.trusted_proxies", "127.0.0.1")]).await;
    let proxy = Running::nginx(BLANKET_UPGRADE, "listen 80;", app.address).await;
    let through = Endpoint::new(proxy.address);
    let (olga, zoe) = (through.person("merchant", "Olga").await, through.person("customer", "Zoe").await);
    let business = olga.business(&through).await;
    stream::iter(0..ORDERS)
        .for_each_concurrent(16, |_| async { drop(zoe.order(&through, &business).await) })
        .await;
    assert_eq!(placed(&app).await, Some(ORDERS as i64));
}

#[tokio::test]
#[ignore = "needs a JDK: scripts/proxies"]
async fn the_client_of_the_jdk_places_two_thousand_orders() {
    let app = TestApp::start(StoreKind::Sqlite).await;
    let (olga, zoe) = (app.person("merchant", "Olga").await, app.person("customer", "Zoe").await);
    let business = olga.business(&app).await;
    let order = json!({
        "business_id": business, "fulfilment": "pickup", "payment": "cash", "items": [{"sku": "soup", "qty": 1}],
        "customer": {"name": "Zoe", "phone": "+351 900 000 000"},
    });
    let client = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/proxies/OrderClient.java");
    let mut java = std::process::Command::new("java");
    java.args([client, &app.url("/api/v1/orders"), &zoe.token, &order.to_string(), &ORDERS.to_string()]);
    let ended = tokio::task::spawn_blocking(move || java.output()).await.expect("it is waited for");
    let ended = ended.expect("a JDK is installed (scripts/proxies)");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    assert_eq!(String::from_utf8_lossy(&ended.stdout).trim(), ORDERS.to_string());
    assert_eq!(placed(&app).await, Some(ORDERS as i64));
}
