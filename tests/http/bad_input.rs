//! Bad input and the answer each gets.

use std::time::Duration;

use bellhop::auth::token::{TokenSettings, Tokens};
use bellhop::domain::access::{Principal, Role};
use bellhop::domain::ids::LoginSessionId;
use bellhop::domain::time::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Answer, Person, StoreKind, TestApp, order_body};
use crate::{SECRET, fields, tokens, with};

/// The first level of a notification's data that is one too many.
const DEEPEST: &str =
    "data[0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0]";

/// What a request carries.
enum Sent {
    /// Nothing.
    Nothing,
    /// JSON.
    Json(Value),
    /// These bytes, said to be JSON.
    Bytes(Vec<u8>),
    /// JSON, said to be something else.
    SaidToBe(&'static str, Value),
}

struct Row {
    name: &'static str,
    method: Method,
    path: String,
    token: String,
    headers: Vec<(&'static str, &'static str)>,
    sent: Sent,
    status: u16,
    code: &'static str,
    fields: &'static [&'static str],
}

impl Row {
    fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    fn naming(mut self, fields: &'static [&'static str]) -> Self {
        self.fields = fields;
        self
    }

    /// What is wrong with the answer, if anything.
    async fn check(self, app: &TestApp) -> Option<String> {
        let mut request = app.http.request(self.method, app.url(&self.path)).bearer_auth(&self.token);
        for (name, value) in &self.headers {
            request = request.header(*name, *value);
        }
        let json = "application/json";
        let request = match self.sent {
            Sent::Nothing => request,
            Sent::Json(body) => request.json(&body),
            Sent::Bytes(bytes) => request.header("content-type", json).body(bytes),
            Sent::SaidToBe(kind, body) => request.header("content-type", kind).body(body.to_string()),
        };
        let answer = Answer::of(request).await;
        let expected = (self.status, self.code, self.fields.to_vec());
        let problem = answer.json();
        let named = fields(&problem);
        let code = problem["code"].as_str().unwrap_or_default();
        let got = (answer.status.as_u16(), code, named.iter().map(String::as_str).collect());
        let is_problem = answer.headers["content-type"] == "application/problem+json";
        (got != expected || !is_problem).then(|| format!("{}: {}", self.name, answer.text))
    }
}

/// Tokens that must not hold, each by its name.
fn bad_tokens(person: &Person, revoked: &Person) -> Vec<(&'static str, String, &'static str)> {
    let now = Timestamp::now();
    let principal = Principal {
        user: person.id.parse().unwrap(),
        session: LoginSessionId::generate(),
        role: Role::Customer,
    };
    let ours = tokens(SECRET, TokenSettings::default());
    let issue = |tokens: &Tokens, at| tokens.issue_access(principal, None, 0, Uuid::now_v7(), at).text;
    let elsewhere = TokenSettings { audience: "elsewhere".to_owned(), ..TokenSettings::default() };
    let someone = TokenSettings { issuer: "someone".to_owned(), ..TokenSettings::default() };
    let good = issue(&ours, now);
    let (head, claims) = good.rsplit_once('.').unwrap().0.split_once('.').unwrap();
    let claims: Value = {
        use base64::Engine as _;
        let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    };
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let mut stronger = Header::new(Algorithm::HS512);
    stronger.typ = Some("at+jwt".to_owned());
    let unsigned = format!("eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.{}.", good.split('.').nth(1).unwrap());
    vec![
        ("an expired token", issue(&ours, now.minus(Duration::from_secs(3601))), "token_expired"),
        (
            "a token of another algorithm",
            jsonwebtoken::encode(&stronger, &claims, &key).unwrap(),
            "unauthenticated",
        ),
        ("a token without a signature", unsigned, "unauthenticated"),
        ("a token for another audience", issue(&tokens(SECRET, elsewhere), now), "unauthenticated"),
        ("a token of another issuer", issue(&tokens(SECRET, someone), now), "unauthenticated"),
        (
            "a token of another key",
            issue(&tokens(&SECRET.replace('a', "b"), TokenSettings::default()), now),
            "unauthenticated",
        ),
        ("a token from the far future", issue(&ours, now.plus(Duration::from_secs(7200))), "unauthenticated"),
        ("a token of a sign-in that was ended", revoked.token.clone(), "unauthenticated"),
        ("half a token", head.to_owned(), "unauthenticated"),
        ("no token at all", String::new(), "unauthenticated"),
    ]
}

crate::on_both_stores!(bad_input_gets_its_answer_row_by_row);

