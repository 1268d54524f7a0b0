//! Problem codes, and the RFC 9457 body that carries them.

use serde::Serialize;

use crate::domain::business::Accepts;

macro_rules! problems {
    ($($(#[$doc:meta])* $name:ident => $status:literal, $code:literal, $title:literal;)*) => {
        /// The kinds of refusals over HTTP.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ProblemCode {
            $($(#[$doc])* $name,)*
        }

        impl ProblemCode {
            /// Every code, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The HTTP status.
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }

            /// The stable word that programs act on. No two codes share one.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// One short sentence, the same for every problem of this code.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }
        }
    };
}

problems! {
    /// The syntax of the request is wrong.
    Malformed => 400, "malformed", "The request could not be read";
    /// No credentials, or invalid ones.
    Unauthenticated => 401, "unauthenticated", "Sign in first";
    /// The access token or ticket has expired.
    TokenExpired => 401, "token_expired", "The token has expired";
    /// Wrong e-mail address or wrong password; the answer does not tell which.
    BadCredentials => 401, "bad_credentials", "E-mail or password is wrong";
    /// The refresh token is not valid any more.
    RefreshRefused => 401, "refresh_refused", "The refresh token is not valid any more";
    /// None of the secrets has signed the message, or it is too old.
    BadSignature => 401, "bad_signature", "The signature of the message is not valid";
    /// The role of the caller may not use the route.
    Forbidden => 403, "forbidden", "Not allowed for this role";
    /// The driver is not approved yet.
    DriverPending => 403, "driver_pending", "This driver is not approved yet";
    /// An operator has suspended the account.
    AccountSuspended => 403, "account_suspended", "This account is suspended";
    /// The browser page is of an origin that is not allowed.
    OriginRefused => 403, "origin_refused", "Pages of this origin may not call this hub";
    /// This party may never make the transition, whatever the status of the order.
    NotYourMove => 403, "not_your_move", "You may not make this transition";
    /// It does not exist, or the caller may not see it; the answer does not tell which.
    NotFound => 404, "not_found", "Not found";
    /// The path exists, but not for this method.
    MethodNotAllowed => 405, "method_not_allowed", "This method is not allowed for this path";
    /// The body took too long to arrive.
    RequestTimeout => 408, "request_timeout", "The request took too long to arrive";
    /// Something with this name or address exists.
    AlreadyExists => 409, "already_exists", "It exists already";
    /// The order table has no such transition from the present status.
    MoveForbidden => 409, "move_forbidden", "The order cannot make this transition from its present status";
    /// The version in the body is not the present one.
    StaleVersion => 409, "stale_version", "The order has changed since that version";
    /// The first request with this idempotency key is not answered yet.
    InFlight => 409, "request_in_flight", "The first request with this key is not finished yet";
    /// The business takes no orders until a known time.
    BusinessPaused => 409, "business_paused", "The business is paused";
    /// The business takes no orders until a member opens it.
    BusinessClosed => 409, "business_closed", "The business is closed";
    /// The business does not offer this way of getting or paying an order, or does not deliver that far.
    NotOffered => 409, "not_offered", "The business does not offer this";
    /// Operators have stopped new orders there for a time.
    OrdersHeld => 409, "orders_held", "No new orders are taken for now";
    /// The order is past the point at which this caller may change it.
    ChangeForbidden => 409, "change_forbidden", "The order cannot be changed like this in its present status";
    /// The order does not wait for an answer, so that nothing rings.
    NotRinging => 409, "not_ringing", "The order does not wait for an answer";
    /// The last owner of a business cannot leave or become staff.
    LastOwner => 409, "last_owner", "A business keeps at least one owner";
    /// The total in the request is not the one of the menu.
    PriceChanged => 409, "price_changed", "The price has changed";
    /// There are prices or orders in the present currency, so it cannot change.
    CurrencyInUse => 409, "currency_in_use", "The currency is in use";
    /// Operators hold something in the present zone or the new one, so the zone cannot change.
    ZoneHeld => 409, "zone_held", "The zone cannot change for now";
    /// The most of this kind exist already.
    LimitReached => 409, "limit_reached", "The most that are allowed exist already";
    /// The order is paid, or its money has gone back.
    AlreadyPaid => 409, "already_paid", "The order is paid already";
    /// The order cannot be paid this way, or not any more.
    NotPayable => 409, "not_payable", "The order does not wait for such a payment";
    /// Nothing of the order was captured.
    NothingPaid => 409, "nothing_paid", "Nothing was paid that could go back";
    /// Less is left of what was paid.
    RefundTooLarge => 409, "refund_too_large", "Less than that is left to give back";
    /// The order ended too long ago.
    RefundTooLate => 409, "refund_too_late", "The order ended too long ago";
    /// The refund is in a state in which that cannot be done.
    RefundNotNow => 409, "refund_not_now", "This cannot be done with the refund in its present state";
    /// Another driver has the delivery.
    OfferTaken => 409, "offer_taken", "Another driver was faster";
    /// The time of the offer is over.
    OfferExpired => 409, "offer_expired", "The offer has expired";
    /// The hub took the offer back, or its driver had declined it.
    OfferWithdrawn => 409, "offer_withdrawn", "The offer is not open any more";
    /// The driver has accepted the offer, so that it cannot be declined.
    OfferAccepted => 409, "offer_accepted", "The offer is accepted already";
    /// The driver carries as much as they may.
    OverCapacity => 409, "over_capacity", "The driver carries as much as they may";
    /// No zone of the driver is approved.
    NoZone => 409, "no_zone", "No zone to work in is approved yet";
    /// The step does not follow from where the delivery stands.
    StepForbidden => 409, "step_forbidden", "The delivery cannot take this step now";
    /// The code is not the customer's.
    WrongCode => 409, "wrong_code", "The code is not the one of this delivery";
    /// The step needs a proof.
    ProofNeeded => 409, "proof_needed", "The step needs a proof";
    /// The customer has more time.
    TooEarly => 409, "too_early", "The customer has more time";
    /// The delivery is with nobody, under way, or has ended.
    DeliveryNotNow => 409, "delivery_not_now", "This cannot be done with the delivery as it stands";
    /// No driver is searched for the order.
    NotSearched => 409, "not_searched", "No driver is searched for this order";
    /// The version in `If-Match` is not the present one.
    PreconditionFailed => 412, "precondition_failed", "The order has changed since that version";
    /// The body is over the limit of the route.
    TooLarge => 413, "too_large", "The body is too large";
    /// The body is not declared as JSON.
    UnsupportedMediaType => 415, "unsupported_media_type", "Send application/json";
    /// The `Host` of the request is not one of this hub.
    Misdirected => 421, "misdirected", "This hub has another name";
    /// Fields with bad values; the problem names all of them.
    Invalid => 422, "invalid", "Some fields are not valid";
    /// This hub takes no online payments.
    PaymentUnavailable => 422, "payment_unavailable", "This payment method is not available";
    /// The idempotency key belongs to another request.
    IdempotencyMismatch => 422, "idempotency_mismatch", "This idempotency key was used for another request";
    /// A request without an upgrade for a path of WebSockets.
    UpgradeRequired => 426, "upgrade_required", "This path is for WebSocket connections";
    /// The change does not name the version it was decided on.
    VersionRequired => 428, "version_required", "Name the version you want to change";
    /// The quota is used up.
    TooManyRequests => 429, "too_many_requests", "Too many requests";
    /// As many orders of the customer as may wait there for an answer do so.
    TooManyOpenOrders => 429, "too_many_open_orders", "Too many orders wait for an answer";
    /// The head of the request is over the limit.
    HeadTooLarge => 431, "head_too_large", "The head of the request is too large";
    /// A fault of the hub; the log has the cause under the request id.
    Internal => 500, "internal", "An error happened in the hub";
    /// Overload, or the store does not answer. Nothing happened.
    Unavailable => 503, "unavailable", "Unavailable now, try again";
    /// The outcome was not known in time: it may have happened.
    OutcomeUnknown => 503, "outcome_unknown", "The outcome is unknown: it may have happened";
}

/// One field that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct FieldError {
    /// Path of the field, like `items[0].qty`.
    #[schema(example = "items[0].qty")]
    pub field: String,
    /// The problem of the field, as a sentence.
    pub message: String,
}

/// The orders that a business takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct OfferedOrders {
    /// `delivery`, `pickup` and `dine_in`, as far as they are offered.
    #[schema(example = json!(["delivery", "pickup"]))]
    pub fulfilment: Vec<String>,
    /// `online` and `cash`, as far as they are taken.
    #[schema(example = json!(["cash"]))]
    pub payment: Vec<String>,
    /// The farthest address of a delivery, as the crow flies, metres.
    #[schema(example = 8000)]
    pub delivery_radius_m: u32,
}

