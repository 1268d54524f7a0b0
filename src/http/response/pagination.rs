//! Pages of lists: their size, number and cursors.

use std::fmt::Display;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::domain::ids::{DeliveryId, OrderId};
use crate::domain::time::Timestamp;

use crate::http::input::{FromText, NumberBounds};

/// The most entries of a page, 1 to 50.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageSize(u32);

impl PageSize {
    /// The size where the client names none.
    pub const DEFAULT: Self = Self(20);

    /// The number of entries.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl FromText for PageSize {
    const EXAMPLE: &'static str = "20";

    fn from_text(text: &str) -> Result<Self, String> {
        number(text, 1..=50).map(Self)
    }

    fn bounds() -> Option<NumberBounds> {
        Some(NumberBounds { least: 1, most: 50, default: Self::DEFAULT.0 })
    }
}

/// The number of a page, 1 to 1,000,000; further pages are reached by cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page(u32);

impl Page {
    /// The first page.
    pub const FIRST: Self = Self(1);

    /// The number, from 1.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl FromText for Page {
    const EXAMPLE: &'static str = "1";

    fn from_text(text: &str) -> Result<Self, String> {
        number(text, 1..=1_000_000).map(Self)
    }

    fn bounds() -> Option<NumberBounds> {
        Some(NumberBounds { least: 1, most: 1_000_000, default: Self::FIRST.0 })
    }
}

/// A whole number in digits only, within `range`.
pub(in crate::http) fn number(text: &str, range: std::ops::RangeInclusive<u32>) -> Result<u32, String> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse()
        .ok()
        .filter(|n| digits && range.contains(n))
        .ok_or_else(|| format!("expected a whole number from {} to {}", range.start(), range.end()))
}

/// The entry after which a page begins, of a list that is sorted by time and id; opaque to clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageCursor<I> {
    /// The time by which the list is sorted.
    pub at: Timestamp,
    /// Its id.
    pub id: I,
}

/// The order after which a page begins.
pub type OrderCursor = PageCursor<OrderId>;

/// The delivery after which a page begins.
pub type DeliveryCursor = PageCursor<DeliveryId>;

impl<I: Display> PageCursor<I> {
    /// The text that clients get.
    pub fn to_text(self) -> String {
        URL_SAFE_NO_PAD.encode(format!("{}.{}", self.at.as_micros(), self.id))
    }
}

impl<I: FromStr> PageCursor<I> {
    fn read(text: &str) -> Result<Self, String> {
        let read = || {
            let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
            let (micros, id) = std::str::from_utf8(&bytes).ok()?.split_once('.')?;
            let at = Timestamp::from_micros(micros.parse().ok()?);
            Some(Self { at, id: id.parse().ok()? })
        };
        read().ok_or_else(|| "expected a cursor as the server gave it".to_owned())
    }
}

impl FromText for OrderCursor {
    const EXAMPLE: &'static str = "MTc2OTg4NDIwMDAwMDAwMC5vcmRfMDE5MGYzYzFhMmIzN2Q0ZThmMDAxMTIyMzM0NDU1NjY";

    fn from_text(text: &str) -> Result<Self, String> {
        Self::read(text)
    }
}

impl FromText for DeliveryCursor {
    const EXAMPLE: &'static str = "MTc2OTg4NDIwMDAwMDAwMC5kbHZfMDE5MGYzYzFhMmIzN2Q0ZThmMDAxMTIyMzM0NDU1NjY";

    fn from_text(text: &str) -> Result<Self, String> {
        Self::read(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_nonsense_does_not() {
        let cursor = OrderCursor { at: Timestamp::from_micros(-1), id: OrderId::generate() };
        assert_eq!(OrderCursor::from_text(&cursor.to_text()), Ok(cursor));
        assert!(OrderCursor::from_text(OrderCursor::EXAMPLE).is_ok());
        assert!(DeliveryCursor::from_text(DeliveryCursor::EXAMPLE).is_ok());
        assert!(DeliveryCursor::from_text(OrderCursor::EXAMPLE).is_err());
        for bad in ["", "x", "MTIz", "0000beef.42", &format!("{}=", cursor.to_text())] {
            assert!(OrderCursor::from_text(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn fifty_is_a_page_and_fifty_one_is_not() {
        assert_eq!(PageSize::from_text("50").map(PageSize::get), Ok(50));
        for bad in ["0", "51", "-1", "+5", "5.0", "", "ten"] {
            assert!(PageSize::from_text(bad).is_err(), "{bad}");
        }
        assert!(Page::from_text("0").is_err());
    }
}
