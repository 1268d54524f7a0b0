//! Where a business is and how it is reached, in requests.

use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::business::{BusinessContact, Location};
use crate::domain::email::EmailAddress;
use crate::domain::private::Private;
use crate::http::input::{Parsed, rules};

/// A point on the map.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LocationBody {
    /// Degrees north.
    #[garde(custom(rules::latitude))]
    #[schema(minimum = -90, maximum = 90, example = 38.7223)]
    pub(super) lat: f64,
    /// Degrees east.
    #[garde(custom(rules::longitude))]
    #[schema(minimum = -180, maximum = 180, example = -9.1393)]
    pub(super) lng: f64,
}

impl From<LocationBody> for Location {
    fn from(body: LocationBody) -> Self {
        Self { lat: body.lat, lng: body.lng }
    }
}

/// The contact of a business for times at which its devices cannot be reached. Kept encrypted; members and operators see it.
#[derive(Debug, Default, Deserialize, Serialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ContactBody {
    /// An address for mail.
    #[garde(dive)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "email", max_length = 254, example = "kitchen@example.com")]
    email: Option<Parsed<EmailAddress>>,
    /// A number to call, as people write it.
    #[garde(inner(custom(|phone: &Private<String>, &()| rules::phone(&phone.0, &()))))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, min_length = 3, max_length = 64, example = "+351 21 000 00 00")]
    phone: Option<Private<String>>,
}

impl From<ContactBody> for BusinessContact {
    fn from(body: ContactBody) -> Self {
        Self {
            email: body.email.map(|email| email.into_inner().into_string()),
            phone: body.phone.map(|phone| rules::checked_phone(&phone.0)),
        }
    }
}
