//! Clients that come and go: they sign in and out, read, post notifications, and send bad requests.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bellhop_client::{Credential, Request, Rng, Room, Socket, Tokens};
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::scenario::{PASSWORD, Scenario, new_account};

/// People who sign in and out; their accounts are there from the first visit on.
const VISITORS: usize = 20;

/// Addresses that wrong passwords are tried for.
const GUESSED: usize = 50;

/// Longer than the hub waits for a request head (10 s).
const HEAD_WITHIN: Duration = Duration::from_secs(20);

/// An activity of short sessions, and its rate a second.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Activity {
    SignInAndOut,
    LookUp,
    Notify,
    Nonsense,
}

impl Activity {
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

    /// Runs again and again until the scenario closes, one after the other.
    pub(crate) async fn run(self, scenario: Arc<Scenario>, per_second: f64, mut rng: Rng) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(rng.gap(per_second)) => {}
                () = scenario.closing.cancelled() => return,
            }
            let done = match self {
                Self::SignInAndOut => sign_in_and_out(&scenario, &mut rng).await,
                Self::LookUp => look_up(&scenario, &mut rng).await,
                Self::Notify => notify(&scenario, &mut rng).await,
                Self::Nonsense => nonsense(&scenario, &mut rng).await,
            };
            match done {
                Ok(()) => scenario.ledger(|ledger| ledger.did(self.title())),
                Err(error) => scenario.fault(format!("{self:?}: {error:#}")),
            }
        }
    }
}

async fn sign_in_and_out(scenario: &Scenario, rng: &mut Rng) -> Result<()> {
    let client = &scenario.client;
    let email = format!("visitor-{}-{}@example.org", std::process::id(), rng.below(VISITORS));
    let tokens = match Tokens::sign_in(client, &email, PASSWORD, None).await {
        Err(refused) if refused.status() == Some(401) => {
            new_account(email.clone(), "customer", "Visitor").sign_up(client).await?;
            Tokens::sign_in(client, &email, PASSWORD, None).await?
        }
        signed_in => signed_in?,
    };
    let tokens = tokens.refresh(client).await?;
    client.call(&Request::get("/orders?limit=5"), Some(&tokens.access_token)).await?;
    client.call(&Request::post("/auth/logout", json!({})), Some(&tokens.access_token)).await?;
    let after = client.call(&Request::get("/orders?limit=5"), Some(&tokens.access_token)).await;
    ensure!(after.is_err_and(|refused| refused.status() == Some(401)), "a token held after signing out");
    Ok(())
}

async fn look_up(scenario: &Scenario, rng: &mut Rng) -> Result<()> {
    let business = &scenario.businesses[rng.below(scenario.business_count())];
    let id = &business.id;
    let path = match rng.below(6) {
        0 => format!("/orders?business_id={id}&limit=20"),
        1 => format!("/orders?business_id={id}&status=placed"),
        2 => format!("/businesses/{id}/menu"),
        3 => format!("/businesses/{id}/stats"),
        4 => format!("/businesses/{id}/notifications"),
        _ => format!("/businesses/{id}"),
    };
    business.owner.call(&Request::get(path)).await?;
    Ok(())
}

async fn notify(scenario: &Scenario, rng: &mut Rng) -> Result<()> {
    let business = &scenario.businesses[rng.below(scenario.business_count())];
    let message = "The oven is hot. ".repeat(1 + rng.below(20));
    let note = json!({"type": "STAFF", "title": "Oven", "message": message});
    business.owner.call(&Request::post(format!("/businesses/{}/notifications", business.id), note)).await?;
    Ok(())
}

async fn nonsense(scenario: &Scenario, rng: &mut Rng) -> Result<()> {
    let client = &scenario.client;
    let customer = scenario.customers[0].token().await?;
    let json_body = |path: &str, body: String| {
        client.raw(Method::POST, path).header(CONTENT_TYPE, "application/json").body(body)
    };
    let (what, request, wanted): (_, _, &[u16]) = match rng.below(12) {
        0 => ("half a JSON", json_body("/api/v1/auth/login", "{".to_owned()), &[400]),
        1 => ("no such token", client.raw(Method::GET, "/api/v1/orders").bearer_auth("nonsense"), &[401]),
        2 => ("no such path", client.raw(Method::GET, "/nowhere"), &[404]),
        3 => ("no such method", client.raw(Method::DELETE, "/api/v1/orders"), &[405]),
        4 => {
            let order = json!({"business_id": "biz_nonsense", "fulfilment": "pickup", "payment": "cash", "items": []});
            (
                "an order of nothing",
                json_body("/api/v1/orders", order.to_string()).bearer_auth(&customer),
                &[422],
            )
        }
        5 => ("text for JSON", client.raw(Method::POST, "/api/v1/auth/login").body("hello"), &[415]),
        6 => {
            let body = format!("{{\"email\":\"{}\"}}", "x".repeat(2 << 20));
            ("a body that is too large", json_body("/api/v1/auth/login", body), &[413])
        }
        7 => {
            let email = format!("nobody-{}@example.org", rng.below(GUESSED));
            let login = json!({"email": email, "password": "guessed, and wrong"});
            ("a wrong password", json_body("/api/v1/auth/login", login.to_string()), &[401, 429])
        }
        8 => return three_bad_frames(scenario).await,
        9 => return frame_too_big(scenario).await,
        10 => return garbage(scenario).await,
        _ => return half_a_request(scenario).await,
    };
    let status = request.send().await?.status().as_u16();
    ensure!(wanted.contains(&status), "{what} got {status}, not one of {wanted:?}");
    Ok(())
}

async fn open(scenario: &Scenario) -> Result<Socket> {
    let business = &scenario.businesses[0];
    Ok(Socket::open(&business.owner, &Room::business(&business.id), None, Credential::Ticket, None).await?)
}

async fn three_bad_frames(scenario: &Scenario) -> Result<()> {
    let mut socket = open(scenario).await?;
    for _ in 0..3 {
        socket.send(&json!({"type": "nonsense"})).await?;
    }
    let code = socket.drain().await?;
    ensure!(code == Some(1008), "three bad frames were closed with {code:?}");
    Ok(())
}

async fn frame_too_big(scenario: &Scenario) -> Result<()> {
    let mut socket = open(scenario).await?;
    // The rest of it may find the connection closed already.
    let _ = socket.send_text("x".repeat(80 * 1024)).await;
    let code = socket.drain().await?;
    ensure!(code.is_none_or(|code| code == 1009), "a frame of 80 KiB was closed with {code:?}");
    Ok(())
}

async fn garbage(scenario: &Scenario) -> Result<()> {
    let mut stream = TcpStream::connect(scenario.client.address()).await?;
    stream.write_all(b"\x16\x03\x01 this is no HTTP \r\n\r\n").await?;
    until_closed(&mut stream).await.context("garbage")
}

/// The rest of the head never comes: the hub gives the connection up.
async fn half_a_request(scenario: &Scenario) -> Result<()> {
    let mut stream = TcpStream::connect(scenario.client.address()).await?;
    stream.write_all(b"GET /api/v1/orders HTTP/1.1\r\nHost: hub\r\nX-Half: ").await?;
    until_closed(&mut stream).await.context("half a request")
}

async fn until_closed(stream: &mut TcpStream) -> Result<()> {
    let mut buffer = [0; 1024];
    let reading = async { while matches!(stream.read(&mut buffer).await, Ok(1..)) {} };
    tokio::time::timeout(HEAD_WITHIN, reading).await.context("the connection was not closed")
}
