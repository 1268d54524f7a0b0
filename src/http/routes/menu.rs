//! Menus: everybody reads, members write.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, delete, get, patch, post, web};
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::business::{MAX_MENU_ITEMS, MenuItem};
use crate::domain::ids::BusinessId;
use crate::protocol::problem::ProblemCode;
use crate::storage::commands::{AddItem, Addition, ItemPatch, Removal};

use crate::http::app_state::AppState;
use crate::http::authorization;
use crate::http::extractors::audience::Merchants;
use crate::http::extractors::path_id::{PathId, path_text};
use crate::http::extractors::signed_in::SignedIn;
use crate::http::idempotency::request::{Executed, KeyCheck, PreparedResponse, check_key, execute};
use crate::http::input::{Body, null_is_a_value, rules};
use crate::http::response::cache_status::CacheStatus;
use crate::http::response::problem::ApiError;
use crate::http::route_table::{Endpoint, Mount, RouteFacts};

/// Mounts the routes.
pub(in crate::http) fn routes(mount: &mut impl Mount) {
    mount.endpoint(read).endpoint(add).endpoint(update).endpoint(remove);
}

/// An item of a menu.
#[derive(Deserialize, Serialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "sku": "pastel", "name": "Pastel de nata", "category": "Sweets", "price_minor": 130, "available": true
}))]
pub struct ItemBody {
    /// The merchant's own code, unique in the business.
    #[garde(custom(rules::sku))]
    #[schema(min_length = 1, max_length = 64, example = "pastel")]
    sku: String,
    /// The name that customers see.
    #[garde(custom(rules::line::<100>))]
    #[schema(min_length = 1, max_length = 100, example = "Pastel de nata")]
    name: String,
    /// Its category on the menu.
    #[garde(inner(custom(rules::line::<100>)))]
    #[schema(min_length = 1, max_length = 100, example = "Sweets")]
    category: Option<String>,
    /// Price of one, in minor units of the business's currency.
    #[garde(range(min = 0, max = 100_000_000))]
    #[schema(minimum = 0, maximum = 100_000_000, example = 130)]
    price_minor: i64,
    /// Whether it can be ordered now; it can unless this is false.
    #[garde(skip)]
    #[serde(default = "yes")]
    #[schema(default = true)]
    available: bool,
}

fn yes() -> bool {
    true
}

impl From<MenuItem> for ItemBody {
    fn from(item: MenuItem) -> Self {
        let MenuItem { sku, name, category, price_minor, available } = item;
        Self { sku, name, category, price_minor, available }
    }
}

/// The menu of a business.
#[derive(Serialize, ToSchema)]
pub struct MenuView {
    /// `biz_…`
    business_id: String,
    /// The currency of every price, ISO 4217.
    #[schema(example = "EUR")]
    currency: String,
    /// Those that items name, by name.
    categories: Vec<String>,
    /// By category and name.
    items: Vec<ItemBody>,
}

/// Read a menu.
#[utoipa::path(operation_id = "readMenu", tag = "menu", params(("id" = String, Path, description = "`biz_…`")),
    responses((status = 200, description = "The menu", body = MenuView,
        headers(("Cache-Status" = String,
         description = "Only on a copy whose time is over, while the store is away: `bellhop; hit; ttl=-42; detail=stale`")))))]
#[get("/businesses/{id}/menu")]
async fn read(app: web::Data<AppState>, id: PathId<BusinessId>) -> Result<HttpResponse, ApiError> {
    let mut freshness = CacheStatus::new();
    let business = freshness.take(app.reads.business(id.0).await?.ok_or_else(ApiError::not_found)?);
    let menu = freshness.take(app.reads.menu(id.0).await?);
    let items: Vec<ItemBody> = menu.iter().cloned().map(ItemBody::from).collect();
    let mut categories: Vec<String> = items.iter().filter_map(|item| item.category.clone()).collect();
    categories.dedup();
    let (business_id, currency) = (business.id.to_string(), business.currency.to_string());
    let mut response = HttpResponse::Ok().json(MenuView { business_id, currency, categories, items });
    freshness.mark(&mut response);
    Ok(response)
}

impl Endpoint for read {
    const FACTS: RouteFacts = RouteFacts::public();
}

/// Put a new item on the menu.
///
/// With an idempotency key the request may be repeated for 24 hours and happens once.
#[utoipa::path(operation_id = "addMenuItem", tag = "menu", request_body = ItemBody,
    params(
        ("id" = String, Path, description = "`biz_…`"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 64 visible ASCII characters"),
    ),
    responses(
        (status = 201, description = "The item", body = ItemBody,
         headers(("Location" = String, description = "Its address"))),
        (status = 409, description = "`already_exists`: the sku is on the menu; `limit_reached`: it has as many items as it may"),
    ))]
