//! The payment provider, as far as it talks to the hub: by signed messages.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bellhop_client::{Answer, Client};
use reqwest::Method;
use secrecy::SecretString;

use crate::auth::webhook_signature::WebhookSecrets;

/// Times that a message is sent that the hub has not taken in.
const MAX_SENDS: usize = 60;

/// Pause before it is sent again.
const SEND_AGAIN: Duration = Duration::from_millis(150);

/// The payment provider, as far as it talks to the hub.
#[derive(Debug)]
pub(super) struct Provider {
    clients: Vec<Client>,
    sent: AtomicUsize,
    secrets: WebhookSecrets,
}

impl Provider {
    /// The provider of the hubs that these clients call in turn, with the secret that both know.
    pub(super) fn new(clients: Vec<Client>, secret: &SecretString) -> Self {
        Self {
            clients,
            sent: AtomicUsize::new(0),
            secrets: WebhookSecrets::new(std::slice::from_ref(secret)),
        }
    }

    /// Sends a message until the hub has taken it in.
    pub(super) async fn tell(&self, message: &str) -> Result<(), String> {
        let signature = self.secrets.sign(message.as_bytes()).unwrap_or_default();
        let mut last = String::new();
        for _ in 0..MAX_SENDS {
            let client = &self.clients[self.sent.fetch_add(1, Ordering::Relaxed) % self.clients.len()];
            let request = client.raw(Method::POST, "/api/v1/payments/webhook");
            let request =
                request.header("x-signature", &signature).header("content-type", "application/json");
            let answer = match request.body(message.to_owned()).send().await {
                Ok(response) => Answer::read(response).await,
                Err(error) => Err(error),
            };
            match answer {
                Ok(answer) if answer.status.is_success() => return Ok(()),
                Ok(answer) => last = format!("{} {}", answer.status, answer.text),
                Err(error) => last = error.to_string(),
            }
            tokio::time::sleep(SEND_AGAIN).await;
        }
        Err(format!("a message of the provider: {last}"))
    }
}
