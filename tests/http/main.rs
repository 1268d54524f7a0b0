//! The HTTP API over real connections.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../support/mod.rs"]
mod support;

mod access;
mod accounts;
mod answers;
mod at_rest;
mod bad_input;
mod body_heads;
mod businesses;
mod changes;
mod command_line;
mod connections;
mod deliveries;
mod documentation;
mod documented_bodies;
mod holds;
mod idempotency;
#[cfg(target_os = "linux")]
mod keep_alive;
mod limits;
mod nesting;
mod ordering;
mod orders;
mod origins;
mod pauses;
mod payments;
mod protection;
mod quotas;
mod real_inputs;
mod restore;
mod route_facts;
mod series;
mod sessions;
mod surroundings;
mod suspensions;
mod transports;
mod upkeep;

use bellhop::auth::token::{TokenKey, TokenSettings, Tokens};
use serde_json::{Value, json};
use support::{Answer, Person, TestApp};

/// Signs the tokens of hubs that are to be shown tokens they did not make.
const SECRET: &str = "a secret of the tests, 32 bytes at least";

fn tokens(secret: &str, settings: TokenSettings) -> Tokens {
    Tokens::new(TokenKey::hs256(secret.as_bytes()).unwrap(), settings)
}

/// The fields a problem names.
fn fields(problem: &Value) -> Vec<String> {
    let errors = problem["errors"].as_array().into_iter().flatten();
    errors.map(|error| error["field"].as_str().expect("a field has a name").to_owned()).collect()
}

/// One field of each entry of a list.
fn each(list: &Value, field: &str) -> Vec<String> {
    let items = list["items"].as_array().expect("a list has items");
    items.iter().map(|item| item[field].as_str().expect("a text").to_owned()).collect()
}

/// A header as text; empty when it is absent.
fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.headers.get(name).map_or("", |value| value.to_str().expect("a header of the hub is ASCII"))
}

/// Everything that was told in a room.
async fn history(app: &TestApp, who: &Person, room: &str) -> Answer {
    let path = format!("/rooms/{room}/events");
    let head = who.get(app, &path).await.expect(200).json();
    let (epoch, _) =
        head["cursor"].as_str().expect("a cursor").split_once('.').expect("an epoch and a number");
    who.get(app, &format!("{path}?cursor={epoch}.0")).await.expect(200)
}

/// `base` with the fields of `changes` put in; `null` takes a field out.
fn with(mut base: Value, changes: Value) -> Value {
    let (Value::Object(fields), Value::Object(changes)) = (&mut base, changes) else { return base };
    for (name, value) in changes {
        if value.is_null() {
            fields.remove(&name)
        } else {
            fields.insert(name, value)
        };
    }
    base
}

/// Sends a body without signing in.
async fn anonymous(app: &TestApp, path: &str, body: &Value) -> Answer {
    Answer::of(app.http.post(app.url(&format!("/api/v1{path}"))).json(body)).await
}

/// A body for `POST /auth/login`.
fn login(email: &str, password: &str) -> Value {
    json!({"email": email, "password": password})
}
