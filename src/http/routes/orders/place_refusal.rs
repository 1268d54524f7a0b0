//! Why an order was not placed, as its customer is told.

use crate::domain::business::{Accepts, NotTakingOrders};
use crate::domain::order::PlaceRefusal;
use crate::http::response::problem::ApiError;
use crate::protocol::problem::{FieldError, OfferedOrders, ProblemCode};

/// The refusal of an order.
pub(super) fn refused(refusal: PlaceRefusal) -> ApiError {
    let lines = |lines: Vec<usize>, message: &str| {
        let named = |line| FieldError { field: format!("items[{line}].sku"), message: message.to_owned() };
        ApiError::invalid(lines.into_iter().map(named).collect())
    };
    match refusal {
        PlaceRefusal::NoSuchBusiness => ApiError::not_found(),
        PlaceRefusal::NotTakingOrders(why) => not_taking_orders(why),
        PlaceRefusal::UnknownItems(unknown) => lines(unknown, "is not on the menu"),
        PlaceRefusal::UnavailableItems(unavailable) => lines(unavailable, "is not available now"),
        PlaceRefusal::NoSuchTable => ApiError::invalid_field("table", "the business has no such table"),
        PlaceRefusal::TableMissing => {
            ApiError::invalid_field("table", "is required: the business has tables, say at which one")
        }
        PlaceRefusal::PriceChanged { total_minor, currency } => ApiError::new(
            ProblemCode::PriceChanged,
            format!(
                "By the menu it costs {total_minor} {currency} now, in minor units. Nothing was ordered: ask the customer, and \
                 order with the new total."
            ),
        )
        .total(total_minor, currency),
        PlaceRefusal::NotOffered(accepts) => not_offered(&accepts),
        PlaceRefusal::TooManyWaiting => ApiError::new(
            ProblemCode::TooManyOpenOrders,
            "As many of your orders as may do so wait for an answer of this business. Wait for it, or cancel one.",
        ),
        PlaceRefusal::TooExpensive => ApiError::invalid_field("items", "cost more than an order may"),
    }
}

/// The refusal of what a business does not offer to customers.
pub(super) fn not_offered(accepts: &Accepts) -> ApiError {
    ApiError::new(
        ProblemCode::NotOffered,
        "The business does not take such orders, or does not deliver that far; see offered for what it takes.",
    )
    .offered(OfferedOrders::of(accepts))
}

fn not_taking_orders(why: NotTakingOrders) -> ApiError {
    match why {
        NotTakingOrders::Paused(until) => ApiError::new(
            ProblemCode::BusinessPaused,
            format!("It takes orders again at {}.", until.to_rfc3339()),
        ),
        NotTakingOrders::PausedForNow => ApiError::new(
            ProblemCode::BusinessPaused,
            "This business takes no orders for now. Try again later.",
        ),
        NotTakingOrders::Closed => {
            ApiError::new(ProblemCode::BusinessClosed, "It takes no orders until somebody opens it.")
        }
    }
}
