//! People of every role, objects that are made anew for every question, and the question itself.

use std::collections::BTreeMap;
use std::time::Duration;

use bellhop::domain::ids::{
    BusinessId, DeadLetterId, DeliveryId, InvitationId, LoginSessionId, NotificationId, OfferId, OrderId,
    PaymentId, RefundId, UserId,
};
use bellhop::domain::time::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use super::table::{Row, Whose};
use crate::support::{Device, PASSWORD, Person, StoreKind, TestApp, order_body};
use crate::with;
use crate::{deliveries, payments};

/// Two businesses with their people, and one person of every role.
pub(super) struct Fixture {
    app: TestApp,
    people: BTreeMap<&'static str, Person>,
    /// Another customer.
    yan: Person,
    /// Another driver.
    dave: Person,
    own: String,
    /// The owner of another business.
    otto: Person,
    foreign: String,
}

impl Fixture {
    pub(super) async fn new() -> Self {
        let app = TestApp::start_with(StoreKind::Sqlite, &payments::simulated()).await;
        let (owner, otto) = (app.person("merchant", "Olga").await, app.person("merchant", "Otto").await);
        let (own, foreign) = (owner.business(&app).await, otto.business(&app).await);
        let staff = app.person("merchant", "Sam").await;
        owner.take_in(&app, &own, &staff).await;
        let people = BTreeMap::from([
            ("customer", app.person("customer", "Zoe").await),
            ("driver", app.person("driver", "Dora").await),
            ("staff", staff),
            ("owner", owner),
            ("admin", app.operator("Ada").await),
        ]);
        let yan = app.person("customer", "Yan").await;
        let dave = app.person("driver", "Dave").await;
        for driver in [&people["driver"], &dave] {
            driver.patch(&app, "/drivers/me", &json!({"zones": ["elsewhere"]})).await.expect(200);
        }
        // Each carries a delivery of every question.
        app.execute("UPDATE drivers SET capacity = 250".to_owned()).await;
        Self { app, people, yan, dave, own, otto, foreign }
    }

    /// Which business is meant, and who owns it.
    fn business(&self, whose: Whose) -> (String, &Person) {
        match whose {
            Whose::Nobodys | Whose::Own => (self.own.clone(), &self.people["owner"]),
            Whose::Other | Whose::Foreign => (self.foreign.clone(), &self.otto),
            Whose::Absent => (BusinessId::generate().to_string(), &self.otto),
        }
    }

    async fn order(&self, whose: Whose) -> String {
        self.order_paid_by(whose, "cash").await
    }

    async fn order_paid_by(&self, whose: Whose, payment: &str) -> String {
        let (customer, business) = match whose {
            Whose::Nobodys | Whose::Own => (&self.people["customer"], &self.own),
            Whose::Other => (&self.yan, &self.own),
            Whose::Foreign => (&self.yan, &self.foreign),
            Whose::Absent => return OrderId::generate().to_string(),
        };
        let body = with(order_body(business), json!({"payment": payment}));
        let order = customer.post(&self.app, "/orders", &body).await.expect(201).json();
        order["id"].as_str().unwrap().to_owned()
    }