async fn bad_input_gets_its_answer_row_by_row(kind: StoreKind) {
    let settings = [("auth.secret_key", SECRET), ("payments.provider", "none")];
    let app = TestApp::start_with(kind, &settings).await;
    let (mia, zoe) = (app.person("merchant", "Mia").await, app.person("customer", "Zoe").await);
    let (otto, gone) = (app.person("merchant", "Otto").await, app.person("customer", "Eve").await);
    gone.post(&app, "/auth/logout", &json!({})).await.expect(204);
    let business = mia.business(&app).await;
    let off = json!({"available": false});
    mia.patch(&app, &format!("/businesses/{business}/menu/items/bread"), &off).await.expect(200);
    let (paused, closed) = (mia.business(&app).await, mia.business(&app).await);
    let until = Timestamp::now().plus(Duration::from_secs(3600)).to_rfc3339();
    let pause = json!({"state": "paused", "paused_until": until});
    mia.patch(&app, &format!("/businesses/{paused}"), &pause).await.expect(200);
    mia.patch(&app, &format!("/businesses/{closed}"), &json!({"state": "closed"})).await.expect(200);
    let placed = zoe.order(&app, &business).await;
    let placed = placed["id"].as_str().unwrap().to_owned();

    let row = |name, method, path: &str, who: &Person, sent, status, code| Row {
        name,
        method,
        path: format!("/api/v1{path}"),
        token: who.token.clone(),
        headers: Vec::new(),
        sent,
        status,
        code,
        fields: &[],
    };
    let order = |name, changes, status, code| {
        let body = with(order_body(&business), changes);
        row(name, Method::POST, "/orders", &zoe, Sent::Json(body), status, code)
    };
    let raw = |name, body: &[u8], status, code| {
        row(name, Method::POST, "/orders", &zoe, Sent::Bytes(body.to_vec()), status, code)
    };
    let signup = |name, changes| {
        let body = with(json!({"email": "new@example.com", "password": "long enough"}), changes);
        row(name, Method::POST, "/auth/signup", &zoe, Sent::Json(body), 422, "invalid")
    };
    let shop = |name, changes| {
        let body = json!({"name": "Shop", "location": {"lat": 0, "lng": 0}, "currency": "EUR"});
        row(name, Method::POST, "/businesses", &mia, Sent::Json(with(body, changes)), 422, "invalid")
    };
    let list = |name, query: &str, fields| {
        row(name, Method::GET, &format!("/orders?{query}"), &zoe, Sent::Nothing, 422, "invalid")
            .naming(fields)
    };
    let change = |name, body, status, code| {
        row(name, Method::PATCH, &format!("/orders/{placed}/status"), &mia, Sent::Json(body), status, code)
    };
    let items = |sku: &str, qty: Value| json!({"items": [{"sku": sku, "qty": qty}]});
    let nested = format!("{{\"data\":{}{}}}", "[".repeat(200), "]".repeat(200)).into_bytes();
    let large = json!({"notes": "a".repeat(2 * 1024 * 1024)}).to_string().into_bytes();
    let address = json!({"text": "x", "lat": 91, "lng": 181});

    let mut rows = vec![
        raw("malformed JSON", b"{\"business_id\":", 400, "malformed"),
        raw("JSON and more", b"{} {}", 400, "malformed"),
        raw("no UTF-8", b"{\"notes\":\"\xff\"}", 400, "malformed"),
        raw("an empty body", b"", 400, "malformed"),
        raw("a number too large for any number", b"{\"table\":1e999}", 400, "malformed"),
        row(
            "JSON too deep",
            Method::POST,
            &format!("/businesses/{business}/notifications"),
            &mia,
            Sent::Bytes(nested),
            422,
            "invalid",
        )
        .naming(&[DEEPEST]),
        raw("a list for an object", b"[]", 422, "invalid").naming(&["body"]),
        raw("null for an object", b"null", 422, "invalid").naming(&["body"]),
        raw("a field given twice, and others missing", b"{\"notes\":\"a\",\"notes\":\"b\"}", 422, "invalid")
            .naming(&["notes", "business_id", "fulfilment", "items", "payment"]),
        raw("nothing at all", b"{}", 422, "invalid").naming(&[
            "business_id",
            "fulfilment",
            "items",
            "payment",
        ]),
        raw("a body of 2 MiB", &large, 413, "too_large"),
        row(
            "a form",
            Method::POST,
            "/orders",
            &zoe,
            Sent::SaidToBe("text/plain", json!({})),
            415,
            "unsupported_media_type",
        ),
        order("an unknown field", json!({"discount": 100}), 422, "invalid").naming(&["discount"]),
        order(
            "an unknown field of a line",
            json!({"items": [{"sku": "soup", "qty": 1, "price_minor": 1}]}),
            422,
            "invalid",
        )
        .naming(&["items[0].price_minor"]),
        order("a wrong type", items("soup", json!("2")), 422, "invalid").naming(&["items[0].qty"]),
        order("half a soup", items("soup", json!(0.5)), 422, "invalid").naming(&["items[0].qty"]),
        order("a negative quantity", items("soup", json!(-1)), 422, "invalid").naming(&["items[0].qty"]),
        order("a quantity of zero", items("soup", json!(0)), 422, "invalid").naming(&["items[0].qty"]),
        order("a huge quantity", items("soup", json!(1_000)), 422, "invalid").naming(&["items[0].qty"]),
        order("a quantity beyond 64 bits", items("soup", json!(1e30)), 422, "invalid")
            .naming(&["items[0].qty"]),
        order("no lines", json!({"items": []}), 422, "invalid").naming(&["items"]),
        order(
            "too many lines",
            json!({"items": vec![json!({"sku": "soup", "qty": 1}); 101]}),
            422,
            "invalid",
        )
        .naming(&["items"]),
        order("an unknown sku", items("caviar", json!(1)), 422, "invalid").naming(&["items[0].sku"]),
        order("an unavailable item", items("bread", json!(1)), 422, "invalid").naming(&["items[0].sku"]),
        order("a sku with a space", items("so up", json!(1)), 422, "invalid").naming(&["items[0].sku"]),
        order("NUL in the notes", json!({"notes": "a\u{0}b"}), 422, "invalid").naming(&["notes"]),
        order("NUL in a sku", items("so\u{0}up", json!(1)), 422, "invalid").naming(&["items[0].sku"]),
        order("notes too long", json!({"notes": "é".repeat(501)}), 422, "invalid").naming(&["notes"]),
        order("an unknown payment", json!({"payment": "card"}), 422, "invalid").naming(&["payment"]),
        order("a payment that nobody takes", json!({"payment": "online"}), 422, "payment_unavailable"),
        order("a missing field", json!({"payment": null}), 422, "invalid").naming(&["payment"]),
        order("a delivery to nowhere", json!({"fulfilment": "delivery"}), 422, "invalid")
            .naming(&["address"]),
        order(
            "an address off the earth",
            json!({"fulfilment": "delivery", "address": address}),
            422,
            "invalid",
        )
        .naming(&["address.lat", "address.lng"]),
        order("a table for a pickup", json!({"table": 1}), 422, "invalid").naming(&["table"]),
        order("a phone with letters", json!({"customer": {"name": "Z", "phone": "call me"}}), 422, "invalid")
            .naming(&["customer.phone"]),
        order(
            "many bad values at once",
            json!({"items": [{"sku": "", "qty": 0}], "payment": "x", "table": 0}),
            422,
            "invalid",
        )
        .naming(&["items[0].qty", "items[0].sku", "payment", "table"]),
        order(
            "an id of another kind",
            json!({"business_id": "ord_00000000000000000000000000000000"}),
            422,
            "invalid",
        )
        .naming(&["business_id"]),
        order(
            "an absent business",
            json!({"business_id": "biz_00000000000000000000000000000000"}),
            404,
            "not_found",
        ),
        order("a paused business", json!({"business_id": paused}), 409, "business_paused"),
        order("a closed business", json!({"business_id": closed}), 409, "business_closed"),
        order("a key with a space", json!({"client_token": "a b"}), 422, "invalid").naming(&["client_token"]),
        order("a key too long", json!({}), 422, "invalid")
            .header("idempotency-key", "0123456789012345678901234567890123456789012345678901234567890123x")
            .naming(&["Idempotency-Key"]),
        row(
            "a foreign business",
            Method::PATCH,
            &format!("/businesses/{business}"),
            &otto,
            Sent::Json(json!({"name": "Mine"})),
            404,
            "not_found",
        ),
        row(
            "a foreign menu",
            Method::DELETE,
            &format!("/businesses/{business}/menu/items/soup"),
            &otto,
            Sent::Nothing,
            404,
            "not_found",
        ),
        row(
            "another currency",
            Method::PATCH,
            &format!("/businesses/{business}"),
            &mia,
            Sent::Json(json!({"currency": "USD"})),
            409,
            "currency_in_use",
        ),
        row("another's role", Method::POST, "/businesses", &zoe, Sent::Json(json!({})), 403, "forbidden"),
        shop("no currency of this world", json!({"currency": "XXX"})).naming(&["currency"]),
        shop("no time zone of this world", json!({"timezone": "Mars/Olympus"})).naming(&["timezone"]),
        shop("a name in control characters", json!({"name": "a\u{7}"})).naming(&["name"]),
        shop("numbers out of range", json!({"tables": 1001, "prep_minutes": 0}))
            .naming(&["prep_minutes", "tables"]),
        shop("a pause without an end", json!({"state": "paused"})).naming(&["paused_until"]),
        shop("a pause in the past", json!({"state": "paused", "paused_until": "2020-01-01T00:00:00Z"}))
            .naming(&["paused_until"]),
        signup("an operator by signing up", json!({"role": "admin"})).naming(&["role"]),
        signup("no address and a short password", json!({"email": "x", "password": "short"}))
            .naming(&["email", "password"]),
        signup("NUL in an address", json!({"email": "a\u{0}@example.com"})).naming(&["email"]),
        row(
            "NUL in an address that signs in",
            Method::POST,
            "/auth/login",
            &zoe,
            Sent::Json(json!({"email": "a\u{0}@example.com", "password": "x"})),
            422,
            "invalid",
        )
        .naming(&["email"]),
        row(
            "NUL in a path",
            Method::DELETE,
            &format!("/businesses/{business}/menu/items/%00"),
            &mia,
            Sent::Nothing,
            404,
            "not_found",
        ),
        row(
            "NUL in the data of a notification",
            Method::POST,
            &format!("/businesses/{business}/notifications"),
            &mia,
            Sent::Json(json!({"type": "X", "title": "x", "message": "x", "data": {"a": "\u{0}"}})),
            422,
            "invalid",
        )
        .naming(&["data"]),
        list("NUL in a search", "q=%00", &["q"]),
        signup("NUL in a password", json!({"password": "long \u{0} enough"})).naming(&["password"]),
        change("no version", json!({"status": "accepted"}), 428, "version_required"),
        change("a stale version", json!({"status": "accepted", "version": 7}), 409, "stale_version"),
        change("a forbidden move", json!({"status": "delivered", "version": 1}), 409, "move_forbidden"),
        change("an unknown status", json!({"status": "eaten", "version": 1}), 422, "invalid")
            .naming(&["status"]),
        change("an outdated tag", json!({"status": "accepted"}), 412, "precondition_failed")
            .header("if-match", "\"7\""),
        change("a tag without quotation marks", json!({"status": "accepted"}), 400, "malformed")
            .header("if-match", "1"),
        list("a bad cursor", "cursor=nonsense", &["cursor"]),
        list("a cursor of a room", "cursor=0000beef.42", &["cursor"]),
        list("a page too large", "limit=51", &["limit"]),
        list("a page before the first", "page=0", &["page"]),
        list("an unknown filter", "colour=red", &["colour"]),
        list("a filter given twice", "page=1&page=2", &["page"]),
        list("many bad filters", "status=x&limit=0&business_id=y", &["business_id", "limit", "status"]),
        row("a path of nothing", Method::GET, "/nothing", &zoe, Sent::Nothing, 404, "not_found"),
        row(
            "a path that looks like an attack",
            Method::GET,
            "/orders/..%2f..%2fetc%2fpasswd",
            &zoe,
            Sent::Nothing,
            404,
            "not_found",
        ),
        row("an id that is none", Method::GET, "/orders/1%20OR%201=1", &zoe, Sent::Nothing, 404, "not_found"),
        row(
            "a method that is not for this path",
            Method::DELETE,
            "/orders",
            &zoe,
            Sent::Nothing,
            405,
            "method_not_allowed",
        ),
    ];
    for (name, token, code) in bad_tokens(&zoe, &gone) {
        let bad = Person { token, ..zoe.clone() };
        rows.push(row(name, Method::GET, "/orders", &bad, Sent::Nothing, 401, code));
    }
    let mut socket =
        row("a page from elsewhere", Method::GET, "", &mia, Sent::Nothing, 403, "origin_refused")
            .header("origin", "https://evil.example")
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    socket.path = format!("/ws/notifications/{business}");
    rows.push(socket);
    let mut wrong = Vec::new();
    for row in rows {
        wrong.extend(row.check(&app).await);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