impl OfferedOrders {
    /// What is accepted, in words.
    pub fn of(accepts: &Accepts) -> Self {
        Self {
            fulfilment: accepts.fulfilment.iter().map(|one| one.as_str().to_owned()).collect(),
            payment: accepts.payment.iter().map(|one| one.as_str().to_owned()).collect(),
            delivery_radius_m: accepts.delivery_radius_m,
        }
    }
}

/// An RFC 9457 problem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Problem {
    /// The URI of the code: `urn:bellhop:problem:<code>`.
    #[serde(rename = "type")]
    #[schema(example = "urn:bellhop:problem:not_found")]
    pub kind: String,
    /// One short sentence, the same for every problem of this code.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// The cause this time, and the remedy.
    pub detail: String,
    /// The stable word that programs act on.
    pub code: String,
    /// Every field that was refused.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub errors: Vec<FieldError>,
    /// With `move_forbidden`: the statuses this caller may move the order to. With `step_forbidden`: the steps it may report.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed: Option<Vec<String>>,
    /// With `stale_version` and `precondition_failed`: the present version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_version: Option<i64>,
    /// With `stale_version` and `precondition_failed`: the present status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_status: Option<String>,
    /// With `price_changed`: the present total of the order, in minor units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_minor: Option<i64>,
    /// With `price_changed`: the currency of that total (ISO 4217).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// With `refund_too_large`: what can go back, in minor units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_minor: Option<i64>,
    /// With `wrong_code`: how often a code can still be tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tries_left: Option<u8>,
    /// With `proof_needed`: `code`, `photo`, or `either` of both.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proof: Option<String>,
    /// With `too_early`: from then on it can be done; RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// With `not_offered`: the orders that the business takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offered: Option<OfferedOrders>,
    /// The id of the request, under which it is found in the log.
    pub request_id: String,
}

impl Problem {
    /// A problem of this code. The request id is empty until the middleware fills it in.
    pub fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:bellhop:problem:{}", code.as_str()),
            title: code.title().to_owned(),
            status: code.status(),
            detail: detail.into(),
            code: code.as_str().to_owned(),
            errors: Vec::new(),
            allowed: None,
            current_version: None,
            current_status: None,
            total_minor: None,
            currency: None,
            left_minor: None,
            tries_left: None,
            proof: None,
            until: None,
            offered: None,
            request_id: String::new(),
        }
    }
}

/// The codes as Markdown; `docs/protocol.md` contains them, and a test compares.
pub fn to_markdown() -> String {
    let mut out = String::from("| status | code | meaning |\n| --- | --- | --- |\n");
    for p in ProblemCode::ALL {
        out.push_str(&format!("| {} | `{}` | {} |\n", p.status(), p.as_str(), p.title()));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_problem_codes_are_these() {
        let docs = include_str!("../../docs/protocol.md");
        assert!(
            docs.contains(&to_markdown()),
            "docs/protocol.md must contain this table:\n{}",
            to_markdown()
        );
    }
}