    /// An order to somebody's door for which a driver is searched, and its delivery.
    async fn searched(&self, whose: Whose) -> (String, String) {
        let (customer, business, owner) = match whose {
            Whose::Nobodys | Whose::Own => (&self.people["customer"], &self.own, &self.people["owner"]),
            Whose::Other => (&self.yan, &self.own, &self.people["owner"]),
            Whose::Foreign => (&self.yan, &self.foreign, &self.otto),
            Whose::Absent => return (OrderId::generate().to_string(), DeliveryId::generate().to_string()),
        };
        let address = json!({"text": "Rua Augusta 1", "lat": 38.71, "lng": -9.13});
        let body = with(order_body(business), json!({"fulfilment": "delivery", "address": address}));
        let order = customer.post(&self.app, "/orders", &body).await.expect(201).json();
        let accept = json!({"status": "accepted", "version": 1, "delivered_by": "drivers"});
        let path = format!("/orders/{}/status", order["id"].as_str().unwrap());
        let order = owner.patch(&self.app, &path, &accept).await.expect(200).json();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&order["id"]), text(&order["delivery"]["id"]))
    }

    fn driver(&self, whose: Whose) -> &Person {
        if matches!(whose, Whose::Nobodys | Whose::Own) { &self.people["driver"] } else { &self.dave }
    }

    /// A delivery that a driver carries.
    async fn carried(&self, whose: Whose) -> String {
        let (_, delivery) = self.searched(whose).await;
        if whose != Whose::Absent {
            let body = json!({"driver_id": self.driver(whose).id});
            let path = format!("/deliveries/{delivery}/assign");
            self.people["admin"].post(&self.app, &path, &body).await.expect(200);
        }
        delivery
    }

    /// An open offer.
    async fn offer(&self, whose: Whose) -> String {
        let (_, delivery) = self.searched(whose).await;
        match whose {
            Whose::Absent => OfferId::generate().to_string(),
            whose => deliveries::open_offer(&self.app, &delivery, self.driver(whose)).await,
        }
    }

    /// An order of which something can go back.
    async fn paid_order(&self, whose: Whose) -> String {
        let order = self.order(whose).await;
        if whose != Whose::Absent {
            let path = format!("/orders/{order}/payments");
            self.people["admin"].post(&self.app, &path, &json!({"method": "terminal"})).await.expect(201);
        }
        order
    }

    /// A refund that has failed at the provider.
    async fn refund(&self, whose: Whose) -> String {
        if whose == Whose::Absent {
            return RefundId::generate().to_string();
        }
        let path = format!("/orders/{}/refunds", self.paid_order(whose).await);
        let made = self.people["admin"].post(&self.app, &path, &json!({"reason": "Cold"})).await.expect(201);
        let id = made.json()["id"].as_str().unwrap().to_owned();
        let failed = format!("UPDATE refunds SET state = 'failed', way = 'online' WHERE id = '{id}'");
        self.app.execute(failed).await;
        id
    }

    /// A dead letter that is open.
    async fn dead_letter(&self, whose: Whose) -> String {
        if whose == Whose::Absent {
            return DeadLetterId::generate().to_string();
        }
        let order = OrderId::generate().to_string();
        let unreadable = json!({"order_id": order, "payment_id": PaymentId::generate(), "status": "?"});
        let sent = payments::message(&self.app, &unreadable).send().await.unwrap();
        assert_eq!(sent.status(), 200);
        let of_it = |list: &Value| {
            let letter = payments::items(list).iter().find(|letter| letter["order_id"] == json!(order));
            letter.map(|letter| letter["id"].as_str().unwrap().to_owned())
        };
        let path = "/admin/dead-letters?limit=50";
        let list = payments::until(&self.app, &self.people["admin"], path, |list| of_it(list).is_some());
        of_it(&list.await).unwrap()
    }

    async fn session(&self, whose: Whose, caller: &Person) -> String {
        let owner = match whose {
            Whose::Nobodys | Whose::Own => caller,
            Whose::Other | Whose::Foreign => &self.yan,
            Whose::Absent => return LoginSessionId::generate().to_string(),
        };
        let mut again = owner.clone();
        again.sign_in(&self.app, Some("made-to-be-ended")).await;
        let list = again.get(&self.app, "/auth/sessions").await.expect(200).json();
        let current = list["items"].as_array().unwrap().iter().find(|session| session["current"] == true);
        current.unwrap()["id"].as_str().unwrap().to_owned()
    }

    /// An invitation of the caller, of somebody else, or none; each to a business of its own.
    async fn invitation(&self, whose: Whose, caller: &Person) -> String {
        let invited = match whose {
            Whose::Nobodys | Whose::Own => caller.clone(),
            Whose::Other | Whose::Foreign => self.app.person("merchant", "Mia").await,
            Whose::Absent => return InvitationId::generate().to_string(),
        };
        let business = self.otto.business(&self.app).await;
        let body = json!({"user_id": invited.id});
        self.otto.post(&self.app, &format!("/businesses/{business}/members"), &body).await.expect(202);
        let list = invited.get(&self.app, "/invitations").await.json();
        let newest = list["items"].get(0).map(|invitation| invitation["id"].as_str().unwrap().to_owned());
        newest.unwrap_or_else(|| InvitationId::generate().to_string())
    }

    async fn member(&self, whose: Whose) -> String {
        if whose == Whose::Absent {
            return UserId::generate().to_string();
        }
        let (business, owner) = self.business(whose);
        let user = self.app.person("merchant", "Mia").await;
        owner.take_in(&self.app, &business, &user).await;
        user.id
    }

    async fn notification(&self, whose: Whose) -> String {
        if whose == Whose::Absent {
            return NotificationId::generate().to_string();
        }
        let (business, owner) = self.business(whose);
        let body = json!({"type": "NOTE", "title": "Note", "message": "Read this"});
        let made =
            owner.post(&self.app, &format!("/businesses/{business}/notifications"), &body).await.expect(201);
        made.json()["id"].as_str().unwrap().to_owned()
    }

    async fn item(&self, whose: Whose) -> String {
        let sku = format!("sku-{}", uuid::Uuid::new_v4().simple());
        if whose != Whose::Absent {
            let (business, owner) = self.business(whose);
            let path = format!("/businesses/{business}/menu/items");
            owner.post(&self.app, &path, &item_body(&sku)).await.expect(201);
        }
        sku
    }

    /// The path with objects of its own in it.
    async fn address(&self, (method, template): (&str, &str), whose: Whose, caller: &Person) -> String {
        let inside = ["{user}", "{sku}", "{notification}"].iter().any(|part| template.contains(part));
        let mut path = template.to_owned();
        if template.contains("{room}") {
            path = path.replace("{room}", &format!("business:{}", self.business(whose).0));
        } else if template.contains("/devices/{") {
            path = path.replace("{id}", "till-1");
        } else if template.contains("/admin/refunds/{") {
            path = path.replace("{id}", &self.refund(whose).await);
        } else if template.contains("/dead-letters/{") {
            path = path.replace("{id}", &self.dead_letter(whose).await);
        } else if template.contains("/admin/drivers/{") {
            let driver = match whose {
                Whose::Absent => UserId::generate().to_string(),
                _ => self.app.person("driver", "Dirk").await.id,
            };
            path = path.replace("{id}", &driver);
        } else if template.contains("/offers/{") {
            path = path.replace("{id}", &self.offer(whose).await);
        } else if template.contains("/deliveries/{") {
            let is_searched =
                method == "PATCH" || ["/own", "/assign"].iter().any(|end| template.ends_with(end));
            let delivery = if is_searched { self.searched(whose).await.1 } else { self.carried(whose).await };
            path = path.replace("{id}", &delivery);
        } else if template.contains("/orders/{") {
            let order = match template.rsplit('/').next() {
                Some("refunds") => self.paid_order(whose).await,
                Some("fulfilment") => self.searched(whose).await.0,
                _ => self.order(whose).await,
            };
            path = path.replace("{id}", &order).replace("{order_id}", &order);
        } else if template.contains("/invitations/{") {
            path = path.replace("{id}", &self.invitation(whose, caller).await);
        } else if template.contains("/users/{") {
            path = path.replace("{id}", &self.member(whose).await);
        } else if template.contains("/sessions/{") {
            path = path.replace("{id}", &self.session(whose, caller).await);
        } else if path.contains("{id}") || path.contains("{business_id}") {
            let of_business = match whose {
                Whose::Foreign | Whose::Absent if inside => Whose::Own,
                whose => whose,
            };
            let business = self.business(of_business).0;
            path = path.replace("{id}", &business).replace("{business_id}", &business);
        }
        if path.contains("{user}") {
            path = path.replace("{user}", &self.member(whose).await);
        }
        if path.contains("{notification}") {
            path = path.replace("{notification}", &self.notification(whose).await);
        }
        if path.contains("{sku}") {
            path = path.replace("{sku}", &self.item(whose).await);
        }
        path = path.replace("{cause}", "manual");
        assert!(!path.contains('{'), "{template} has a part this test knows nothing of");
        path
    }

    /// A body that is right for the route.
    async fn body(&self, method: &str, path: &str, whose: Whose) -> Option<Value> {
        let name = uuid::Uuid::new_v4().simple();
        Some(match (method, path) {
            ("POST", "/api/v1/auth/signup") => {
                json!({"email": format!("{name}@example.org"), "password": PASSWORD})
            }
            ("POST", "/api/v1/auth/login") => json!({"email": self.yan.email, "password": PASSWORD}),
            ("POST", "/api/v1/auth/refresh") => {
                let mut yan = self.yan.clone();
                yan.sign_in(&self.app, None).await;
                json!({"refresh_token": yan.refresh_token})
            }
            ("POST", "/api/v1/rooms/{room}/ack") => {
                let path = format!("/rooms/business:{}/events", self.business(whose).0);
                let polled = self.people["admin"].get(&self.app, &path).await.json();
                json!({"cursor": polled["cursor"].as_str().unwrap_or("00000001.0")})
            }
            ("PUT", "/api/v1/devices/{id}") => json!({"can_ring": true}),
            ("POST", "/api/v1/businesses") => json!({
                "name": "New", "location": {"lat": 1, "lng": 1}, "zone": "z", "currency": "EUR",
            }),
            ("PATCH", "/api/v1/businesses/{id}") => json!({"name": "Renamed"}),
            ("POST", "/api/v1/businesses/{id}/members") => json!({"email": format!("{name}@example.org")}),
            ("PATCH", "/api/v1/auth/me") => json!({"phone": null}),
            ("PATCH", "/api/v1/businesses/{id}/members/{user}") => json!({"alert_me": true}),
            ("POST", "/api/v1/businesses/{id}/menu/items") => item_body(&format!("sku-{name}")),
            ("PATCH", "/api/v1/businesses/{id}/menu/items/{sku}") => json!({"price_minor": 5}),
            ("POST", "/api/v1/businesses/{id}/notifications") => {
                json!({"type": "NOTE", "title": "Note", "message": "Read this"})
            }
            ("POST", "/api/v1/orders") => {
                let mut order = order_body(&self.business(whose).0);
                order["fulfilment"] = json!("dine_in");
                order["table"] = json!(3);
                order
            }
            ("PATCH", "/api/v1/orders/{id}") => json!({"version": 1, "notes": "No sugar"}),
            ("POST", "/api/v1/orders/{id}/fulfilment") => json!({"fulfilment": "pickup"}),
            ("PATCH", "/api/v1/drivers/me") => json!({"takes_cash": true}),
            ("PUT", "/api/v1/drivers/me/status") => json!({"online": true}),
            ("PUT", "/api/v1/drivers/me/location") => json!({"lat": 1, "lng": 1}),
            ("POST", "/api/v1/offers/{id}/decline") => json!({"reason": "a test"}),
            ("PATCH", "/api/v1/deliveries/{id}") => {
                let later = Timestamp::now().plus(Duration::from_secs(7200));
                json!({"give_up_at": later.to_rfc3339()})
            }
            ("POST", "/api/v1/deliveries/{id}/steps") => json!({"step": "picked_up"}),
            ("POST", "/api/v1/deliveries/{id}/assign") => json!({"driver_id": self.people["driver"].id}),
            ("POST", "/api/v1/deliveries/{id}/unassign") => json!({"reason": "a test"}),
            ("PUT", "/api/v1/admin/drivers/{id}") => json!({"zones": ["elsewhere"]}),
            ("POST", "/api/v1/businesses/{id}/alerts/mute") => json!({"until": null}),
            ("PUT", "/api/v1/admin/holds") => {
                json!({"what": "refunds", "scope": "all", "until": null, "reason": "a test"})
            }
            ("POST", "/api/v1/payments/initiate") => {
                json!({"order_id": self.order_paid_by(whose, "online").await})
            }
            ("POST", "/api/v1/payments/webhook") => {
                json!({"payment_id": PaymentId::generate(), "order_id": OrderId::generate(), "status": "SUCCESS"})
            }
            ("POST", "/api/v1/orders/{id}/payments") => json!({"method": "terminal"}),
            ("POST", "/api/v1/orders/{id}/refunds") => json!({"reason": "a test"}),
            ("POST", "/api/v1/admin/refunds/{id}/settle") => json!({"method": "cash", "reference": "a test"}),
            ("POST", "/api/v1/admin/dead-letters/replay") => json!({}),
            ("PATCH", "/api/v1/orders/{id}/status") => {
                json!({"status": "cancelled", "version": 1, "reason": "a test"})
            }
            _ => return None,
        })
    }

    pub(super) async fn ask(&self, row: &Row, whose: Whose, role: &'static str) -> u16 {
        let mut caller = self.people.get(role).unwrap_or(&self.yan).clone();
        if row.path.ends_with("/logout") {
            caller.sign_in(&self.app, None).await;
        }
        let path = self.address((row.method, row.path), whose, &caller).await;
        let token = (role != "nobody").then_some(caller.token.as_str());
        if row.method == "WS" {
            return self.open(token, &path).await;
        }
        let method = Method::from_bytes(row.method.as_bytes()).unwrap();
        let mut request = self.app.http.request(method, self.app.url(&path));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = self.body(row.method, row.path, whose).await {
            if row.path.ends_with("/webhook") {
                let signature = payments::sign(payments::WEBHOOK_SECRET, &body.to_string());
                request = request.header("x-signature", signature);
            }
            request = request.json(&body);
        }
        // The head is the answer; the body of a stream has no end.
        request.send().await.expect("the hub answers").status().as_u16()
    }

    async fn open(&self, token: Option<&str>, path: &str) -> u16 {
        let mut device = match Device::dial(&self.app, token, path, &[]).await {
            Ok(device) => device,
            Err(refused) => return refused.status().as_u16(),
        };
        // A room there is comes in the hello; one there is not closes the socket at once.
        match device.first().await {
            Ok(hello) => {
                assert_eq!(hello["type"], "hello", "{hello}");
                device.close().await;
                101
            }
            Err(closed) => closed.code,
        }
    }
}

fn item_body(sku: &str) -> Value {
    json!({"sku": sku, "name": sku, "price_minor": 100, "available": true})
}
