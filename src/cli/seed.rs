//! Two businesses with menus and people to try, in a database that is kept. Running it again changes nothing.
#![expect(clippy::disallowed_methods, reason = "this file reads the clock and draws new ids")]

use std::process::ExitCode;

use crate::app::StartError;
use crate::auth::password::{NewPassword, PasswordError, PasswordSettings, Passwords, Standing};
use crate::config::{Environment, Settings};
use crate::domain::access::{MemberRole, Role};
use crate::domain::business::{
    Accepts, AlertPolicy, Business, BusinessContact, BusinessState, Location, MenuItem, Pauses, Timezone,
};
use crate::domain::delivery::DeliveredBy;
use crate::domain::dispatch::{DriverChange, Sharing, Vehicle};
use crate::domain::ids::{BusinessId, UserId};
use crate::domain::money::Currency;
use crate::domain::time::Timestamp;
use crate::storage::commands::{
    AddItem, Addition, Approval, ChangeDriver, CreateBusiness, Creation, NewUser, Outcome, PutMember, Write,
};
use crate::storage::{Lane, Store, StoreError};

use super::database::{self, DatabaseError};
use super::one_write::run_one;
use super::output::{fail, print_line};

/// The password of every account, known to everybody: for machines that outsiders do not reach.
const PASSWORD: &str = "ring-until-answered";

/// The zone of both businesses and of the driver.
const ZONE: &str = "lisbon-centre";

/// The most businesses of an account that are looked through for those of an earlier run.
const OWNED: u32 = 50;

struct Person {
    email: &'static str,
    name: &'static str,
    role: Role,
    what: &'static str,
}

const fn person(email: &'static str, name: &'static str, role: Role, what: &'static str) -> Person {
    Person { email, name, role, what }
}

const PEOPLE: [Person; 6] = [
    person("ana@seed.example", "Ana", Role::Merchant, "owns Pastelaria Estrela"),
    person("rui@seed.example", "Rui", Role::Merchant, "works at Pastelaria Estrela and Cantina Sol"),
    person("eva@seed.example", "Eva", Role::Merchant, "owns Cantina Sol, whose orders drivers bring"),
    person("zoe@seed.example", "Zoë", Role::Customer, "orders"),
    person("tom@seed.example", "Tom", Role::Customer, "orders"),
    person("dan@seed.example", "Dan", Role::Driver, "is approved and rides a scooter in lisbon-centre"),
];

