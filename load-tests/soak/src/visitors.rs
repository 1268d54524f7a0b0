//! Those who come and go: they sign in and out, look things up, post notifications, and send nonsense.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::api::{Call, PASSWORD, refresh, sign_in};
use crate::chance::Chance;
use crate::town::Town;
use crate::wire::{Address, Credential, Socket};

/// People who sign in and out; their accounts are there from the first visit on.
const VISITORS: usize = 20;

/// Addresses that wrong passwords are tried for.
const GUESSED: usize = 50;

/// Longer than the hub waits for a request head (10 s).
const HEAD_WITHIN: Duration = Duration::from_secs(20);

/// What somebody does now and then, and how often a second.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Errand {
    SignInAndOut,
    LookUp,
    Notify,
    Nonsense,
}

impl Errand {
    pub(crate) const ALL: [(Self, f64); 4] =
        [(Self::SignInAndOut, 0.25), (Self::LookUp, 4.0), (Self::Notify, 1.0), (Self::Nonsense, 1.0)];

    fn title(self) -> &'static str {
        match self {
            Self::SignInAndOut => "sign-ins, exchanges of tokens and sign-outs",
            Self::LookUp => "lists, orders, menus and figures read",
            Self::Notify => "notifications posted",
            Self::Nonsense => "bad requests and bad frames, refused as documented",
        }
    }

    /// Runs again and again until the town closes, one errand after the other.
    pub(crate) async fn run(self, town: Arc<Town>, per_second: f64, mut chance: Chance) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(chance.gap(per_second)) => {}
                () = town.closing.cancelled() => return,
            }
            let done = match self {
                Self::SignInAndOut => sign_in_and_out(&town, &mut chance).await,
                Self::LookUp => look_up(&town, &mut chance).await,
                Self::Notify => notify(&town, &mut chance).await,
                Self::Nonsense => nonsense(&town, &mut chance).await,
            };
            match done {
                Ok(()) => town.books(|books| books.did(self.title())),
                Err(error) => town.fault(format!("{self:?}: {error:#}")),
            }
        }
    }
}

async fn sign_in_and_out(town: &Town, chance: &mut Chance) -> Result<()> {
    let api = &town.api;
    let email = format!("visitor-{}-{}@example.org", std::process::id(), chance.below(VISITORS));
    let tokens = match sign_in(api, &email).await {
        Err(refused) if refused.status == Some(401) => {
            let account =
                json!({"email": email, "password": PASSWORD, "role": "customer", "name": "Visitor"});
            api.call(&Call::post("/auth/signup", account), None).await?;
            sign_in(api, &email).await?
        }
        signed_in => signed_in?,
    };
    let tokens = refresh(api, &tokens.refresh_token).await?;
    api.call(&Call::get("/orders?limit=5"), Some(&tokens.access_token)).await?;
    api.call(&Call::post("/auth/logout", json!({})), Some(&tokens.access_token)).await?;
    let after = api.call(&Call::get("/orders?limit=5"), Some(&tokens.access_token)).await;
    ensure!(after.is_err_and(|refused| refused.status == Some(401)), "a token held after signing out");
    Ok(())
}

async fn look_up(town: &Town, chance: &mut Chance) -> Result<()> {
    let place = &town.places[chance.below(town.businesses())];
    let id = &place.id;
    let path = match chance.below(6) {
        0 => format!("/orders?business_id={id}&limit=20"),
        1 => format!("/orders?business_id={id}&status=placed"),
        2 => format!("/businesses/{id}/menu"),
        3 => format!("/businesses/{id}/stats"),
        4 => format!("/businesses/{id}/notifications"),
        _ => format!("/businesses/{id}"),
    };
    place.owner.call(&Call::get(path)).await?;
    Ok(())
}

async fn notify(town: &Town, chance: &mut Chance) -> Result<()> {
    let place = &town.places[chance.below(town.businesses())];
    let message = "The oven is hot. ".repeat(1 + chance.below(20));
    let note = json!({"type": "STAFF", "title": "Oven", "message": message});
    place.owner.call(&Call::post(format!("/businesses/{}/notifications", place.id), note)).await?;
    Ok(())
}

