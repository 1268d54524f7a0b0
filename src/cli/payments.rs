//! Messages of the payment provider, sent as it would: for hubs whose provider is simulated.
#![expect(clippy::disallowed_methods, reason = "this file draws new ids")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use crate::auth::webhook_signature::WebhookSecrets;
use crate::config::Settings;
use crate::domain::ids::{OrderId, PaymentMessageId};
use crate::domain::payment::{MoneyWay, NewsStatus, OrderMoney, Payment};
use crate::outbound::ProviderKind;
use crate::storage::StoreError;

use super::database::{self, DatabaseError};

/// The longest wait for the hub's answer.
const TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Debug, Subcommand)]
pub(super) enum Payments {
    /// Tell the hub on this machine what became of an order's payment, by a signed message as the provider would send it
    Simulate(Simulate),
}

#[derive(Debug, Args)]
pub(super) struct Simulate {
    /// What the provider says
    result: Simulated,
    /// The order whose payment it is about, as ord_…
    order: OrderId,
    /// How much, in minor units: what was asked for, or everything that was paid, unless given
    #[arg(long, value_name = "MINOR")]
    amount: Option<i64>,
    /// Port of the hub; the configured one unless given
    #[arg(long)]
    pub(super) port: Option<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Simulated {
    /// The customer has paid
    Success,
    /// The payment was refused
    Failed,
    /// Money has gone back
    Refunded,
    /// A refund did not arrive
    RefundFailed,
}

impl Simulated {
    const fn status(self) -> NewsStatus {
        match self {
            Self::Success => NewsStatus::Success,
            Self::Failed => NewsStatus::Failed,
            Self::Refunded => NewsStatus::Refunded,
            Self::RefundFailed => NewsStatus::RefundFailed,
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum SimulateError {
    #[error("payments.provider is {0}, which sends its own messages; only a simulated one needs this")]
    NotSimulated(ProviderKind),
    #[error("payments.webhook_secrets is empty: nothing can be signed")]
    NoSecret,
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error("the payments could not be read: {0}")]
    Store(#[from] StoreError),
    #[error("no payment of {0} was begun online in {1}; begin one by POST /api/v1/payments/initiate")]
    NoPayment(OrderId, String),
    #[error("the hub did not answer: {0}")]
    NoAnswer(#[from] reqwest::Error),
    #[error("the hub refused the message: {0} {1}")]
    Refused(reqwest::StatusCode, String),
}

pub(super) async fn run(settings: &Settings, command: Payments) -> ExitCode {
    let Payments::Simulate(wanted) = command;
    match simulate(settings, &wanted).await {
        Ok(said) => {
            super::output::print_line(&said);
            ExitCode::SUCCESS
        }
        Err(error) => super::output::fail(&error),
    }
}

async fn simulate(settings: &Settings, wanted: &Simulate) -> Result<String, SimulateError> {
    let payments = &settings.outbound.payments;
    // Whoever has the secrets of a real provider could have orders delivered that nobody paid.
    if payments.provider != ProviderKind::Simulated {
        return Err(SimulateError::NotSimulated(payments.provider));
    }
    let store = database::open_existing(settings).await?;
    let money = store.money_of(wanted.order).await;
    store.close().await;
    let money = money?;
    let status = wanted.result.status();
    let Some(payment) = meant(&money, status) else {
        return Err(SimulateError::NoPayment(wanted.order, database::name(settings)?));
    };
    let body = json!({
        "payment_id": payment.id, "order_id": wanted.order, "status": status, "amount_minor": wanted.amount,
        "currency": payment.currency, "event_id": format!("simulated-{}", PaymentMessageId::generate()),
    })
    .to_string();
    let signature = WebhookSecrets::new(&payments.webhook_secrets).sign(body.as_bytes());
    let signature = signature.ok_or(SimulateError::NoSecret)?;
    let server = &settings.http.server;
    // A hub that listens on every interface is asked on loopback.
    let host = if server.host.is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { server.host };
    let url = format!("http://{}/api/v1/payments/webhook", SocketAddr::new(host, server.port));
    let client = reqwest::Client::builder().timeout(TIMEOUT).no_proxy().build()?;
    let request =
        client.post(url).header("x-signature", signature).header("content-type", "application/json");
    let answer = request.body(body).send().await?;
    let (code, text) = (answer.status(), answer.text().await?);
    if !code.is_success() {
        return Err(SimulateError::Refused(code, text));
    }
    Ok(format!("the hub took in {status} for payment {} of {}", payment.id, wanted.order))
}

/// The payment that a message is about: the open one, else the last one, of those through the provider.
fn meant(money: &OrderMoney, status: NewsStatus) -> Option<&Payment> {
    let mut online = money.payments().iter().filter(|payment| payment.way == MoneyWay::Online);
    match status {
        NewsStatus::Success | NewsStatus::Failed => money.open().or_else(|| online.next_back()),
        NewsStatus::Refunded | NewsStatus::RefundFailed => online.rfind(|payment| payment.captured_minor > 0),
    }
}
