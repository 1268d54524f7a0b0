//! Deliveries as those see them who work on them.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::business::Business;
use crate::domain::delivery::told::to_collect;
use crate::domain::delivery::{Delivery, Proof, RoughPlace, Step};
use crate::domain::order::{Order, order_number};
use crate::domain::time::Timestamp;

use super::driver_views::CourierView;
use super::views::{Contact, CustomerView, ItemView, PaymentView};

/// Where a delivery is fetched.
#[derive(Clone, PartialEq, Serialize, ToSchema)]
pub struct PickupView {
    /// The name of the business.
    pub name: String,
    /// Degrees, north is positive.
    pub lat: f64,
    /// Degrees, east is positive.
    pub lng: f64,
    /// The telephone number of the business, for those who see that of the customer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
}

/// Where a delivery goes.
#[derive(Clone, PartialEq, Serialize, ToSchema)]
pub struct DropoffView {
    /// Degrees, north is positive; to two decimals for those who do not see the address.
    pub lat: f64,
    /// Degrees, east is positive.
    pub lng: f64,
    /// The address as a person would write it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// A delivery as those see it who work on it.
#[derive(Clone, PartialEq, Serialize, ToSchema)]
pub struct DeliveryDetailsView {
    /// An id that begins with `dlv_`.
    pub id: String,
    /// Its order, `ord_…`.
    pub order_id: String,
    /// The number people call the order by.
    pub order_number: String,
    /// The business, `biz_…`.
    pub business_id: String,
    /// `unassigned`, `offered`, `assigned`, `at_pickup`, `picked_up`, `at_dropoff`, `delivered`, `failed`, `returned` or `cancelled`.
    #[schema(example = "assigned")]
    pub status: &'static str,
    /// Counts changes of the delivery.
    pub version: i64,
    /// The status of the order.
    #[schema(example = "preparing")]
    pub order_status: &'static str,
    /// The steps that the caller can report now.
    #[schema(example = json!(["at_pickup", "picked_up"]))]
    pub steps: Vec<&'static str>,
    /// Where it is fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pickup: Option<PickupView>,
    /// Where it goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropoff: Option<DropoffView>,
    /// Who gets it; the number until some time after the end.
    pub customer: CustomerView,
    /// What is brought.
    pub items: Vec<ItemView>,
    /// What the customer wrote.
    pub notes: Option<String>,
    /// How it is paid.
    pub payment: PaymentView,
    /// Cash to take at the door, in minor units.
    #[schema(example = 0)]
    pub collect_minor: i64,
    /// Cash that was taken, in minor units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collected_minor: Option<i64>,
    /// What the driver gets, in minor units; not for the business.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 350)]
    pub payout_minor: Option<i64>,
    /// The currency by ISO 4217.
    #[schema(example = "EUR")]
    pub currency: String,
    /// Who has it, or had it at its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver: Option<CourierView>,
    /// Why it last left a driver, or was cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "order_ended")]
    pub reason: Option<&'static str>,
    /// What proves that it arrived: `code` or `photo`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "code")]
    pub proof: Option<&'static str>,
    /// The reference to the photo, if that is the proof.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub photo: Option<String>,
    /// When the food is to be ready; RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_at: Option<String>,
    /// When the driver got it; RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assigned_at: Option<String>,
    /// When the driver came to the business; RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_pickup_at: Option<String>,
    /// When it was taken over; RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub picked_up_at: Option<String>,
    /// When the driver came to the customer's; RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_dropoff_at: Option<String>,
    /// When it ended; RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
    /// When it began to be one; RFC 3339.
    pub created_at: String,
}

/// What the one who looks at a delivery may see of it.
#[derive(Clone, Debug, PartialEq)]
pub struct DeliverySight {
    /// Phones and address.
    pub contact: Contact,
    /// What the driver gets.
    pub shows_payout: bool,
    /// The steps they can report.
    pub steps: Vec<Step>,
    /// The driver, for those who are not the driver.
    pub driver: Option<CourierView>,
}

impl DeliveryDetailsView {
    /// The delivery of an order. Without the business it is not said where it is fetched.
    pub fn new(delivery: &Delivery, order: &Order, shop: Option<&Business>, sight: DeliverySight) -> Self {
        let shown = sight.contact == Contact::Shown;
        let time = |at: Option<Timestamp>| at.map(Timestamp::to_rfc3339);
        let (proof, photo) = named(delivery.proof.as_ref());
        Self {
            id: delivery.id.to_string(),
            order_id: order.id.to_string(),
            order_number: order_number(order.order_number),
            business_id: order.business_id.to_string(),
            status: delivery.status.as_str(),
            version: order.delivery_version,
            order_status: order.status.as_str(),
            steps: sight.steps.into_iter().map(Step::as_str).collect(),
            pickup: shop.map(|shop| PickupView::of(shop, shown)),
            dropoff: DropoffView::of(order, shown),
            customer: CustomerView::of(order, shown),
            items: order.items.iter().map(ItemView::of).collect(),
            notes: order.notes.clone(),
            payment: PaymentView::of(order),
            collect_minor: to_collect(order),
            collected_minor: delivery.collected_minor,
            payout_minor: sight.shows_payout.then_some(delivery.payout_minor),
            currency: delivery.currency.to_string(),
            driver: sight.driver,
            reason: delivery.reason.map(|reason| reason.as_str()),
            proof,
            photo,
            ready_at: time(order.ready_at),
            assigned_at: time(delivery.assigned_at),
            at_pickup_at: time(delivery.at_pickup_at),
            picked_up_at: time(delivery.picked_up_at),
            at_dropoff_at: time(delivery.at_dropoff_at),
            ended_at: time(delivery.ended_at),
            created_at: delivery.created_at.to_rfc3339(),
        }
    }
}

/// The word for a proof, and the reference of a photo.
fn named(proof: Option<&Proof>) -> (Option<&'static str>, Option<String>) {
    match proof {
        Some(Proof::Code) => (Some("code"), None),
        Some(Proof::Photo(photo)) => (Some("photo"), Some(photo.clone())),
        None => (None, None),
    }
}

impl PickupView {
    fn of(business: &Business, shows_phone: bool) -> Self {
        Self {
            name: business.name.clone(),
            lat: business.location.lat,
            lng: business.location.lng,
            phone: business.contact.phone.clone().filter(|_| shows_phone),
        }
    }
}

impl DropoffView {
    fn of(order: &Order, is_exact: bool) -> Option<Self> {
        let address = order.address.as_ref()?;
        if is_exact {
            let place = address.location;
            return Some(Self { lat: place.lat, lng: place.lng, text: Some(address.text.clone()) });
        }
        let rough = RoughPlace::of(address.location);
        Some(Self { lat: rough.lat, lng: rough.lng, text: None })
    }
}