/// A dish: sku, name, category, price in cents.
type Dish = (&'static str, &'static str, &'static str, i64);

struct House {
    name: &'static str,
    owner: &'static str,
    staff: &'static str,
    location: Location,
    delivered_by: DeliveredBy,
    menu: &'static [Dish],
}

const HOUSES: [House; 2] = [
    House {
        name: "Pastelaria Estrela",
        owner: "ana@seed.example",
        staff: "rui@seed.example",
        location: Location { lat: 38.713, lng: -9.16 },
        delivered_by: DeliveredBy::Business,
        menu: &[
            ("nata", "Pastel de nata", "Sweets", 140),
            ("bolo", "Bolo de arroz", "Sweets", 160),
            ("tosta", "Tosta mista", "Savoury", 420),
            ("bica", "Bica", "Drinks", 110),
        ],
    },
    House {
        name: "Cantina Sol",
        owner: "eva@seed.example",
        staff: "rui@seed.example",
        location: Location { lat: 38.709, lng: -9.14 },
        delivered_by: DeliveredBy::Drivers,
        menu: &[
            ("caldo", "Caldo verde", "Soups", 390),
            ("bacalhau", "Bacalhau à Brás", "Dishes", 1_190),
            ("grao", "Salada de grão", "Dishes", 850),
            ("limonada", "Limonada", "Drinks", 280),
        ],
    },
];

#[derive(Debug, thiserror::Error)]
enum SeedError {
    #[error("BELLHOP_ENV is production: accounts whose password everybody knows do not belong there")]
    Production,
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("the password could not be hashed: {0}")]
    Password(#[from] PasswordError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a run has made.
#[derive(Default)]
struct Made {
    accounts: usize,
    businesses: usize,
    items: usize,
}

pub(super) async fn run(settings: &Settings) -> ExitCode {
    match seed(settings).await {
        Ok(text) => {
            print_line(&text);
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error),
    }
}

async fn seed(settings: &Settings) -> Result<String, SeedError> {
    if settings.environment == Environment::Production {
        return Err(SeedError::Production);
    }
    let name = database::name(settings)?;
    let store = database::open_or_make(settings).await?;
    let mut lane = store.open_lane().await?;
    let mut made = Made::default();
    for person in &PEOPLE {
        make_account(settings, store.as_ref(), lane.as_mut(), person, &mut made).await?;
    }
    let mut ids = Vec::new();
    for house in &HOUSES {
        ids.push(open(store.as_ref(), lane.as_mut(), house, &mut made).await?);
    }
    drop(lane);
    store.close().await;
    Ok(told(&name, &made, &ids))
}

fn told(database: &str, made: &Made, ids: &[BusinessId]) -> String {
    let Made { accounts, businesses, items } = made;
    let mut text = format!(
        "made in {database}: {accounts} accounts, {businesses} businesses, {items} dishes; what was there is as it was\n\
         sign in with the password {PASSWORD}:"
    );
    for Person { email, role, what, .. } in &PEOPLE {
        text.push_str(&format!("\n  {email}  {role}, {what}"));
    }
    for (house, id) in HOUSES.iter().zip(ids) {
        text.push_str(&format!("\n{} is {id}", house.name));
    }
    text.push_str(
        "\nan operator: bellhop admin create --email you@example.com; every route: /docs on a running hub",
    );
    text
}

/// Makes the account, if it is not there.
async fn make_account(
    settings: &Settings,
    store: &dyn Store,
    lane: &mut dyn Lane,
    person: &Person,
    made: &mut Made,
) -> Result<(), SeedError> {
    if store.user_by_email(person.email).await?.is_some() {
        return Ok(());
    }
    let id = UserId::generate();
    let user = NewUser {
        id,
        email: person.email.to_owned(),
        password_hash: hash(settings).await?,
        role: person.role,
        name: Some(person.name.to_owned()),
        approved: Approval::Approved,
        created_at: Timestamp::now(),
    };
    write(lane, Write::CreateUser(Box::new(user))).await?;
    if person.role == Role::Driver {
        let change = DriverChange {
            vehicle: Some(Vehicle::Scooter),
            capacity: Some(2),
            zones: Some(vec![ZONE.to_owned()]),
            takes_cash: Some(true),
        };
        let profile = ChangeDriver { driver: id, change, sharing: Sharing::AtOnce };
        write(lane, Write::ChangeDriver(Box::new(profile))).await?;
    }
    made.accounts += 1;
    Ok(())
}

/// Opens the business, if its owner has none of this name; one of an earlier run stays as it is.
async fn open(
    store: &dyn Store,
    lane: &mut dyn Lane,
    house: &House,
    made: &mut Made,
) -> Result<BusinessId, SeedError> {
    let owner = account(store, house.owner).await?;
    let owned = store.businesses_of(owner, None, OWNED).await?;
    if let Some(found) = owned.iter().find(|business| business.name == house.name) {
        return Ok(found.id);
    }
    let business = business(house, Timestamp::now());
    let id = business.id;
    write(lane, Write::CreateBusiness(CreateBusiness { business: Box::new(business), owner })).await?;
    for (sku, name, category, price_minor) in house.menu {
        let item = MenuItem {
            sku: (*sku).to_owned(),
            name: (*name).to_owned(),
            category: Some((*category).to_owned()),
            price_minor: *price_minor,
            available: true,
        };
        write(lane, Write::AddItem(AddItem { business: id, item })).await?;
    }
    let staff = account(store, house.staff).await?;
    write(lane, Write::PutMember(PutMember { business: id, user: staff, role: MemberRole::Staff })).await?;
    made.businesses += 1;
    made.items += house.menu.len();
    Ok(id)
}

async fn account(store: &dyn Store, email: &str) -> Result<UserId, StoreError> {
    let user = store.user_by_email(email).await?;
    user.map(|user| user.id).ok_or_else(|| StoreError::NotHappened(format!("{email} is not there any more")))
}

fn business(house: &House, now: Timestamp) -> Business {
    Business {
        id: BusinessId::generate(),
        name: house.name.to_owned(),
        location: house.location,
        zone: ZONE.to_owned(),
        timezone: Timezone::parse("Europe/Lisbon").unwrap_or_else(|_| Timezone::utc()),
        currency: "EUR".parse::<Currency>().expect("EUR is a currency"),
        prep_minutes: 15,
        tables: 8,
        delivered_by: house.delivered_by,
        contact: BusinessContact::default(),
        state: BusinessState::Open,
        pauses: Pauses::default(),
        accepts: Accepts::default(),
        alerts: AlertPolicy::default(),
        version: 1,
        created_at: now,
        updated_at: now,
    }
}

async fn write(lane: &mut dyn Lane, write: Write) -> Result<(), StoreError> {
    match run_one(lane, write).await? {
        Outcome::Done
        | Outcome::UserCreated(Creation::Created)
        | Outcome::DriverChanged(Ok(()))
        | Outcome::ItemAdded(Addition::Added)
        | Outcome::MemberPut(Ok(())) => Ok(()),
        refused => Err(StoreError::NotHappened(format!("a part was refused: {refused:?}"))),
    }
}

async fn hash(settings: &Settings) -> Result<String, SeedError> {
    let auth = &settings.http.auth;
    let cost = PasswordSettings {
        memory_kib: auth.hash_memory_kib,
        iterations: auth.hash_passes,
        ..PasswordSettings::default()
    };
    let passwords = Passwords::new(&cost).map_err(StartError::from)?;
    let password = NewPassword::parse(PASSWORD.to_owned().into()).expect("the password is long enough");
    Ok(passwords.hash(password, Standing::Known).await?)
}
