//! Ways in which people take and give money themselves.

use crate::domain::payment::MoneyWay;

use super::parsed::{FromText, one_of};

/// A way of paying that a person records: any but `online`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByHand(
    /// The way.
    pub MoneyWay,
);

impl ByHand {
    const ALL: [MoneyWay; 3] = [MoneyWay::Terminal, MoneyWay::Transfer, MoneyWay::Cash];
}

impl FromText for ByHand {
    const EXAMPLE: &'static str = "terminal";

    fn from_text(text: &str) -> Result<Self, String> {
        one_of(&Self::ALL, MoneyWay::as_str, text).map(Self)
    }

    fn words() -> Option<Vec<&'static str>> {
        Some(Self::ALL.map(MoneyWay::as_str).to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_records_every_way_but_the_providers() {
        for way in MoneyWay::ALL {
            assert_eq!(ByHand::from_text(way.as_str()).is_ok(), way != MoneyWay::Online, "{way}");
        }
    }
}
