//! Looking for an order by what somebody says at a counter.

use serde_json::json;

use crate::support::{StoreKind, TestApp, order_body};
use crate::{each, with};

crate::on_both_stores!(people_find_orders_by_names_as_they_type_them);

/// Who ordered, and ways to look for them.
const FOUND: [(&str, &[&str]); 24] = [
    ("Zoë Brandt", &["zoe", "zoë", "zoe\u{308}", "ZOE BRA"]),
    ("Zoe\u{308} Decomposed", &["zoë deco", "zoe deco"]),
    ("Νίκος Νικοσάκης", &["ΝΙΚΟΣ", "νικος", "νικοσ", "νικοσακης"]),
    ("Anna Straße", &["strasse", "STRASSE", "straße"]),
    ("Patrick O'Brien", &["obrien", "o'brien", "o’brien", "brien"]),
    ("Jürgen Müller", &["muller", "müller", "JURGEN mul"]),
    ("Łukasz Żółć", &["lukasz", "łukasz", "zolc"]),
    ("Nguyễn Thị Ánh", &["nguyen", "nguyễn", "thi anh"]),
    ("Mr ﬁsh", &["fish", "ﬁsh"]),
    ("王小龍", &["王", "小龍", "王小龍"]),
    ("山田 たろう", &["山田", "たろう", "たろ"]),
    ("김민준", &["김민준", "김민"]),
    ("İpek Işık", &["ipek", "IPEK", "isik", "ışık"]),
    ("Søren Ærø", &["soren", "aero", "Ærø"]),
    ("Þórður Guðmundsson", &["thordur", "gudmunds", "Þórð"]),
    ("Ёлкина Мария", &["елкина", "ёлкина", "МАРИЯ"]),
    ("فاطِمة أحمد", &["فاطمه", "فاطمة", "احمد"]),
    ("کریم رضایی", &["كريم", "کریم"]),
    ("שָׁלוֹם כהן", &["שלום", "כהן"]),
    ("हिन्दी नाम", &["हिन्दी", "नाम"]),
    ("สมชาย ใจดี", &["สมชาย", "ใจ"]),
    ("Ann-Marie Smith", &["ann marie", "ann-marie", "marie"]),
    ("Renée D’Angelo", &["renee", "dangelo", "d'angelo", "angelo"]),
    ("José Peña", &["jose pena", "JOSÉ", "pen\u{303}a"]),
];

/// What finds nobody of them.
const NOT_FOUND: [&str; 6] = ["brandtt", "rien", "ller", "龍王子", "🍕", "''"];

async fn people_find_orders_by_names_as_they_type_them(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let merchant = app.person("merchant", "Mia").await;
    let business = merchant.business(&app).await;
    let mut placed = Vec::new();
    for (nth, (name, _)) in FOUND.iter().enumerate() {
        let customer = app.person("customer", &format!("C{nth}")).await;
        let body = with(order_body(&business), json!({"customer": {"name": name}}));
        let order = customer.post(&app, "/orders", &body).await.expect(201).json();
        placed.push(order["id"].as_str().unwrap().to_owned());
    }
    let found = async |text: &str| {
        let text: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
        each(&merchant.get(&app, &format!("/orders?limit=50&q={text}")).await.expect(200).json(), "id")
    };
    for ((name, ways), id) in FOUND.iter().zip(&placed) {
        for text in *ways {
            let ids = found(text).await;
            assert!(ids.contains(id), "{text} finds {name}");
            assert!(ids.len() < 4, "{text} finds few: {}", ids.len());
        }
    }
    for text in NOT_FOUND {
        assert!(found(text).await.is_empty(), "{text} finds nobody");
    }
    for (nth, text) in [(0, "1"), (0, "001"), (8, "9"), (8, "٩"), (19, "020"), (23, "24"), (23, "#24")] {
        assert!(found(text).await.contains(&placed[nth]), "{text} finds order {}", nth + 1);
    }
}
