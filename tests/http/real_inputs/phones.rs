//! Telephone numbers as people of many countries write them, and as devices paste them.

use serde_json::json;

use crate::support::{StoreKind, TestApp, order_body};
use crate::{fields, with};

crate::on_both_stores!(a_telephone_number_is_taken_as_written_unless_nobody_could_call_it);

/// What is sent, and what is kept of it.
const GOOD: &[(&str, &str)] = &[
    ("06.12.34.56.78", "06.12.34.56.78"),
    ("+33 6 12 34 56 78", "+33 6 12 34 56 78"),
    ("030/12345-67", "030/12345-67"),
    ("+49 (0)30 123 45 67", "+49 (0)30 123 45 67"),
    ("0049170 / 123 45 67", "0049170 / 123 45 67"),
    ("+351\u{a0}21\u{a0}000\u{a0}00\u{a0}00", "+351\u{a0}21\u{a0}000\u{a0}00\u{a0}00"),
    ("+41\u{202f}44\u{202f}668\u{202f}18\u{202f}00", "+41\u{202f}44\u{202f}668\u{202f}18\u{202f}00"),
    ("020–7946–0018", "020–7946–0018"),
    ("(555) 010‑9999 ext 3", "(555) 010‑9999 ext 3"),
    ("1-800-555-0199 x12", "1-800-555-0199 x12"),
    ("tel:+1-202-555-0143", "tel:+1-202-555-0143"),
    ("\u{202a}+49 170 1234567\u{202c}", "+49 170 1234567"),
    ("\u{200e}+972 50-123-4567\u{200e}", "+972 50-123-4567"),
    ("\u{feff}+44 20 7946 0018", "+44 20 7946 0018"),
    ("  +39 06 1234567\n", "+39 06 1234567"),
    ("٠١٠١٢٣٤٥٦٧٨", "٠١٠١٢٣٤٥٦٧٨"),
    ("۰۹۱۲۳۴۵۶۷۸۹", "۰۹۱۲۳۴۵۶۷۸۹"),
    ("+९१ ९८७६५ ४३२१०", "+९१ ९८७६५ ४३२१०"),
    ("০১৭১২৩৪৫৬৭৮", "০১৭১২৩৪৫৬৭৮"),
    ("๐๘๑ ๒๓๔ ๕๖๗๘", "๐๘๑ ๒๓๔ ๕๖๗๘"),
    ("０９０－１２３４－５６７８", "０９０－１２３４－５６７８"),
    ("8 (912) 345-67-89", "8 (912) 345-67-89"),
    ("+7 912 345 67 89 (Ольга)", "+7 912 345 67 89 (Ольга)"),
    ("+55 11 9 1234-5678", "+55 11 9 1234-5678"),
    ("+86 138 0013 8000", "+86 138 0013 8000"),
    ("+82-10-1234-5678", "+82-10-1234-5678"),
    ("+45 12 34 56 78, bell 3", "+45 12 34 56 78, bell 3"),
    ("+353*1#234", "+353*1#234"),
    ("112", "112"),
    ("0800 FLOWERS", "0800 FLOWERS"),
];

const BAD: &[&str] = &[
    "",
    "12",
    "+()",
    "call me",
    "ring the bell",
    "\u{200e}\u{200e}\u{200e}",
    "123\n456",
    "123\u{2028}456",
    "1\u{0}234",
    "11111111111111111111111111111111111111111111111111111111111111111",
];

async fn a_telephone_number_is_taken_as_written_unless_nobody_could_call_it(kind: StoreKind) {
    let app = TestApp::start(kind).await;
    let (merchant, zoe) = (app.person("merchant", "Mia").await, app.person("customer", "Zoe").await);
    let business = merchant.business(&app).await;
    let place = format!("/businesses/{business}");
    let order =
        |phone: &str| with(order_body(&business), json!({"customer": {"name": "Zoë", "phone": phone}}));
    let mut wrong = Vec::new();
    for (sent, kept) in GOOD {
        let placed = zoe.post(&app, "/orders", &order(sent)).await;
        if placed.status != 201 || placed.json()["customer"]["phone"] != *kept {
            wrong.push(format!("{sent:?}: {}", placed.text));
            continue;
        }
        let path = format!("/orders/{}", placed.json()["id"].as_str().unwrap());
        let read = merchant.get(&app, &path).await.expect(200).json();
        let changed = merchant.patch(&app, &place, &json!({"contact": {"phone": sent}})).await;
        for seen in [&read["customer"]["phone"], &changed.expect(200).json()["contact"]["phone"]] {
            if *seen != *kept {
                wrong.push(format!("{sent:?} became {seen}"));
            }
        }
    }
    for sent in BAD {
        let refused = zoe.post(&app, "/orders", &order(sent)).await;
        let contact = merchant.patch(&app, &place, &json!({"contact": {"phone": sent}})).await;
        for (answer, field) in [(refused, "customer.phone"), (contact, "contact.phone")] {
            if answer.status != 422 || fields(&answer.json()) != [field] {
                wrong.push(format!("{sent:?}: {} {}", answer.status, answer.text));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
