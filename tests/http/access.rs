//! Who may do what: every registered route, every role, and whose object it is about, in one table.

mod fixture;
mod table;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use fixture::Fixture;
use table::{ROLES, Whose, table};

#[test]
fn every_registered_route_is_in_the_table_for_every_object_and_no_other() {
    let document: Value = serde_json::from_str(&bellhop::http::openapi::openapi_json()).unwrap();
    let mut registered: BTreeSet<(String, String)> = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        registered.extend(item.as_object().unwrap().keys().map(|verb| (verb.to_uppercase(), path.clone())));
    }
    let sockets = bellhop::http::sockets::PATTERNS;
    registered.extend(sockets.iter().map(|path| ("WS".to_owned(), (*path).to_owned())));
    let mut tabled: BTreeMap<(String, String), BTreeSet<Whose>> = BTreeMap::new();
    for row in table() {
        let asked = tabled.entry((row.method.to_owned(), row.path.to_owned())).or_default();
        for whose in row.whose {
            assert!(asked.insert(whose), "{} {} twice for {whose:?}", row.method, row.path);
        }
    }
    assert_eq!(tabled.keys().cloned().collect::<BTreeSet<_>>(), registered);
    for ((method, path), asked) in tabled {
        let objects = [Whose::Own, Whose::Other, Whose::Foreign, Whose::Absent];
        let all = path.contains('{').then(|| BTreeSet::from(objects));
        assert!(all.is_none_or(|all| all == asked), "{method} {path} is asked for {asked:?} only");
    }
}

#[tokio::test]
async fn every_route_answers_every_role_as_the_table_says() {
    let world = Fixture::new().await;
    let mut wrong = Vec::new();
    for row in table() {
        for whose in &row.whose {
            for (role, wanted) in ROLES.into_iter().zip(&row.answers) {
                let got = world.ask(&row, *whose, role).await;
                if got != *wanted {
                    wrong.push(format!("{} {} {whose:?} {role}: {got}, not {wanted}", row.method, row.path));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
