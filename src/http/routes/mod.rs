//! The handlers, a module for each kind of resource, and the places where they are mounted.

use std::sync::LazyLock;

use utoipa_actix_web::scope;
use utoipa_actix_web::service_config::ServiceConfig;

use super::route_table::{Mount, RouteTable};

pub mod accounts;
pub mod admin;
pub mod businesses;
pub mod deliveries;
pub mod devices;
pub mod drivers;
pub mod health;
pub mod invitations;
pub mod jobs;
pub mod member_alerts;
pub mod members;
pub mod menu;
pub mod notifications;
pub mod orders;
pub mod payments;
pub mod rooms;
pub mod sessions;
pub(super) mod welcome;
mod zones;

/// The path of the API.
pub(super) const API: &str = "/api/v1";

/// The facts of every route that is in the OpenAPI document.
pub static TABLE: LazyLock<RouteTable> = LazyLock::new(|| {
    let mut table = RouteTable::default();
    health::routes(&mut table);
    table.below(API, api);
    table
});

/// Mounts every route that is in the OpenAPI document.
pub(super) fn documented(config: &mut ServiceConfig) {
    health::routes(config);
    config.service(scope(API).configure(|config| api(config)));
}

/// Mounts the routes of the API.
fn api(mount: &mut impl Mount) {
    accounts::routes(mount);
    administration(mount);
    businesses::routes(mount);
    deliveries::routes(mount);
    devices::routes(mount);
    drivers::routes(mount);
    member_alerts::routes(mount);
    members::routes(mount);
    invitations::routes(mount);
    menu::routes(mount);
    notifications::routes(mount);
    orders::routes(mount);
    payments::routes(mount);
    rooms::routes(mount);
    sessions::routes(mount);
}

/// Mounts the routes of operators, which the operators' own listener has as well.
pub(super) fn administration(mount: &mut impl Mount) {
    admin::routes(mount);
    jobs::routes(mount);
}

#[cfg(test)]
mod tests {
    use actix_web::http::Method;

    use super::*;

    #[test]
    fn the_methods_of_a_path_are_known() {
        let methods = |path| TABLE.find(path).map(|routes| routes.methods().cloned().collect::<Vec<_>>());
        assert_eq!(methods("/api/v1/orders"), Some(vec![Method::GET, Method::POST]));
        assert_eq!(methods("/api/v1/orders/x/status"), Some(vec![Method::PATCH]));
        assert_eq!(methods("/api/v1/order"), None);
    }
}
