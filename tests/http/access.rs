//! Who may do what: every registered route, every role, and whose object it is about, in one table.

use std::collections::{BTreeMap, BTreeSet};

use bellhop::domain::ids::{
    BusinessId, DeadLetterId, InvitationId, LoginSessionId, NotificationId, OrderId, PaymentId, RefundId,
    UserId,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::payments;
use crate::support::{Device, PASSWORD, Person, StoreKind, TestApp, order_body};
use crate::with;

/// Method, path, whose object (`-` where there is none), and the answers to the six [`ROLES`].
///
/// An order of one's own is a customer's own, or one at a member's business; `other` is another customer's at that
/// business; `foreign` is at another business. A business is `own` for its members; of what lies in it, `foreign` is
/// what belongs to another business but is asked for under one's own. Sockets are `WS`: 101 when the room is open,
/// else the HTTP status or the code they are closed with. Objects are made anew for every question.
const TABLE: &str = "
GET    /health                                        -             200 200 200 200 200 200
GET    /health/live                                   -             200 200 200 200 200 200
GET    /health/ready                                  -             200 200 200 200 200 200
GET    /health/detailed                               -             200 200 200 200 200 200
GET    /health/version                                -             200 200 200 200 200 200
GET    /health/metrics                                -             200 200 200 200 200 200
GET    /metrics                                       -             200 200 200 200 200 200
POST   /api/v1/auth/signup                            -             201 201 201 201 201 201
POST   /api/v1/auth/login                             -             200 200 200 200 200 200
POST   /api/v1/auth/refresh                           -             200 200 200 200 200 200
POST   /api/v1/auth/logout                            -             401 204 204 204 204 204
POST   /api/v1/auth/ticket                            -             401 200 200 200 200 200
GET    /api/v1/auth/me                                -             401 200 200 200 200 200
PATCH  /api/v1/auth/me                                -             401 200 200 200 200 200
GET    /api/v1/auth/sessions                          -             401 200 200 200 200 200
DELETE /api/v1/auth/sessions/{id}                     own           401 204 204 204 204 204
DELETE /api/v1/auth/sessions/{id}                     other,foreign 401 404 404 404 404 404
DELETE /api/v1/auth/sessions/{id}                     absent        401 404 404 404 404 404
DELETE /api/v1/admin/rate-limits                      -             401 403 403 403 403 204
POST   /api/v1/admin/users/{id}/approve               own,other,foreign 401 403 403 403 403 200
POST   /api/v1/admin/users/{id}/approve               absent        401 403 403 403 403 404
GET    /api/v1/rooms/{room}/events                     own           401 404 404 200 200 200
GET    /api/v1/rooms/{room}/events                     other,foreign 401 404 404 404 404 200
GET    /api/v1/rooms/{room}/events                     absent        401 404 404 404 404 404
GET    /api/v1/rooms/{room}/stream                     own           401 404 404 200 200 200
GET    /api/v1/rooms/{room}/stream                     other,foreign 401 404 404 404 404 200
GET    /api/v1/rooms/{room}/stream                     absent        401 404 404 404 404 404
POST   /api/v1/rooms/{room}/ack                        own           401 404 404 204 204 204
POST   /api/v1/rooms/{room}/ack                        other,foreign 401 404 404 404 404 204
POST   /api/v1/rooms/{room}/ack                        absent        401 404 404 404 404 404
PUT    /api/v1/devices/{id}                            own,other,foreign,absent 401 403 403 200 200 200
GET    /api/v1/businesses                             -             401 200 200 200 200 200
POST   /api/v1/businesses                             -             401 403 403 201 201 201
GET    /api/v1/businesses/{id}                        own           401 200 200 200 200 200
GET    /api/v1/businesses/{id}                        other,foreign 401 200 200 200 200 200
GET    /api/v1/businesses/{id}                        absent        401 404 404 404 404 404
PATCH  /api/v1/businesses/{id}                        own           401 403 403 403 200 200
PATCH  /api/v1/businesses/{id}                        other,foreign 401 403 403 404 404 200
PATCH  /api/v1/businesses/{id}                        absent        401 403 403 404 404 404
DELETE /api/v1/businesses/{id}/pauses/{cause}         own           401 403 403 200 200 200
DELETE /api/v1/businesses/{id}/pauses/{cause}         other,foreign 401 403 403 404 404 200
DELETE /api/v1/businesses/{id}/pauses/{cause}         absent        401 403 403 404 404 404
POST   /api/v1/businesses/{id}/alerts/mute            own           401 403 403 200 200 200
POST   /api/v1/businesses/{id}/alerts/mute            other,foreign 401 403 403 404 404 200
POST   /api/v1/businesses/{id}/alerts/mute            absent        401 403 403 404 404 404
GET    /api/v1/businesses/{id}/members                own           401 403 403 200 200 200
GET    /api/v1/businesses/{id}/members                other,foreign 401 403 403 404 404 200
GET    /api/v1/businesses/{id}/members                absent        401 403 403 404 404 404
POST   /api/v1/businesses/{id}/members                own           401 403 403 403 202 202
POST   /api/v1/businesses/{id}/members                other,foreign 401 403 403 404 404 202
POST   /api/v1/businesses/{id}/members                absent        401 403 403 404 404 404
GET    /api/v1/invitations                            -             401 403 403 200 200 200
POST   /api/v1/invitations/{id}/accept                own           401 403 403 200 200 404
POST   /api/v1/invitations/{id}/accept                other,foreign,absent 401 403 403 404 404 404
POST   /api/v1/invitations/{id}/decline               own           401 403 403 204 204 404
POST   /api/v1/invitations/{id}/decline               other,foreign,absent 401 403 403 404 404 404
PATCH  /api/v1/businesses/{id}/members/{user}         own,foreign,absent 401 403 403 403 403 403
PATCH  /api/v1/businesses/{id}/members/{user}         other         401 403 403 404 404 403
DELETE /api/v1/businesses/{id}/members/{user}         own           401 403 403 403 204 204
DELETE /api/v1/businesses/{id}/members/{user}         other         401 403 403 404 404 204
DELETE /api/v1/businesses/{id}/members/{user}         foreign       401 403 403 403 404 404
DELETE /api/v1/businesses/{id}/members/{user}         absent        401 403 403 403 404 404
GET    /api/v1/businesses/{id}/menu                   own           200 200 200 200 200 200
GET    /api/v1/businesses/{id}/menu                   other,foreign 200 200 200 200 200 200
GET    /api/v1/businesses/{id}/menu                   absent        404 404 404 404 404 404
POST   /api/v1/businesses/{id}/menu/items             own           401 403 403 201 201 201
POST   /api/v1/businesses/{id}/menu/items             other,foreign 401 403 403 404 404 201
POST   /api/v1/businesses/{id}/menu/items             absent        401 403 403 404 404 404
PATCH  /api/v1/businesses/{id}/menu/items/{sku}       own           401 403 403 200 200 200
PATCH  /api/v1/businesses/{id}/menu/items/{sku}       other         401 403 403 404 404 200
PATCH  /api/v1/businesses/{id}/menu/items/{sku}       foreign       401 403 403 404 404 404
PATCH  /api/v1/businesses/{id}/menu/items/{sku}       absent        401 403 403 404 404 404
DELETE /api/v1/businesses/{id}/menu/items/{sku}       own           401 403 403 204 204 204
DELETE /api/v1/businesses/{id}/menu/items/{sku}       other         401 403 403 404 404 204
DELETE /api/v1/businesses/{id}/menu/items/{sku}       foreign       401 403 403 404 404 404
DELETE /api/v1/businesses/{id}/menu/items/{sku}       absent        401 403 403 404 404 404
GET    /api/v1/businesses/{id}/notifications          own           401 403 403 200 200 200
GET    /api/v1/businesses/{id}/notifications          other,foreign 401 403 403 404 404 200
GET    /api/v1/businesses/{id}/notifications          absent        401 403 403 404 404 404
POST   /api/v1/businesses/{id}/notifications          own           401 403 403 201 201 201
POST   /api/v1/businesses/{id}/notifications          other,foreign 401 403 403 404 404 201
POST   /api/v1/businesses/{id}/notifications          absent        401 403 403 404 404 404
GET    /api/v1/orders                                 -             401 200 200 200 200 200
POST   /api/v1/orders                                 own           401 201 403 201 201 403
POST   /api/v1/orders                                 other,foreign 401 201 403 404 404 403
POST   /api/v1/orders                                 absent        401 404 403 404 404 403
GET    /api/v1/orders/{id}                            own           401 200 404 200 200 200
GET    /api/v1/orders/{id}                            other         401 404 404 200 200 200
GET    /api/v1/orders/{id}                            foreign       401 404 404 404 404 200
GET    /api/v1/orders/{id}                            absent        401 404 404 404 404 404
PATCH  /api/v1/orders/{id}                            own           401 200 404 200 200 200
PATCH  /api/v1/orders/{id}                            other         401 404 404 200 200 200
PATCH  /api/v1/orders/{id}                            foreign       401 404 404 404 404 200
PATCH  /api/v1/orders/{id}                            absent        401 404 404 404 404 404
POST   /api/v1/orders/{id}/ring                       own,other,foreign 401 403 403 403 403 204
POST   /api/v1/orders/{id}/ring                       absent        401 403 403 403 403 404
POST   /api/v1/orders/{id}/payments                   own,other     401 403 403 201 201 201
POST   /api/v1/orders/{id}/payments                   foreign       401 403 403 404 404 201
POST   /api/v1/orders/{id}/payments                   absent        401 403 403 404 404 404
POST   /api/v1/orders/{id}/refunds                    own,other     401 403 403 403 403 201
POST   /api/v1/orders/{id}/refunds                    foreign       401 403 403 404 404 201
POST   /api/v1/orders/{id}/refunds                    absent        401 403 403 404 404 404
POST   /api/v1/payments/initiate                      own           401 201 403 404 404 403
POST   /api/v1/payments/initiate                      other,foreign,absent 401 404 403 404 404 403
POST   /api/v1/payments/webhook                       -             200 200 200 200 200 200
GET    /api/v1/admin/refunds                          -             401 403 403 403 403 200
POST   /api/v1/admin/refunds/{id}/retry               own,other,foreign 401 403 403 403 403 200
POST   /api/v1/admin/refunds/{id}/retry               absent        401 403 403 403 403 404
POST   /api/v1/admin/refunds/{id}/settle              own,other,foreign 401 403 403 403 403 200
POST   /api/v1/admin/refunds/{id}/settle              absent        401 403 403 403 403 404
GET    /api/v1/admin/dead-letters                     -             401 403 403 403 403 200
GET    /api/v1/admin/dead-letters/{id}                own,other,foreign 401 403 403 403 403 200
GET    /api/v1/admin/dead-letters/{id}                absent        401 403 403 403 403 404
POST   /api/v1/admin/dead-letters/{id}/replay         own,other,foreign 401 403 403 403 403 202
POST   /api/v1/admin/dead-letters/{id}/replay         absent        401 403 403 403 403 404
POST   /api/v1/admin/dead-letters/replay              -             401 403 403 403 403 202
PATCH  /api/v1/orders/{id}/status                     own           401 200 404 200 200 200
PATCH  /api/v1/orders/{id}/status                     other         401 404 404 200 200 200
PATCH  /api/v1/orders/{id}/status                     foreign       401 404 404 404 404 200
PATCH  /api/v1/orders/{id}/status                     absent        401 404 404 404 404 404
GET    /api/v1/admin/jobs                             -             401 403 403 403 403 200
GET    /api/v1/admin/businesses                       -             401 403 403 403 403 200
GET    /api/v1/admin/holds                            -             401 403 403 403 403 200
PUT    /api/v1/admin/holds                            -             401 403 403 403 403 200
GET    /api/v1/businesses/{id}/stats                  own           401 403 403 200 200 200
GET    /api/v1/businesses/{id}/stats                  other,foreign 401 403 403 404 404 200
GET    /api/v1/businesses/{id}/stats                  absent        401 403 403 404 404 404
POST   /api/v1/businesses/{id}/notifications/{notification}/read own           401 403 403 200 200 200
POST   /api/v1/businesses/{id}/notifications/{notification}/read other         401 403 403 404 404 200
POST   /api/v1/businesses/{id}/notifications/{notification}/read foreign       401 403 403 404 404 404
POST   /api/v1/businesses/{id}/notifications/{notification}/read absent        401 403 403 404 404 404
GET    /api/v1/orders/{id}/timeline                   own           401 200 404 200 200 200
GET    /api/v1/orders/{id}/timeline                   other         401 404 404 200 200 200
GET    /api/v1/orders/{id}/timeline                   foreign       401 404 404 404 404 200
GET    /api/v1/orders/{id}/timeline                   absent        401 404 404 404 404 404
WS     /ws/notifications/{business_id}                own           401 4004 4004 101 101 101
WS     /ws/notifications/{business_id}                other,foreign 401 4004 4004 4004 4004 101
WS     /ws/notifications/{business_id}                absent        401 4004 4004 4004 4004 4004
WS     /ws/orders/{order_id}                          own           401 101 4004 101 101 101
WS     /ws/orders/{order_id}                          other         401 4004 4004 101 101 101
WS     /ws/orders/{order_id}                          foreign       401 4004 4004 4004 4004 101
WS     /ws/orders/{order_id}                          absent        401 4004 4004 4004 4004 4004
WS     /ws/ops                                        -             401 4004 4004 4004 4004 101
";

const ROLES: [&str; 6] = ["nobody", "customer", "driver", "staff", "owner", "admin"];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Whose {
    Nobodys,
    Own,
    Other,
    Foreign,
    Absent,
}

struct Row {
    method: &'static str,
    path: &'static str,
    whose: Vec<Whose>,
    answers: Vec<u16>,
}

fn table() -> Vec<Row> {
    let row = |line: &'static str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let whose = |word: &str| match word {
            "-" => Whose::Nobodys,
            "own" => Whose::Own,
            "other" => Whose::Other,
            "foreign" => Whose::Foreign,
            "absent" => Whose::Absent,
            word => panic!("{word} in {line}"),
        };
        let answers: Vec<u16> = words[3..].iter().map(|word| word.parse().unwrap()).collect();
        assert_eq!(answers.len(), ROLES.len(), "{line}");
        Row { method: words[0], path: words[1], whose: words[2].split(',').map(whose).collect(), answers }
    };
    TABLE.lines().filter(|line| !line.is_empty()).map(row).collect()
}

