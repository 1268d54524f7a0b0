//! Stable error codes and the RFC 9457 body that carries them.

use serde::Serialize;

macro_rules! problems {
    ($($(#[$doc:meta])* $name:ident => $status:literal, $code:literal, $title:literal;)*) => {
        /// Every kind of refusal a client can get, with its HTTP status.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ProblemCode {
            $($(#[$doc])* $name,)*
        }

        impl ProblemCode {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The HTTP status.
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }

            /// The stable word programs act on.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// The same short sentence every time.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }
        }
    };
}

problems! {
    /// Syntax that cannot be read.
    Malformed => 400, "malformed", "The request could not be read";
    /// No credentials, or ones that do not hold.
    Unauthenticated => 401, "unauthenticated", "Sign in first";
    /// The access token or ticket ran out.
    TokenExpired => 401, "token_expired", "The token has expired";
    /// Wrong address or wrong password.
    BadCredentials => 401, "bad_credentials", "E-mail or password is wrong";
    /// The refresh token does not hold any more.
    RefreshRefused => 401, "refresh_refused", "The refresh token does not hold any more";
    /// The role may not use the route.
    Forbidden => 403, "forbidden", "Not for this role";
    /// A driver who waits for approval.
    DriverPending => 403, "driver_pending", "This driver is not approved yet";
    /// A browser page from elsewhere.
    OriginRefused => 403, "origin_refused", "Pages of this origin may not call this hub";
    /// The move is never this caller's to make.
    NotYourMove => 403, "not_your_move", "This move is not yours to make";
    /// Absent, or somebody else's.
    NotFound => 404, "not_found", "There is no such thing here";
    /// The path exists, the method does not.
    MethodNotAllowed => 405, "method_not_allowed", "This method is not for this path";
    /// The body took too long.
    RequestTimeout => 408, "request_timeout", "The request took too long to arrive";
    /// Something with this name exists.
    AlreadyExists => 409, "already_exists", "It exists already";
    /// The state table forbids the move.
    MoveForbidden => 409, "move_forbidden", "The order cannot go there from where it stands";
    /// The version named is not the present one.
    StaleVersion => 409, "stale_version", "The order has changed since";
    /// The first request with this key has not been answered yet.
    InFlight => 409, "request_in_flight", "The first request with this key is still being worked on";
    /// The business takes no orders now.
    BusinessPaused => 409, "business_paused", "The business is paused";
    /// The business is closed.
    BusinessClosed => 409, "business_closed", "The business is closed";
    /// The last owner cannot leave.
    LastOwner => 409, "last_owner", "A business keeps at least one owner";
    /// The menu's total is another than the one named.
    PriceChanged => 409, "price_changed", "The price has changed";
    /// There are prices or orders in the present currency.
    CurrencyInUse => 409, "currency_in_use", "The currency is in use";
    /// As many as there may be.
    LimitReached => 409, "limit_reached", "There are as many as there may be";
    /// `If-Match` does not match.
    PreconditionFailed => 412, "precondition_failed", "The order has changed since";
    /// More than the body limit.
    TooLarge => 413, "too_large", "The body is too large";
    /// Not JSON.
    UnsupportedMediaType => 415, "unsupported_media_type", "Send application/json";
    /// Asked for by a name that is not this hub's.
    Misdirected => 421, "misdirected", "This hub has another name";
    /// Fields with bad values, all of them named.
    Invalid => 422, "invalid", "Some fields are not acceptable";
    /// Nobody takes online payments here.
    PaymentUnavailable => 422, "payment_unavailable", "This way of paying is not available";
    /// The key was used for another request.
    IdempotencyMismatch => 422, "idempotency_mismatch", "This idempotency key was used for another request";
    /// An address of sockets, asked for otherwise.
    UpgradeRequired => 426, "upgrade_required", "This address is for sockets";
    /// A change needs the version it was made on.
    VersionRequired => 428, "version_required", "Name the version you are changing";
    /// Too often.
    TooManyRequests => 429, "too_many_requests", "Too many requests";
    /// More than the limit of a request's head.
    HeadTooLarge => 431, "head_too_large", "The head of the request is too large";
    /// Something broke here; the log knows.
    Internal => 500, "internal", "Something went wrong here";
    /// Too much to do or the store is away; nothing happened.
    Unavailable => 503, "unavailable", "Not now, try again";
    /// Too slow to know: it may have happened.
    OutcomeUnknown => 503, "outcome_unknown", "It may have happened";
}

/// One field that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct FieldError {
    /// Path of the field, like `items[0].qty`.
    #[schema(example = "items[0].qty")]
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

/// An RFC 9457 problem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Problem {
    /// `urn:bellhop:problem:<code>`.
    #[serde(rename = "type")]
    #[schema(example = "urn:bellhop:problem:not_found")]
    pub kind: String,
    /// The same for every problem of this code.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What went wrong this time and what to do.
    pub detail: String,
    /// The stable word.
    pub code: String,
    /// Every field that was refused.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub errors: Vec<FieldError>,
    /// The moves that are allowed, for `move_forbidden`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed: Option<Vec<String>>,
    /// The present version, for `stale_version` and `precondition_failed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_version: Option<i64>,
    /// Where the order stands now, for `stale_version` and `precondition_failed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_status: Option<String>,
    /// What the order costs now, in minor units, for `price_changed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_minor: Option<i64>,
    /// Of that total; ISO 4217.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// Finds the request in the log.
    pub request_id: String,
}

impl Problem {
    /// A problem of this code; the request id is filled in by whoever answers.
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
            request_id: String::new(),
        }
    }
}

/// The codes as Markdown, which is how they get into the documentation.
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
