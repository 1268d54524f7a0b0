//! Texts that mean something: ids, words of a list, times. A bad one is a bad value like any other, so that it is
//! named together with the others.

use std::borrow::Cow;
use std::fmt;

use garde::Validate;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};

use crate::domain::access::MemberRole;
use crate::domain::business::{Reach, Timezone};
use crate::domain::cursor::Cursor;
use crate::domain::delivery::{DeliveredBy, Step};
use crate::domain::dispatch::Vehicle;
use crate::domain::email::{EmailAddress, SignInAddress};
use crate::domain::event::Priority;
use crate::domain::hold::{HeldAction, HoldScope};
use crate::domain::ids::{
    BusinessId, DeadLetterId, DeliveryId, InvitationId, LoginSessionId, NotificationId, OfferId, OrderId,
    RefundId, UserId,
};
use crate::domain::money::Currency;
use crate::domain::order::{FailureReason, Fulfilment, PaymentMethod, Status};
use crate::domain::payment::RefundState;
use crate::domain::time::Timestamp;

/// A value that can be read from a text of a client.
pub trait FromText: Sized {
    /// One that can be read, for the documentation.
    const EXAMPLE: &'static str;

    /// Reads it, or says what was expected.
    fn from_text(text: &str) -> Result<Self, String>;

    /// All there are, where they are few.
    fn words() -> Option<Vec<&'static str>> {
        None
    }

    /// NumberBounds and default of what is a whole number.
    fn bounds() -> Option<NumberBounds> {
        None
    }
}

/// The whole numbers a parameter of a query takes, and its default.
#[derive(Clone, Copy, Debug)]
pub struct NumberBounds {
    /// The least.
    pub least: u32,
    /// The most.
    pub most: u32,
    /// The value where it is left out.
    pub default: u32,
}

/// A text of the client with what it means. It deserialises from any text; [`super::validate::check`] refuses those that mean
/// nothing, by name. Not printed by `{:?}`, since it may be somebody's address or number.
#[derive(Clone)]
pub struct Parsed<T> {
    text: String,
    value: Result<T, String>,
}

impl<T> fmt::Debug for Parsed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parsed").field("is_good", &self.value.is_ok()).finish_non_exhaustive()
    }
}

impl<T> Parsed<T> {
    /// The value of the text. Only for values that passed [`super::validate::check`], which the extractors see to.
    pub fn into_inner(self) -> T {
        self.value.unwrap_or_else(|problem| panic!("a value was used unchecked: {problem}"))
    }
}

impl<'de, T: FromText> Deserialize<'de> for Parsed<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(d)?.into_owned();
        Ok(Self { value: T::from_text(&text), text })
    }
}

impl<T> Serialize for Parsed<T> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.text)
    }
}

impl<T> Validate for Parsed<T> {
    type Context = ();

    fn validate_into(&self, (): &(), parent: &mut dyn FnMut() -> garde::Path, report: &mut garde::Report) {
        if let Err(problem) = &self.value {
            report.append(parent(), garde::Error::new(problem));
        }
    }
}

/// The schema of a field that is a [`Parsed`].
pub fn schema_of<T: FromText>() -> RefOr<Schema> {
    let schema = ObjectBuilder::new();
    let schema = match T::bounds() {
        Some(NumberBounds { least, most, default }) => schema
            .schema_type(Type::Integer)
            .minimum(Some(least))
            .maximum(Some(most))
            .default(Some(default.into())),
        None => schema.schema_type(Type::String).examples([T::EXAMPLE]).enum_values(T::words()),
    };
    schema.into()
}

macro_rules! by_from_str {
    ($($type:ty: $example:literal;)*) => {
        $(impl FromText for $type {
            const EXAMPLE: &'static str = $example;

            fn from_text(text: &str) -> Result<Self, String> {
                text.parse().map_err(|error: <Self as std::str::FromStr>::Err| error.to_string())
            }
        })*
    };
}

by_from_str! {
    BusinessId: "biz_0190f3c1a2b37d4e8f00112233445566";
    NotificationId: "ntf_0190f3c1a2b37d4e8f00112233445566";
    RefundId: "ref_0190f3c1a2b37d4e8f00112233445566";
    DeadLetterId: "dlt_0190f3c1a2b37d4e8f00112233445566";
    DeliveryId: "dlv_0190f3c1a2b37d4e8f00112233445566";
    OfferId: "off_0190f3c1a2b37d4e8f00112233445566";
    OrderId: "ord_0190f3c1a2b37d4e8f00112233445566";
    LoginSessionId: "ses_0190f3c1a2b37d4e8f00112233445566";
    InvitationId: "inv_0190f3c1a2b37d4e8f00112233445566";
    UserId: "usr_0190f3c1a2b37d4e8f00112233445566";
    HoldScope: "all";
    Currency: "EUR";
    Cursor: "80a19d51.42";
    EmailAddress: "zoe@example.com";
    SignInAddress: "zoe@example.com";
}

/// Finds the one of `all` that `word` writes as `text`.
pub fn one_of<T: Copy>(all: &[T], word: impl Fn(T) -> &'static str, text: &str) -> Result<T, String> {
    all.iter().copied().find(|value| word(*value) == text).ok_or_else(|| {
        let words: Vec<&str> = all.iter().map(|value| word(*value)).collect();
        format!("expected one of {}", words.join(", "))
    })
}

macro_rules! by_words {
    ($($type:ty: $example:literal of $all:expr;)*) => {
        $(impl FromText for $type {
            const EXAMPLE: &'static str = $example;

            fn from_text(text: &str) -> Result<Self, String> {
                one_of(&$all, Self::as_str, text)
            }

            fn words() -> Option<Vec<&'static str>> {
                Some($all.iter().map(|value| value.as_str()).collect())
            }
        })*
    };
}

by_words! {
    Status: "accepted" of Status::ALL;
    Fulfilment: "delivery" of Fulfilment::ALL;
    DeliveredBy: "business" of DeliveredBy::ALL;
    Step: "picked_up" of Step::ALL;
    Vehicle: "bicycle" of Vehicle::ALL;
    FailureReason: "customer_unreachable" of FailureReason::ALL;
    HeldAction: "new_orders" of HeldAction::ALL;
    Reach: "devices" of Reach::ALL;
    PaymentMethod: "cash" of PaymentMethod::ALL;
    RefundState: "failed" of RefundState::ALL;
    Priority: "NORMAL" of Priority::ALL;
    MemberRole: "staff" of MemberRole::ALL;
}

impl FromText for Timezone {
    const EXAMPLE: &'static str = "Europe/Lisbon";

    fn from_text(text: &str) -> Result<Self, String> {
        Self::parse(text).map_err(|error| error.to_string())
    }
}

impl FromText for Timestamp {
    const EXAMPLE: &'static str = "2026-01-31T18:30:00Z";

    fn from_text(text: &str) -> Result<Self, String> {
        Self::parse_rfc3339(text).ok_or_else(|| "expected an RFC 3339 time".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_word_of_no_list_is_a_bad_value_that_names_the_list() {
        let payment: Parsed<PaymentMethod> = serde_json::from_value(json!("card")).unwrap();
        let report = payment.validate().unwrap_err();
        assert_eq!(report.iter().next().unwrap().1.message(), "expected one of online, cash");
        let cash: Parsed<PaymentMethod> = serde_json::from_value(json!("cash")).unwrap();
        assert!(cash.validate().is_ok());
        assert_eq!(cash.into_inner(), PaymentMethod::Cash);
        assert!(serde_json::from_value::<Parsed<PaymentMethod>>(json!(1)).is_err());
    }
}
