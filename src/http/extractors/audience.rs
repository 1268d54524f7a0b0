//! Audiences: sets of roles that may use a route.

use crate::domain::access::Role;

/// The roles that may use a route.
pub trait Audience {
    /// All of them.
    const ROLES: &'static [Role];
}

/// Every role.
#[derive(Debug)]
pub enum Anyone {}

impl Audience for Anyone {
    const ROLES: &'static [Role] = &Role::ALL;
}

/// Merchants, who work for businesses, and operators.
#[derive(Debug)]
pub enum Merchants {}

impl Audience for Merchants {
    const ROLES: &'static [Role] = &[Role::Merchant, Role::Admin];
}

/// Operators.
#[derive(Debug)]
pub enum Operators {}

impl Audience for Operators {
    const ROLES: &'static [Role] = &[Role::Admin];
}

/// Customers, and merchants for their tables.
#[derive(Debug)]
pub enum CanPlaceOrders {}

impl Audience for CanPlaceOrders {
    const ROLES: &'static [Role] = &[Role::Customer, Role::Merchant];
}

/// Drivers. A route for them takes an [`super::signed_in::Approved`].
#[derive(Debug)]
pub enum Drivers {}

impl Audience for Drivers {
    const ROLES: &'static [Role] = &[Role::Driver];
}

/// Drivers, and operators in their place. A route for them takes an [`super::signed_in::Approved`].
#[derive(Debug)]
pub enum DriversAndOperators {}

impl Audience for DriversAndOperators {
    const ROLES: &'static [Role] = &[Role::Driver, Role::Admin];
}

/// Everybody who works on a delivery: its driver, the business and operators. A route for them takes an
/// [`super::signed_in::Approved`].
#[derive(Debug)]
pub enum WorksOnDeliveries {}

impl Audience for WorksOnDeliveries {
    const ROLES: &'static [Role] = &[Role::Merchant, Role::Driver, Role::Admin];
}

/// Customers, and operators in their place.
#[derive(Debug)]
pub enum CustomersAndOperators {}

impl Audience for CustomersAndOperators {
    const ROLES: &'static [Role] = &[Role::Customer, Role::Admin];
}
