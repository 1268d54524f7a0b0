//! Names in many scripts, and what only looks like a name.

use serde_json::{Value, json};

use crate::support::{StoreKind, TestApp, order_body};
use crate::{fields, with};

crate::on_both_stores!(names_of_people_are_kept_as_they_are_and_what_nobody_sees_is_refused);

/// Each as one line of a name.
const GOOD: &[&str] = &[
    "Zoë",
    "José Núñez",
    "François L’Écuyer",
    "Nguyễn Thị Ánh",
    "Łukasz Żółć",
    "Strauß",
    "İpek Işık",
    "Ðorđe Đặng",
    "O'Brien <b>&amp;</b>",
    "Ørsted & Åse",
    "Νίκος Νικολαΐδης",
    "Ольга Петрівна",
    "ქეთევანი",
    "Հայկ",
    "王小明",
    "小龍 様",
    "김철수",
    "やまだ　たろう",
    "ﾔﾏﾀﾞ",
    "สมชาย ใจดี",
    "ພອນ",
    "မောင်",
    "प्रकाश क्\u{200d}ष",
    "তানভীর",
    "தமிழ்ச்செல்வி",
    "ಕೃಷ್ಣ",
    "محمد عبد الله",
    "می\u{200c}خواهم",
    "שלמה בן־דוד",
    "\u{200f}דנה (3)\u{200f}",
    "\u{202a}Ana\u{202c}",
    "\u{2068}علي\u{2069} Smith",
    "አበበ",
    "Nān̄ā",
    "e\u{301}milie",
    "👨\u{200d}🍳 Chef",
    "🍕",
    "#1",
];

/// What none of the fields takes, in one line or several.
const BAD: &[&str] = &[
    "",
    "   ",
    "\u{a0}\u{3000}",
    "\u{200b}",
    "\u{200d}\u{200c}",
    "\u{feff}",
    "\u{ad}",
    "\u{2060}\u{180e}",
    "\u{3164}",
    "\u{115f}\u{1160}",
    "\u{ffa0}",
    "\u{2800}\u{2800}",
    "\u{301}",
    "\u{e000}",
    "\u{e0041}\u{e007f}",
    "\u{202e}100#",
    "Ana\u{202d}",
    "Ana\u{2066}",
    "\u{202b}Ana",
    "Ana\u{202c}",
    "Ana\u{2028}Order #999 from Bob",
    "Ana\u{2029}Bob",
    "Ana\u{85}Bob",
    "Ana\u{0}",
    "Ana\u{7f}",
];

async fn names_of_people_are_kept_as_they_are_and_what_nobody_sees_is_refused(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (merchant, zoe) = (app.person("merchant", "Mia").await, app.person("customer", "Zoe").await);
    let business = merchant.business(&app).await;
    let mut wrong = Vec::new();
    for name in GOOD {
        let body = with(
            order_body(&business),
            json!({"customer": {"name": name}, "notes": format!("{name}\n{name}")}),
        );
        let order = zoe.post(&app, "/orders", &body).await;
        if order.status != 201 {
            wrong.push(format!("{name:?}: {}", order.text));
            continue;
        }
        let order = order.json();
        let path = format!("/orders/{}", order["id"].as_str().unwrap());
        let read = merchant.get(&app, &path).await.expect(200).json();
        if read["customer"]["name"] != *name || read["notes"] != format!("{name}\n{name}") {
            wrong.push(format!("{name:?} became {read}"));
        }
    }
    let place = json!({"lat": 0, "lng": 0});
    for name in BAD {
        let order = |changes: Value| with(order_body(&business), changes);
        let tries = [
            ("/orders".to_owned(), order(json!({"customer": {"name": name}})), "customer.name"),
            ("/orders".to_owned(), order(json!({"notes": name})), "notes"),
            (
                "/orders".to_owned(),
                order(
                    json!({"fulfilment": "delivery", "address": with(place.clone(), json!({"text": name}))}),
                ),
                "address.text",
            ),
            ("/businesses".to_owned(), json!({"name": name, "location": place, "currency": "EUR"}), "name"),
            (
                format!("/businesses/{business}/menu/items"),
                json!({"sku": "x", "name": name, "price_minor": 1}),
                "name",
            ),
            (
                format!("/businesses/{business}/menu/items"),
                json!({"sku": "x", "name": "x", "category": name, "price_minor": 1}),
                "category",
            ),
            (
                format!("/businesses/{business}/notifications"),
                json!({"type": "X", "title": name, "message": "x"}),
                "title",
            ),
            (
                format!("/businesses/{business}/notifications"),
                json!({"type": "X", "title": "x", "message": name}),
                "message",
            ),
        ];
        for (path, body, field) in tries {
            let who = if path == "/orders" { &zoe } else { &merchant };
            let answer = who.post(&app, &path, &body).await;
            if answer.status != 422 || fields(&answer.json()) != [field] {
                wrong.push(format!("{name:?} as {field} of {path}: {} {}", answer.status, answer.text));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
