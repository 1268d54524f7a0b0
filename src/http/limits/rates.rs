//! Which quota each route consumes: one table.

use actix_web::http::Method;

/// What a request consumes before it is handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// `api` of a sign-in, `public` of an address that is not signed in.
    Caller,
    /// `auth` of the address, signed in or not.
    Auth,
    /// `public` of the address until the body has proved to hold a token of ours; then `refresh` of its family instead.
    Refresh,
    /// `orders` of the user once it is known that it is no repetition, which consumes `api` instead; of those who may
    /// not place orders as [`Rate::Caller`].
    Order,
    /// `moves` of a sign-in, so that reads never starve them; `public` of an address that is not signed in.
    Move,
    /// `health` of the address.
    Health,
}

/// Every route that does not consume what its caller has for the rest; `{}` stands for one segment.
static RATES: [(Option<Method>, &str, Rate); 12] = [
    (None, "/api/v1/auth/signup", Rate::Auth),
    (None, "/api/v1/auth/login", Rate::Auth),
    (Some(Method::POST), "/api/v1/auth/refresh", Rate::Refresh),
    (Some(Method::POST), "/api/v1/orders", Rate::Order),
    (Some(Method::PATCH), "/api/v1/orders/{}/status", Rate::Move),
    (None, "/metrics", Rate::Health),
    (None, "/health", Rate::Health),
    (None, "/health/live", Rate::Health),
    (None, "/health/ready", Rate::Health),
    (None, "/health/detailed", Rate::Health),
    (None, "/health/version", Rate::Health),
    (None, "/health/metrics", Rate::Health),
];

/// What a request of this path, as the router reads it, consumes.
pub fn rate_of(method: &Method, path: &str) -> Rate {
    let found = RATES.iter().find(|(wanted, pattern, _)| {
        wanted.as_ref().is_none_or(|wanted| wanted == method) && matches_pattern(pattern, path)
    });
    found.map_or(Rate::Caller, |(_, _, rate)| *rate)
}

fn matches_pattern(pattern: &str, path: &str) -> bool {
    let Some((before, after)) = pattern.split_once("{}") else { return pattern == path };
    let segment = path.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
    segment.is_some_and(|segment| !segment.is_empty() && !segment.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_found_by_method_and_path_and_everything_else_is_its_callers() {
        for (method, path, rate) in [
            (Method::POST, "/api/v1/auth/login", Rate::Auth),
            (Method::POST, "/api/v1/auth/refresh", Rate::Refresh),
            (Method::PUT, "/api/v1/auth/refresh", Rate::Caller),
            (Method::POST, "/api/v1/orders", Rate::Order),
            (Method::GET, "/api/v1/orders", Rate::Caller),
            (Method::PATCH, "/api/v1/orders/ord_1/status", Rate::Move),
            (Method::GET, "/api/v1/orders/ord_1/status", Rate::Caller),
            (Method::PATCH, "/api/v1/orders//status", Rate::Caller),
            (Method::PATCH, "/api/v1/orders/a/b/status", Rate::Caller),
            (Method::GET, "/health/live", Rate::Health),
            (Method::GET, "/health/elsewhere", Rate::Caller),
            (Method::GET, "/metrics/", Rate::Caller),
            (Method::GET, "/docs/", Rate::Caller),
            (Method::GET, "", Rate::Caller),
        ] {
            assert_eq!(rate_of(&method, path), rate, "{method} {path}");
        }
    }
}
