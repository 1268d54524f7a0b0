//! A payment provider that is called over HTTP.

use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::AUTHORIZATION;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::domain::ids::{PaymentId, RefundId};
use crate::domain::money::Currency;
use crate::domain::payment::RefundAnswer;

use super::provider::{
    OpenPayment, OpenedPayment, PaymentProvider, ProviderError, ProviderPayment, SendRefund,
};
use super::settings::PaymentSettings;

/// A call without an answer by then has none.
const CALL_WITHIN: Duration = Duration::from_secs(10);

/// Longest wait for a connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);

/// Largest answer that is read.
const ANSWER_BYTES: usize = 64 * 1024;

/// Longest reference and address of a provider that are kept.
const REFERENCE_CHARS: usize = 200;
const REDIRECT_CHARS: usize = 2_000;

/// The provider at an address.
pub(super) struct HttpProvider {
    client: Client,
    url: String,
    api_key: SecretString,
}

/// How a provider says that a payment stands.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum PaymentWord {
    /// The customer can still pay.
    Open,
    /// It is captured.
    Captured,
    /// Nobody can pay it any more.
    Closed,
}

/// How a provider says that a refund stands.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum RefundWord {
    /// It works on it.
    Pending,
    /// The money has gone back.
    Succeeded,
    /// It did not work, and will not.
    Failed,
}

#[derive(Deserialize)]
struct Opened {
    #[serde(default)]
    reference: Option<String>,
    redirect_url: String,
}

#[derive(Deserialize)]
struct PaymentState {
    status: PaymentWord,
    #[serde(default)]
    amount_minor: Option<i64>,
    #[serde(default)]
    currency: Option<String>,
}

#[derive(Deserialize)]
struct RefundState {
    status: RefundWord,
    #[serde(default)]
    reference: Option<String>,
}

impl HttpProvider {
    /// The provider that these settings name.
    ///
    /// # Errors
    /// When there can be no client.
    pub(super) fn new(settings: &PaymentSettings) -> Result<Self, String> {
        let client = Client::builder()
            .timeout(CALL_WITHIN)
            .connect_timeout(CONNECT_WITHIN)
            // A call goes to the address that the operator has given, with its key, and nowhere else.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| error.to_string())?;
        let url = settings.url.trim_end_matches('/').to_owned();
        Ok(Self { client, url, api_key: settings.api_key.clone() })
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let authorization = format!("Bearer {}", self.api_key.expose_secret());
        self.client.request(method, format!("{}{path}", self.url)).header(AUTHORIZATION, authorization)
    }

    fn post(&self, path: &str, key: &str, body: &Value) -> RequestBuilder {
        self.request(Method::POST, path).header("Idempotency-Key", key).json(body)
    }

    async fn opened(&self, payment: &OpenPayment, capture: bool) -> Result<OpenedPayment, ProviderError> {
        let key = payment.payment.to_string();
        let mut body = json!({
            "payment_id": key, "order_id": payment.order, "amount_minor": payment.amount_minor,
            "currency": payment.currency,
        });
        if !capture {
            body["capture"] = false.into();
        }
        let opened: Opened = answer(self.post("/payments", &key, &body)).await?;
        if opened.redirect_url.len() > REDIRECT_CHARS || !is_web_address(&opened.redirect_url) {
            return Err(ProviderError::Unknown("its redirect_url is no address".to_owned()));
        }
        Ok(OpenedPayment { reference: reference(opened.reference), redirect_url: opened.redirect_url })
    }

    async fn payment_at(&self, request: RequestBuilder) -> Result<ProviderPayment, ProviderError> {
        Ok(match found::<PaymentState>(request).await? {
            None => ProviderPayment::Unknown,
            Some(state) => match state.status {
                PaymentWord::Open => ProviderPayment::Open,
                PaymentWord::Closed => ProviderPayment::Closed,
                PaymentWord::Captured => ProviderPayment::Captured {
                    amount_minor: state.amount_minor,
                    currency: currency(state.currency)?,
                },
            },
        })
    }
}

#[async_trait]
impl PaymentProvider for HttpProvider {
    async fn open(&self, payment: &OpenPayment) -> Result<OpenedPayment, ProviderError> {
        self.opened(payment, true).await
    }

    async fn payment(&self, id: PaymentId) -> Result<ProviderPayment, ProviderError> {
        self.payment_at(self.request(Method::GET, &format!("/payments/{id}"))).await
    }

    async fn void(&self, id: PaymentId) -> Result<ProviderPayment, ProviderError> {
        let (path, key) = (format!("/payments/{id}/void"), format!("{id}.void"));
        self.payment_at(self.post(&path, &key, &json!({}))).await
    }

    async fn authorise(&self, payment: &OpenPayment) -> Result<OpenedPayment, ProviderError> {
        self.opened(payment, false).await
    }

    async fn capture(&self, id: PaymentId, amount_minor: i64) -> Result<ProviderPayment, ProviderError> {
        let (path, key) = (format!("/payments/{id}/capture"), format!("{id}.capture"));
        self.payment_at(self.post(&path, &key, &json!({ "amount_minor": amount_minor }))).await
    }

    async fn refund(&self, refund: &SendRefund) -> Result<RefundAnswer, ProviderError> {
        let body = json!({
            "refund_id": refund.refund, "payment_id": refund.payment, "amount_minor": refund.amount_minor,
            "currency": refund.currency,
        });
        Ok(refund_answer(answer(self.post("/refunds", &refund.key, &body)).await?))
    }

