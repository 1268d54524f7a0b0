//! Fields in which `null` is not the same as nothing.

use serde::{Deserialize, Deserializer};

/// For `deserialize_with` of a field with a default: `Some(None)` for `null`.
///
/// # Errors
/// For another type.
pub fn null_is_a_value<'de, T, D>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::deserialize(deserializer).map(Some)
}
