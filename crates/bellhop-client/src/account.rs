//! People who are signed in.

use std::time::{Duration, Instant};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::client::{Client, typed};
use crate::error::CallError;
use crate::request::Request;

/// A token is exchanged this long before it expires: earlier than the hub reminds its sockets of it (60 s).
const RENEW_BEFORE: Duration = Duration::from_secs(90);

/// Tokens of one login session.
#[derive(Clone, Debug, Deserialize)]
pub struct Tokens {
    /// Proves who asks, for `expires_in` seconds.
    pub access_token: String,
    /// Is exchanged for the next pair, once.
    pub refresh_token: String,
    /// Seconds the access token holds.
    pub expires_in: u64,
    #[serde(skip, default = "Instant::now")]
    received: Instant,
}

impl Tokens {
    /// Signs in to an account that exists, on `device` if it is to have an id of its own.
    ///
    /// # Errors
    /// When the hub refuses, or does not answer.
    pub async fn sign_in(
        client: &Client,
        email: &str,
        password: &str,
        device: Option<Value>,
    ) -> Result<Self, CallError> {
        let mut login = json!({"email": email, "password": password});
        if let Some(device) = device {
            login["device"] = device;
        }
        Self::ask(client, Request::post("/auth/login", login)).await
    }

    /// Exchanges the refresh token for new tokens.
    ///
    /// # Errors
    /// When the hub refuses, or does not answer.
    pub async fn refresh(&self, client: &Client) -> Result<Self, CallError> {
        Self::ask(client, Request::post("/auth/refresh", json!({"refresh_token": self.refresh_token}))).await
    }

    async fn ask(client: &Client, request: Request) -> Result<Self, CallError> {
        let answer = client.call(&request, None).await?;
        typed(&request, answer)
    }

    fn expire_soon(&self) -> bool {
        self.received.elapsed() + RENEW_BEFORE > Duration::from_secs(self.expires_in)
    }
}

/// An account to sign up with.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// The address that signs in.
    pub email: String,
    /// Its password.
    pub password: &'static str,
    /// `merchant` or `customer`.
    pub role: &'static str,
    /// The name that others see.
    pub name: String,
    /// The id of the device that signs in; the hub gives one otherwise.
    pub device: Option<String>,
}

impl NewAccount {
    /// Makes the account unless it exists.
    ///
    /// # Errors
    /// When the hub refuses for another reason, or does not answer.
    pub async fn sign_up(&self, client: &Client) -> Result<(), CallError> {
        let Self { email, password, role, name, .. } = self;
        let account = json!({"email": email, "password": password, "role": role, "name": name});
        match client.call(&Request::post("/auth/signup", account), None).await {
            Err(error) if error.status() == Some(409) => Ok(()),
            made => made.map(drop),
        }
    }
}

/// A signed-in account. Its token is exchanged before it expires, by one caller for all.
#[derive(Debug)]
pub struct Account {
    client: Client,
    email: String,
    name: String,
    tokens: Mutex<Tokens>,
}

impl Account {
    /// Makes the account unless it exists, and signs in.
    ///
    /// # Errors
    /// When the hub refuses, or does not answer.
    pub async fn open(client: &Client, account: NewAccount) -> Result<Self, CallError> {
        account.sign_up(client).await?;
        let NewAccount { email, password, name, device, .. } = account;
        let device = device.map(|id| json!({"id": id, "name": name, "platform": "simulated"}));
        let tokens = Tokens::sign_in(client, &email, password, device).await?;
        Ok(Self { client: client.clone(), email, name, tokens: Mutex::new(tokens) })
    }

    /// The client it signed in with.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The address it signs in with.
    pub fn email(&self) -> &str {
        &self.email
    }

    /// The name that others see.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The JSON that answers `request`, as [`Client::call`] in this account's name.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn call(&self, request: &Request) -> Result<Value, CallError> {
        let token = self.token().await?;
        self.client.call(request, Some(&token)).await
    }

    /// The answer to `request` as a value of type `T`.
    ///
    /// # Errors
    /// As [`Client::call`], and when the answer has another shape.
    pub async fn ask<T: DeserializeOwned>(&self, request: &Request) -> Result<T, CallError> {
        typed(request, self.call(request).await?)
    }

    /// An access token that holds for at least 90 seconds.
    ///
    /// # Errors
    /// When it has to be exchanged and the hub refuses, or does not answer.
    pub async fn token(&self) -> Result<String, CallError> {
        let mut tokens = self.tokens.lock().await;
        if tokens.expire_soon() {
            *tokens = tokens.refresh(&self.client).await?;
        }
        Ok(tokens.access_token.clone())
    }
}