/// Two businesses with their people, and one person of every role.
struct Fixture {
    app: TestApp,
    people: BTreeMap<&'static str, Person>,
    /// Another customer.
    yan: Person,
    own: String,
    /// The owner of another business.
    otto: Person,
    foreign: String,
}

impl Fixture {
    async fn new() -> Self {
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
        Self { app, people, yan, own, otto, foreign }
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
    async fn address(&self, template: &str, whose: Whose, caller: &Person) -> String {
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
        } else if template.contains("/orders/{") {
            let order = match template.ends_with("/refunds") {
                true => self.paid_order(whose).await,
                false => self.order(whose).await,
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

    async fn ask(&self, row: &Row, whose: Whose, role: &'static str) -> u16 {
        let mut caller = self.people.get(role).unwrap_or(&self.yan).clone();
        if row.path.ends_with("/logout") {
            caller.sign_in(&self.app, None).await;
        }
        let path = self.address(row.path, whose, &caller).await;
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

#[test]
fn every_registered_route_is_in_the_table_for_every_object_and_no_other() {
    let document: Value = serde_json::from_str(&bellhop::http::openapi::openapi_json()).unwrap();
    let mut registered: BTreeSet<(String, String)> = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        registered.extend(item.as_object().unwrap().keys().map(|verb| (verb.to_uppercase(), path.clone())));
    }
    let sockets = bellhop::http::sockets::PATTERNS;
    registered.extend(sockets.iter().map(|path| ("WS".to_owned(), (*path).to_owned())));
    let mut tabled: BTreeMap<(String, String), BTreeSet<Whose>> = BTreeMap::new();
    for row in table() {
        let asked = tabled.entry((row.method.to_owned(), row.path.to_owned())).or_default();
        for whose in row.whose {
            assert!(asked.insert(whose), "{} {} twice for {whose:?}", row.method, row.path);
        }
    }
    assert_eq!(tabled.keys().cloned().collect::<BTreeSet<_>>(), registered);
    for ((method, path), asked) in tabled {
        let objects = [Whose::Own, Whose::Other, Whose::Foreign, Whose::Absent];
        let all = path.contains('{').then(|| BTreeSet::from(objects));
        assert!(all.is_none_or(|all| all == asked), "{method} {path} is asked for {asked:?} only");
    }
}

#[tokio::test]
async fn every_route_answers_every_role_as_the_table_says() {
    let world = Fixture::new().await;
    let mut wrong = Vec::new();
    for row in table() {
        for whose in &row.whose {
            for (role, wanted) in ROLES.into_iter().zip(&row.answers) {
                let got = world.ask(&row, *whose, role).await;
                if got != *wanted {
                    wrong.push(format!("{} {} {whose:?} {role}: {got}, not {wanted}", row.method, row.path));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
