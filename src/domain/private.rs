//! Values that must not appear in logs.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A value that `{:?}` does not show, such as a token, a password or an address.
#[derive(Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Private<T>(pub T);

impl<T> fmt::Debug for Private<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(private)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_like_its_value_and_is_not_printed() {
        let token: Private<String> = serde_json::from_str("\"eyJ\"").unwrap();
        assert_eq!(token, Private("eyJ".to_owned()));
        assert_eq!(format!("{token:?}"), "(private)");
    }
}
