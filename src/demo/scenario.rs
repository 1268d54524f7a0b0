//! The scenario of the demo: businesses with menus, the people who work there, and customers. Made over HTTP like any other.

use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::Deserialize;
use serde_json::json;

use bellhop_client::{Account, CallError, Client, NewAccount, Request};

use crate::domain::business::PauseCause;
use crate::domain::ids::{BusinessId, InvitationId};

use super::business_kind::BusinessKind;

/// Password of every account; the hub listens on loopback only.
pub(super) const PASSWORD: &str = "ring-until-answered";

/// The address of the first customer, to sign in with.
pub(super) const CUSTOMER_EMAIL: &str = "customer1@bellhop.example";

/// The address of the first owner, to sign in with.
pub(super) const OWNER_EMAIL: &str = "owner1@bellhop.example";

/// Customers who order. Each costs two password hashes before the first order.
const CUSTOMERS: usize = 10;

/// Pairs of an owner and a staff member; more businesses than that share them.
const TEAMS: usize = 20;

/// Requests under way at once while the scenario is built: passwords are hashed one or two at a time anyway.
const AT_ONCE: usize = 4;

/// Drivers, where a business has them.
const COURIERS: usize = 12;

/// The zone of every business and driver.
const ZONE: &str = "lisbon-centre";

/// Tables in each business.
pub(super) const TABLES: u16 = 12;