    async fn refund_state(&self, id: RefundId) -> Result<Option<RefundAnswer>, ProviderError> {
        let state = found(self.request(Method::GET, &format!("/refunds/{id}"))).await?;
        Ok(state.map(refund_answer))
    }
}

fn refund_answer(state: RefundState) -> RefundAnswer {
    let reference = reference(state.reference);
    match state.status {
        RefundWord::Pending => RefundAnswer::Pending { reference },
        RefundWord::Succeeded => RefundAnswer::Done { reference },
        RefundWord::Failed => RefundAnswer::Refused,
    }
}

fn reference(given: Option<String>) -> Option<String> {
    given.map(|text| text.chars().filter(|c| !c.is_control()).take(REFERENCE_CHARS).collect())
}

fn currency(given: Option<String>) -> Result<Option<Currency>, ProviderError> {
    let read = given.map(|code| Currency::stored(&code)).transpose();
    read.map_err(|_| ProviderError::Unknown("its currency is none".to_owned()))
}

/// Clients open it, so it is nothing that runs in their page.
fn is_web_address(text: &str) -> bool {
    reqwest::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "https" | "http") && url.has_host())
}

/// The answer to a call; `None` when the provider knows no such thing.
async fn found<T: DeserializeOwned>(request: RequestBuilder) -> Result<Option<T>, ProviderError> {
    match sent(request).await? {
        (StatusCode::NOT_FOUND, _) => Ok(None),
        (status, body) => read(status, &body).map(Some),
    }
}

/// The answer to a call.
async fn answer<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, ProviderError> {
    let (status, body) = sent(request).await?;
    read(status, &body)
}

async fn sent(request: RequestBuilder) -> Result<(StatusCode, Vec<u8>), ProviderError> {
    let mut response = request.send().await.map_err(|error| {
        // A connection that was not made carried nothing.
        let carried_nothing = error.is_connect();
        let text = error.without_url().to_string();
        if carried_nothing { ProviderError::Unavailable(text) } else { ProviderError::Unknown(text) }
    })?;
    let status = response.status();
    let mut body = Vec::new();
    let unread = |error: reqwest::Error| ProviderError::Unknown(error.without_url().to_string());
    while let Some(part) = response.chunk().await.map_err(unread)? {
        if body.len() + part.len() > ANSWER_BYTES {
            return Err(ProviderError::Unknown("its answer is too long".to_owned()));
        }
        body.extend_from_slice(&part);
    }
    Ok((status, body))
}

fn read<T: DeserializeOwned>(status: StatusCode, body: &[u8]) -> Result<T, ProviderError> {
    match status {
        status if status.is_success() => serde_json::from_slice(body)
            .map_err(|_| ProviderError::Unknown(format!("its answer {status} cannot be read"))),
        // The key is wrong, or there are too many calls: nothing has happened, and an operator or time can help.
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS => {
            Err(ProviderError::Unavailable(format!("it answers {status}")))
        }
        // The same call is under way, or was given up.
        StatusCode::REQUEST_TIMEOUT | StatusCode::CONFLICT | StatusCode::TOO_EARLY => {
            Err(ProviderError::Unknown(format!("it answers {status}")))
        }
        status if status.is_client_error() => Err(ProviderError::Refused(format!("it answers {status}"))),
        status => Err(ProviderError::Unknown(format!("it answers {status}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_that_it_happened_did_not_or_may_have() {
        let read = |status: u16| {
            let status = StatusCode::from_u16(status).unwrap();
            read::<RefundState>(status, br#"{"status":"succeeded","more":1}"#).map(refund_answer)
        };
        assert_eq!(read(201), Ok(RefundAnswer::Done { reference: None }));
        for status in [400, 402, 404, 410, 422] {
            assert!(matches!(read(status), Err(ProviderError::Refused(_))), "{status}");
        }
        for status in [401, 403, 429] {
            assert!(matches!(read(status), Err(ProviderError::Unavailable(_))), "{status}");
        }
        for status in [302, 408, 409, 425, 500, 502, 503, 504] {
            assert!(matches!(read(status), Err(ProviderError::Unknown(_))), "{status}");
        }
    }

    #[test]
    fn an_answer_that_cannot_be_read_says_nothing() {
        for body in ["", "{}", r#"{"status":"refunded"}"#, r#"{"status":1}"#, "<html>"] {
            let read = super::read::<RefundState>(StatusCode::OK, body.as_bytes());
            assert!(matches!(read, Err(ProviderError::Unknown(_))), "{body}");
        }
    }

    #[test]
    fn what_a_provider_says_is_kept_in_its_bounds_and_leads_nowhere_but_to_the_web() {
        let long = "r\n".repeat(REFERENCE_CHARS);
        assert_eq!(reference(Some(long)).unwrap().len(), REFERENCE_CHARS);
        for (address, is_good) in [
            ("https://pay.example/x", true),
            ("http://127.0.0.1/x", true),
            ("javascript:alert(1)", false),
            ("/x", false),
            ("", false),
        ] {
            assert_eq!(is_web_address(address), is_good, "{address}");
        }
        assert!(currency(Some("euro".to_owned())).is_err());
    }
}