#[post("/businesses/{id}/menu/items")]
async fn add(
    app: web::Data<AppState>,
    who: SignedIn<Merchants>,
    id: PathId<BusinessId>,
    request: HttpRequest,
    body: Body<ItemBody>,
) -> Result<HttpResponse, ApiError> {
    authorization::membership(&app, who.principal, id.0).await?;
    let view = body.0;
    let address = format!("/api/v1/businesses/{}/menu/items/{}", id.0, in_path(&view.sku));
    let route = format!("POST /businesses/{}/menu/items", id.0);
    let keyed = match check_key(&app, who.principal, &request, &route, &view).await? {
        KeyCheck::New(keyed) => keyed,
        KeyCheck::Repetition(answer) => return Ok(answer.repeat(Some(address))),
    };
    let item = MenuItem {
        sku: view.sku.clone(),
        name: view.name.clone(),
        category: view.category.clone(),
        price_minor: view.price_minor,
        available: view.available,
    };
    let write = AddItem { business: id.0, item };
    let answer = PreparedResponse::new(StatusCode::CREATED, &view);
    match execute(&app, keyed, write, answer).await? {
        Executed::Now(Addition::AlreadyThere, _) => {
            Err(ApiError::new(ProblemCode::AlreadyExists, "An item with this sku is on the menu."))
        }
        Executed::Now(Addition::Full, _) => Err(ApiError::new(
            ProblemCode::LimitReached,
            format!("The menu has {MAX_MENU_ITEMS} items, as many as it may: take one off first."),
        )),
        Executed::Now(Addition::Added, answer) => Ok(answer.respond(Some(address))),
        Executed::Before(answer) => Ok(answer.repeat(Some(address))),
    }
}

impl Endpoint for add {
    const FACTS: RouteFacts = RouteFacts::of::<Merchants>();
}

/// A text as a part of a path.
fn in_path(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut path, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                path.push(char::from(byte))
            }
            _ => path.push_str(&format!("%{byte:02X}")),
        }
        path
    })
}

/// Changes to an item; what is left out stays.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"price_minor": 140, "available": true}))]
pub struct ItemChanges {
    /// The name that customers see.
    #[garde(inner(custom(rules::line::<100>)))]
    #[schema(min_length = 1, max_length = 100, example = "Pastel de nata")]
    name: Option<String>,
    /// Its category on the menu; `null` takes it out of its category.
    #[garde(inner(inner(custom(rules::line::<100>))))]
    #[serde(default, deserialize_with = "null_is_a_value")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 100, example = "Sweets")]
    category: Option<Option<String>>,
    /// Price of one, in minor units.
    #[garde(range(min = 0, max = 100_000_000))]
    #[schema(minimum = 0, maximum = 100_000_000, example = 130)]
    price_minor: Option<i64>,
    /// Whether it can be ordered now.
    #[garde(skip)]
    available: Option<bool>,
}

/// Change an item.
#[utoipa::path(operation_id = "changeMenuItem", tag = "menu", request_body = ItemChanges,
    params(
        ("id" = String, Path, description = "`biz_…`"),
        ("sku" = String, Path, description = "The merchant's own code"),
    ),
    responses((status = 200, description = "The item as it is now", body = ItemBody)))]
#[patch("/businesses/{id}/menu/items/{sku}")]
async fn update(
    app: web::Data<AppState>,
    who: SignedIn<Merchants>,
    id: PathId<BusinessId>,
    request: HttpRequest,
    body: Body<ItemChanges>,
) -> Result<HttpResponse, ApiError> {
    authorization::membership(&app, who.principal, id.0).await?;
    let ItemChanges { name, category, price_minor, available } = body.0;
    let patch = ItemPatch { name, category, price_minor, available };
    let item = app.persistence.update_item(id.0, path_text(&request, "sku")?, patch).await?;
    Ok(HttpResponse::Ok().json(ItemBody::from(item.ok_or_else(ApiError::not_found)?)))
}

impl Endpoint for update {
    const FACTS: RouteFacts = RouteFacts::of::<Merchants>();
}

/// Take an item off the menu; orders keep what they have.
#[utoipa::path(operation_id = "removeMenuItem", tag = "menu",
    params(
        ("id" = String, Path, description = "`biz_…`"),
        ("sku" = String, Path, description = "The merchant's own code"),
    ),
    responses((status = 204, description = "Not on the menu any more")))]
#[delete("/businesses/{id}/menu/items/{sku}")]
async fn remove(
    app: web::Data<AppState>,
    who: SignedIn<Merchants>,
    id: PathId<BusinessId>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    authorization::membership(&app, who.principal, id.0).await?;
    match app.persistence.remove_item(id.0, path_text(&request, "sku")?).await? {
        Removal::Removed => Ok(HttpResponse::NoContent().finish()),
        Removal::NotThere | Removal::LastOwner => Err(ApiError::not_found()),
    }
}

impl Endpoint for remove {
    const FACTS: RouteFacts = RouteFacts::of::<Merchants>();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_category_that_is_null_is_told_from_one_that_is_left_out() {
        let category = |json: &str| serde_json::from_str::<ItemChanges>(json).unwrap().category;
        assert_eq!(category("{}"), None);
        assert_eq!(category(r#"{"category":null}"#), Some(None));
        assert_eq!(category(r#"{"category":"Sweets"}"#), Some(Some("Sweets".to_owned())));
    }

    #[test]
    fn a_sku_of_any_letters_has_an_address() {
        assert_eq!(in_path("a-1_~."), "a-1_~.");
        assert_eq!(in_path("a/b%寿"), "a%2Fb%25%E5%AF%BF");
    }
}