/// A dish: sku, name, category, price in cents.
type Dish = (&'static str, &'static str, &'static str, u32);

/// Houses of the scenario: name and menu.
const HOUSES: [(&str, &[Dish]); 10] = [
    ("Pastelaria Aurora", &BAKERY),
    ("Trattoria Nonna Pia", &TRATTORIA),
    ("Sushi Kaze", &SUSHI),
    ("Taquería El Farol", &TACOS),
    ("Bombay Lantern", &CURRY),
    ("Boulangerie Lune", &BAKERY),
    ("Pizzeria Da Gino", &TRATTORIA),
    ("Izakaya Hoshi", &SUSHI),
    ("Cantina La Luz", &TACOS),
    ("Tandoor House", &CURRY),
];

const BAKERY: [Dish; 4] = [
    ("nata", "Pastel de nata", "Sweets", 130),
    ("croissant", "Croissant", "Sweets", 180),
    ("tosta", "Tosta mista", "Savoury", 450),
    ("galao", "Galão", "Drinks", 190),
];
const TRATTORIA: [Dish; 4] = [
    ("margherita", "Pizza Margherita", "Pizza", 890),
    ("diavola", "Pizza Diavola", "Pizza", 1_090),
    ("lasagne", "Lasagne al forno", "Pasta", 1_150),
    ("tiramisu", "Tiramisù", "Sweets", 550),
];
const SUSHI: [Dish; 4] = [
    ("maki", "Maki, 8 pieces", "Rolls", 720),
    ("nigiri", "Nigiri 握り, 6 pieces", "Nigiri", 990),
    ("ramen", "Shoyu ramen", "Noodles", 1_240),
    ("mochi", "Mochi", "Sweets", 420),
];
const TACOS: [Dish; 4] = [
    ("pastor", "Tacos al pastor", "Tacos", 850),
    ("veg", "Tacos de verduras", "Tacos", 790),
    ("quesadilla", "Quesadilla", "Tacos", 680),
    ("horchata", "Horchata", "Drinks", 320),
];
const CURRY: [Dish; 4] = [
    ("masala", "Chicken tikka masala", "Curry", 1_190),
    ("dal", "Dal makhani", "Curry", 940),
    ("naan", "Garlic naan", "Bread", 290),
    ("lassi", "Mango lassi", "Drinks", 380),
];

const CUSTOMER_NAMES: [&str; CUSTOMERS] =
    ["Zoë", "Amir", "Chiara", "Yuki", "Olá Silva", "Nadia", "Søren", "Lucía", "Kwame", "Привет Анна"];

/// A business and the two devices' owners.
#[derive(Debug)]
pub(super) struct Business {
    pub(super) id: BusinessId,
    pub(super) name: String,
    pub(super) kind: BusinessKind,
    pub(super) skus: Vec<&'static str>,
    /// The owner at the counter and the staff member in the kitchen.
    pub(super) team: [Arc<Account>; 2],
}

/// Accounts and businesses that exist before the first order.
#[derive(Debug)]
pub(super) struct Scenario {
    pub(super) businesses: Vec<Business>,
    pub(super) customers: Vec<Arc<Account>>,
    /// There where a business has drivers bring its orders.
    pub(super) couriers: Vec<Courier>,
}

/// A driver of the hub.
#[derive(Debug)]
pub(super) struct Courier {
    pub(super) id: String,
    pub(super) account: Arc<Account>,
}

impl Scenario {
    /// A line for each business that is not an ordinary one.
    pub(super) fn told(&self) -> String {
        let line = |place: &Business| Some(format!("{} {}\n", place.name, place.kind.told()?));
        self.businesses.iter().filter_map(line).collect()
    }
}

/// Builds the scenario, or finds what is left of it from an earlier run on the same data. Everybody stays at the client that made
/// them; the two of a team are not at the same one, where there are several.
pub(super) async fn build(clients: &[Client], count: usize) -> Result<Scenario, CallError> {
    let at = |n: usize| &clients[n % clients.len()];
    let teams = count.min(TEAMS);
    let people = (0..teams).flat_map(|n| [owner(n), staff(n)]).chain((0..CUSTOMERS).map(customer));
    let accounts: Vec<Arc<Account>> = stream::iter(people)
        .enumerate()
        .map(|(n, person)| async move { Account::open(at(n), person).await.map(Arc::new) })
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    let (merchants, customers) = accounts.split_at(teams * 2);
    let businesses = stream::iter(0..count)
        .map(|n| {
            let team = (n % TEAMS) * 2;
            open(n, BusinessKind::of(n, count), [merchants[team].clone(), merchants[team + 1].clone()])
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    let has_drivers = (0..count).any(|n| BusinessKind::of(n, count) == BusinessKind::HasDrivers);
    let couriers = stream::iter(0..if has_drivers { COURIERS } else { 0 })
        .map(|n| courier(at(n), n))
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    Ok(Scenario { businesses, customers: customers.to_vec(), couriers })
}

/// A driver who works where the businesses are.
async fn courier(client: &Client, n: usize) -> Result<Courier, CallError> {
    let named = person(format!("driver{}", n + 1), "driver", format!("Driver {}", n + 1), None);
    let account = Arc::new(Account::open(client, named).await?);
    let profile = json!({"vehicle": "scooter", "capacity": 1 + n % 3, "zones": [ZONE], "takes_cash": true});
    #[derive(Deserialize)]
    struct Named {
        id: String,
    }
    let Named { id } = account.ask(&Request::patch("/drivers/me", profile)).await?;
    Ok(Courier { id, account })
}

fn owner(n: usize) -> NewAccount {
    person(
        format!("owner{}", n + 1),
        "merchant",
        format!("Owner {}", n + 1),
        Some(format!("counter-{}", n + 1)),
    )
}

fn staff(n: usize) -> NewAccount {
    person(
        format!("staff{}", n + 1),
        "merchant",
        format!("Staff {}", n + 1),
        Some(format!("kitchen-{}", n + 1)),
    )
}

fn customer(n: usize) -> NewAccount {
    person(format!("customer{}", n + 1), "customer", CUSTOMER_NAMES[n].to_owned(), None)
}

fn person(mailbox: String, role: &'static str, name: String, device: Option<String>) -> NewAccount {
    NewAccount { email: format!("{mailbox}@bellhop.example"), password: PASSWORD, role, name, device }
}

#[derive(Deserialize)]
struct Invitations {
    items: Vec<Invited>,
}

#[derive(Deserialize)]
struct Invited {
    id: InvitationId,
}

/// Accepts every open invitation of the account.
async fn accept_invitations(account: &Account) -> Result<(), CallError> {
    let invitations: Invitations = account.ask(&Request::get("/invitations")).await?;
    for invitation in invitations.items {
        account.call(&Request::post(format!("/invitations/{}/accept", invitation.id), json!({}))).await?;
    }
    Ok(())
}

#[derive(Deserialize)]
struct Identified {
    id: BusinessId,
    name: String,
}

#[derive(Deserialize)]
struct Page {
    items: Vec<Identified>,
}

/// Opens a business with its menu and its staff.
async fn open(n: usize, kind: BusinessKind, team: [Arc<Account>; 2]) -> Result<Business, CallError> {
    let (house, menu) = HOUSES[n % HOUSES.len()];
    let name = if n < HOUSES.len() { house.to_owned() } else { format!("{house} {}", n / HOUSES.len() + 1) };
    let owner = &team[0];
    let id = found_or_made(n, &name, owner).await?;
    if let Some(settings) = kind.settings() {
        owner.call(&Request::patch(format!("/businesses/{id}"), settings)).await?;
    }
    for (sku, name, category, price) in menu {
        let item = json!({"sku": sku, "name": name, "category": category, "price_minor": price});
        match owner.call(&Request::post(format!("/businesses/{id}/menu/items"), item)).await {
            Ok(_) => {}
            Err(error) if error.status() == Some(409) => {}
            Err(error) => return Err(error),
        }
    }
    let staff = json!({"email": team[1].email(), "role": "staff"});
    owner.call(&Request::post(format!("/businesses/{id}/members"), staff)).await?;
    accept_invitations(&team[1]).await?;
    Ok(Business { id, name, kind, skus: menu.iter().map(|dish| dish.0).collect(), team })
}

/// The business of this name, open for orders.
async fn found_or_made(n: usize, name: &str, owner: &Account) -> Result<BusinessId, CallError> {
    let owned: Page = owner.ask(&Request::get("/businesses?limit=50")).await?;
    if let Some(found) = owned.items.into_iter().find(|business| business.name == name) {
        // An earlier run may have left it paused.
        let pause = format!("/businesses/{}/pauses/{}", found.id, PauseCause::Unanswered);
        owner.call(&Request::delete(pause)).await?;
        return Ok(found.id);
    }
    // Around the centre of Lisbon, a few streets apart.
    let (east, north) = ((n % 10) as f64 * 0.004, (n / 10) as f64 * 0.004);
    let business = json!({
        "name": name,
        "location": {"lat": 38.71 + north, "lng": -9.15 + east},
        "zone": ZONE,
        "timezone": "Europe/Lisbon",
        "currency": "EUR",
        "prep_minutes": 15,
        "tables": TABLES,
    });
    Ok(owner.ask::<Identified>(&Request::post("/businesses", business)).await?.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sign_ins_that_are_printed_are_those_of_people_in_town() {
        assert_eq!((customer(0).email.as_str(), owner(0).email.as_str()), (CUSTOMER_EMAIL, OWNER_EMAIL));
    }

    #[test]
    fn no_menu_has_a_sku_twice() {
        for (house, menu) in HOUSES {
            let skus: std::collections::HashSet<_> = menu.iter().map(|dish| dish.0).collect();
            assert_eq!(skus.len(), menu.len(), "{house}");
        }
    }
}
