//! Every route, whose object it is asked for, and the answer to each role.

/// Method, path, whose object (`-` where there is none), and the answers to the six [`ROLES`].
///
/// An order of one's own is a customer's own, or one at a member's business; `other` is another customer's at that
/// business; `foreign` is at another business. A delivery of one's own is one that the driver carries, of an order as above; in the
/// other cases another driver does. An offer of one's own is for the driver. A business is `own` for its members; of what lies in it, `foreign` is
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
POST   /api/v1/admin/users/{id}/suspend               own,other,foreign 401 403 403 403 403 200
POST   /api/v1/admin/users/{id}/suspend               absent        401 403 403 403 403 404
POST   /api/v1/admin/users/{id}/restore               own,other,foreign 401 403 403 403 403 200
POST   /api/v1/admin/users/{id}/restore               absent        401 403 403 403 403 404
DELETE /api/v1/admin/users/{id}/sessions              own,other,foreign 401 403 403 403 403 204
DELETE /api/v1/admin/users/{id}/sessions              absent        401 403 403 403 403 404
POST   /api/v1/admin/businesses/{id}/suspend          own,other,foreign 401 403 403 403 403 200
POST   /api/v1/admin/businesses/{id}/suspend          absent        401 403 403 403 403 404
POST   /api/v1/admin/businesses/{id}/restore          own,other,foreign 401 403 403 403 403 200
POST   /api/v1/admin/businesses/{id}/restore          absent        401 403 403 403 403 404
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
POST   /api/v1/orders/{id}/fulfilment                 own           401 200 403 403 403 200
POST   /api/v1/orders/{id}/fulfilment                 other,foreign 401 404 403 403 403 200
POST   /api/v1/orders/{id}/fulfilment                 absent        401 404 403 403 403 404
GET    /api/v1/drivers/me                             -             401 403 200 403 403 403
PATCH  /api/v1/drivers/me                             -             401 403 200 403 403 403
PUT    /api/v1/drivers/me/status                      -             401 403 200 403 403 403
PUT    /api/v1/drivers/me/location                    -             401 403 204 403 403 403
GET    /api/v1/drivers/me/offers                      -             401 403 200 403 403 403
GET    /api/v1/drivers/me/deliveries                  -             401 403 200 403 403 403
POST   /api/v1/offers/{id}/accept                     own           401 403 200 403 403 403
POST   /api/v1/offers/{id}/accept                     other,foreign,absent 401 403 404 403 403 403
POST   /api/v1/offers/{id}/decline                    own           401 403 204 403 403 403
POST   /api/v1/offers/{id}/decline                    other,foreign,absent 401 403 404 403 403 403
GET    /api/v1/deliveries/{id}                        own           401 403 200 200 200 200
GET    /api/v1/deliveries/{id}                        other         401 403 404 200 200 200
GET    /api/v1/deliveries/{id}                        foreign       401 403 404 404 404 200
GET    /api/v1/deliveries/{id}                        absent        401 403 404 404 404 404
PATCH  /api/v1/deliveries/{id}                        own,other,foreign 401 403 403 403 403 200
PATCH  /api/v1/deliveries/{id}                        absent        401 403 403 403 403 404
POST   /api/v1/deliveries/{id}/steps                  own           401 403 200 403 403 200
POST   /api/v1/deliveries/{id}/steps                  other,foreign 401 403 404 403 403 200
POST   /api/v1/deliveries/{id}/steps                  absent        401 403 404 403 403 404
POST   /api/v1/deliveries/{id}/assign                 own,other,foreign 401 403 403 403 403 200
POST   /api/v1/deliveries/{id}/assign                 absent        401 403 403 403 403 404
POST   /api/v1/deliveries/{id}/unassign               own           401 403 200 403 403 200
POST   /api/v1/deliveries/{id}/unassign               other,foreign 401 403 404 403 403 200
POST   /api/v1/deliveries/{id}/unassign               absent        401 403 404 403 403 404
POST   /api/v1/deliveries/{id}/own                    own,other     401 403 403 200 200 200
POST   /api/v1/deliveries/{id}/own                    foreign       401 403 403 404 404 200
POST   /api/v1/deliveries/{id}/own                    absent        401 403 403 404 404 404
GET    /api/v1/admin/drivers                          -             401 403 403 403 403 200
PUT    /api/v1/admin/drivers/{id}                     own,other,foreign 401 403 403 403 403 200
PUT    /api/v1/admin/drivers/{id}                     absent        401 403 403 403 403 404
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
GET    /api/v1/admin/nodes                            -             401 403 403 403 403 200
GET    /api/v1/admin/rooms/{room}                     own,other,foreign,absent 401 403 403 403 403 200
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
WS     /ws/driver                                     -             401 4004 101 4004 4004 4004
";

pub(super) const ROLES: [&str; 6] = ["nobody", "customer", "driver", "staff", "owner", "admin"];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Whose {
    Nobodys,
    Own,
    Other,
    Foreign,
    Absent,
}

pub(super) struct Row {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) whose: Vec<Whose>,
    pub(super) answers: Vec<u16>,
}

pub(super) fn table() -> Vec<Row> {
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
