//! Columns whose values are sealed, and their rows.

use serde::{Deserialize, Serialize};

/// Seals values of a column with the current key, where an older one still seals them.
#[derive(Clone, Debug)]
pub struct Reseal {
    /// The column.
    pub column: SealedColumn,
    /// The rows; all of them are locked together, so a few hundred at most.
    pub rows: Vec<RowKey>,
}

/// A column of sealed values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealedColumn {
    /// Customers' phone numbers.
    OrderPhone,
    /// Delivery addresses of orders.
    OrderAddress,
    /// Addresses for mail to businesses.
    BusinessEmail,
    /// Phone numbers of businesses.
    BusinessPhone,
    /// Phone numbers of accounts.
    UserPhone,
    /// Answers kept under idempotency keys.
    StoredResponse,
    /// Bodies of messages of the payment provider.
    PaymentMessage,
    /// Codes of deliveries.
    DeliveryCode,
}

impl SealedColumn {
    /// Every one there is.
    pub const ALL: [Self; 8] = [
        Self::OrderPhone,
        Self::OrderAddress,
        Self::BusinessEmail,
        Self::BusinessPhone,
        Self::UserPhone,
        Self::StoredResponse,
        Self::PaymentMessage,
        Self::DeliveryCode,
    ];

    /// Its table and its name.
    pub const fn place(self) -> (&'static str, &'static str) {
        match self {
            Self::OrderPhone => ("orders", "phone"),
            Self::OrderAddress => ("orders", "address"),
            Self::BusinessEmail => ("businesses", "contact_email"),
            Self::BusinessPhone => ("businesses", "contact_phone"),
            Self::UserPhone => ("users", "phone"),
            Self::StoredResponse => ("idempotency_keys", "body"),
            Self::PaymentMessage => ("payment_messages", "body"),
            Self::DeliveryCode => ("deliveries", "code"),
        }
    }

    /// Both, as `orders.phone`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OrderPhone => "orders.phone",
            Self::OrderAddress => "orders.address",
            Self::BusinessEmail => "businesses.contact_email",
            Self::BusinessPhone => "businesses.contact_phone",
            Self::UserPhone => "users.phone",
            Self::StoredResponse => "idempotency_keys.body",
            Self::PaymentMessage => "payment_messages.body",
            Self::DeliveryCode => "deliveries.code",
        }
    }
}

/// The primary key of a row that holds a sealed value: one text, or two.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RowKey {
    /// Its first column.
    pub first: String,
    /// Its second; empty where there is none.
    pub second: String,
}

impl RowKey {
    /// Both in one text.
    pub fn to_text(&self) -> String {
        format!("{} {}", self.first, self.second)
    }

    /// Reads the text of [`RowKey::to_text`] for a key whose first part has no space in it.
    pub fn of_text(text: &str) -> Self {
        let (first, second) = text.split_once(' ').unwrap_or((text, ""));
        Self { first: first.to_owned(), second: second.to_owned() }
    }
}
