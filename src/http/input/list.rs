//! Lists with a bound.

use garde::{Path, Report, Validate};
use serde::{Deserialize, Serialize};

/// A list of `MIN` to `MAX` entries. Of one that is too long or too short only that is said; its entries are not looked
/// at, since there may be any number of them.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(transparent)]
pub struct List<T, const MIN: usize, const MAX: usize>(Vec<T>);

impl<T, const MIN: usize, const MAX: usize> List<T, MIN, MAX> {
    /// The entries.
    pub fn into_inner(self) -> Vec<T> {
        self.0
    }
}

const fn items(count: usize) -> &'static str {
    if count == 1 { "item" } else { "items" }
}

impl<T: Validate, const MIN: usize, const MAX: usize> Validate for List<T, MIN, MAX> {
    type Context = T::Context;

    fn validate_into(&self, context: &T::Context, parent: &mut dyn FnMut() -> Path, report: &mut Report) {
        let wrong = match self.0.len() {
            len if len < MIN => format!("must have at least {MIN} {}", items(MIN)),
            len if len > MAX => format!("must have at most {MAX} {}", items(MAX)),
            _ => return self.0.validate_into(context, parent, report),
        };
        report.append(parent(), garde::Error::new(wrong));
    }
}