async fn nonsense(town: &Town, chance: &mut Chance) -> Result<()> {
    let api = &town.api;
    let customer = town.customers[0].token().await?;
    let json_body = |path: &str, body: String| {
        api.raw(Method::POST, path).header(CONTENT_TYPE, "application/json").body(body)
    };
    let (what, request, wanted): (_, _, &[u16]) = match chance.below(12) {
        0 => ("half a JSON", json_body("/api/v1/auth/login", "{".to_owned()), &[400]),
        1 => ("no such token", api.raw(Method::GET, "/api/v1/orders").bearer_auth("nonsense"), &[401]),
        2 => ("no such path", api.raw(Method::GET, "/nowhere"), &[404]),
        3 => ("no such method", api.raw(Method::DELETE, "/api/v1/orders"), &[405]),
        4 => {
            let order = json!({"business_id": "biz_nonsense", "fulfilment": "pickup", "payment": "cash", "items": []});
            (
                "an order of nothing",
                json_body("/api/v1/orders", order.to_string()).bearer_auth(&customer),
                &[422],
            )
        }
        5 => ("text for JSON", api.raw(Method::POST, "/api/v1/auth/login").body("hello"), &[415]),
        6 => {
            let body = format!("{{\"email\":\"{}\"}}", "x".repeat(2 << 20));
            ("a body that is too large", json_body("/api/v1/auth/login", body), &[413])
        }
        7 => {
            let email = format!("nobody-{}@example.org", chance.below(GUESSED));
            let login = json!({"email": email, "password": "guessed, and wrong"});
            ("a wrong password", json_body("/api/v1/auth/login", login.to_string()), &[401, 429])
        }
        8 => return three_bad_frames(town).await,
        9 => return frame_too_big(town).await,
        10 => return garbage(town).await,
        _ => return half_a_request(town).await,
    };
    let status = request.send().await?.status().as_u16();
    ensure!(wanted.contains(&status), "{what} got {status}, not one of {wanted:?}");
    Ok(())
}

async fn open(town: &Town) -> Result<Socket> {
    let place = &town.places[0];
    Socket::open(&place.owner, &Address::business(&place.id), None, Credential::Ticket, None).await
}

async fn three_bad_frames(town: &Town) -> Result<()> {
    let mut socket = open(town).await?;
    for _ in 0..3 {
        socket.send(&json!({"type": "nonsense"})).await?;
    }
    let code = socket.drain().await?;
    ensure!(code == Some(1008), "three bad frames were closed with {code:?}");
    Ok(())
}

async fn frame_too_big(town: &Town) -> Result<()> {
    let mut socket = open(town).await?;
    // The rest of it may find the connection closed already.
    let _ = socket.send_text("x".repeat(80 * 1024)).await;
    let code = socket.drain().await?;
    ensure!(code.is_none_or(|code| code == 1009), "a frame of 80 KiB was closed with {code:?}");
    Ok(())
}

async fn garbage(town: &Town) -> Result<()> {
    let mut stream = TcpStream::connect(town.api.address()).await?;
    stream.write_all(b"\x16\x03\x01 this is no HTTP \r\n\r\n").await?;
    until_closed(&mut stream).await.context("garbage")
}

/// The rest of the head never comes: the hub gives the connection up.
async fn half_a_request(town: &Town) -> Result<()> {
    let mut stream = TcpStream::connect(town.api.address()).await?;
    stream.write_all(b"GET /api/v1/orders HTTP/1.1\r\nHost: hub\r\nX-Half: ").await?;
    until_closed(&mut stream).await.context("half a request")
}

async fn until_closed(stream: &mut TcpStream) -> Result<()> {
    let mut buffer = [0; 1024];
    let reading = async { while matches!(stream.read(&mut buffer).await, Ok(1..)) {} };
    tokio::time::timeout(HEAD_WITHIN, reading).await.context("the connection was not closed")
}
