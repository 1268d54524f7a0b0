//! The facts that each route states about itself, and the table in which middleware finds them.

use actix_web::dev::HttpServiceFactory;
use actix_web::http::Method;
use utoipa_actix_web::OpenApiFactory;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::domain::access::Role;

use super::extractors::audience::Audience;
use super::limits::Rate;

pub(super) const KIB: usize = 1024;

/// Largest body of a route that names no other limit: some fields of a line of text.
pub(super) const BODY_LIMIT: usize = 16 * KIB;

/// The order in which the methods of a path are named.
const ORDER: [Method; 5] = [Method::GET, Method::POST, Method::PATCH, Method::PUT, Method::DELETE];

/// The facts of a route that are needed before its handler runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteFacts {
    /// The quota a request consumes.
    pub rate: Rate,
    /// Largest body, bytes. It has room for the largest values of all fields, with every character escaped.
    pub body_limit: usize,
    /// The roles that may use it; `None` where nobody has to be signed in.
    pub roles: Option<&'static [Role]>,
    /// The listeners that have it.
    pub exposure: Exposure,
    /// Whether it is refused at once while the writers are overloaded.
    pub sheds: bool,
    /// Whether it answers under any host name: load balancers know an address and no name.
    pub any_host: bool,
}

/// The listeners that have a route, and the networks that see it there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposure {
    /// Everywhere.
    Public,
    /// On the operators' own listener alone, where there is one.
    Operators,
    /// As [`Exposure::Operators`]; it asks for no token, so that without such a listener, in production, only this
    /// machine and `ops.trusted_networks` see it.
    OperatorsNetwork,
}

impl RouteFacts {
    /// A route that anybody may use, signed in or not.
    pub const fn public() -> Self {
        Self {
            rate: Rate::Caller,
            body_limit: BODY_LIMIT,
            roles: None,
            exposure: Exposure::Public,
            sheds: false,
            any_host: false,
        }
    }

    /// A route for the signed-in callers of an audience.
    pub const fn of<A: Audience>() -> Self {
        Self { roles: Some(A::ROLES), ..Self::public() }
    }

    /// A route that supervisors and Prometheus ask.
    pub const fn health() -> Self {
        Self { rate: Rate::Health, ..Self::public() }
    }

    /// Consumes another quota than its caller's for everything else.
    pub const fn rate(self, rate: Rate) -> Self {
        Self { rate, ..self }
    }

    /// Takes bodies of at most so many bytes.
    pub const fn body_limit(self, body_limit: usize) -> Self {
        Self { body_limit, ..self }
    }

    /// Can be reached there only.
    pub const fn exposure(self, exposure: Exposure) -> Self {
        Self { exposure, ..self }
    }

    /// Is refused at once while the writers are overloaded.
    pub const fn sheds(self) -> Self {
        Self { sheds: true, ..self }
    }

    /// Answers under any host name.
    pub const fn any_host(self) -> Self {
        Self { any_host: true, ..self }
    }
}

/// A handler with the facts of its route. [`Mount`] takes nothing else, so a route without facts does not compile.
pub trait Endpoint: utoipa::Path + OpenApiFactory + HttpServiceFactory + 'static {
    /// The facts of its route.
    const FACTS: RouteFacts;
}

/// A place to mount endpoints: the application, or the table of their facts.
pub trait Mount {
    /// Mounts one endpoint.
    fn endpoint<E: Endpoint>(&mut self, endpoint: E) -> &mut Self;
}

impl Mount for ServiceConfig<'_> {
    fn endpoint<E: Endpoint>(&mut self, endpoint: E) -> &mut Self {
        self.service(endpoint)
    }
}

/// The facts of all routes, found by path in one step for each segment.
#[derive(Debug, Default)]
pub struct RouteTable {
    root: Node,
    prefix: &'static str,
}

/// The routes that end at a segment, and the segments that follow it.
#[derive(Debug, Default)]
struct Node {
    routes: Vec<Route>,
    literals: Vec<(String, Node)>,
    parameter: Option<Box<Node>>,
}

/// A route of the table.
#[derive(Debug)]
struct Route {
    method: Method,
    facts: RouteFacts,
}

/// The routes of one path, at least one.
#[derive(Clone, Copy, Debug)]
pub struct PathRoutes<'a>(&'a [Route]);

impl RouteTable {
    /// Mounts endpoints below a prefix.
    pub fn below(&mut self, prefix: &'static str, mount: impl FnOnce(&mut Self)) {
        let outer = std::mem::replace(&mut self.prefix, prefix);
        mount(self);
        self.prefix = outer;
    }

    /// The routes of a path as the router reads it; `None` for a path that is not ours.
    pub fn find(&self, path: &str) -> Option<PathRoutes<'_>> {
        let mut node = &self.root;
        for segment in path.strip_prefix('/')?.split('/') {
            let literal = node.literals.iter().find(|(text, _)| text == segment).map(|(_, next)| next);
            node = match literal {
                Some(next) => next,
                None if segment.is_empty() => return None,
                None => node.parameter.as_deref()?,
            };
        }
        (!node.routes.is_empty()).then_some(PathRoutes(&node.routes))
    }

    /// The facts of a route; `None` for a path that is not ours and a method that the path does not have.
    pub fn facts(&self, method: &Method, path: &str) -> Option<&RouteFacts> {
        self.find(path)?.by(method)
    }

    fn insert(&mut self, method: Method, path: &str, facts: RouteFacts) {
        let mut node = &mut self.root;
        for segment in self.prefix.split('/').chain(path.split('/')).filter(|segment| !segment.is_empty()) {
            node = if segment.starts_with('{') {
                node.parameter.get_or_insert_default()
            } else {
                let known = node.literals.iter().position(|(text, _)| text == segment);
                let at = known.unwrap_or_else(|| {
                    node.literals.push((segment.to_owned(), Node::default()));
                    node.literals.len() - 1
                });
                &mut node.literals[at].1
            };
        }
        node.routes.push(Route { method, facts });
        node.routes.sort_by_key(|route| ORDER.iter().position(|known| *known == route.method));
    }
}

impl Mount for RouteTable {
    fn endpoint<E: Endpoint>(&mut self, _: E) -> &mut Self {
        let path = E::path();
        for method in E::methods() {
            self.insert(method_of(&method), &path, E::FACTS);
        }
        self
    }
}

impl<'a> PathRoutes<'a> {
    /// The facts of the route with this method.
    pub fn by(self, method: &Method) -> Option<&'a RouteFacts> {
        self.0.iter().find(|route| route.method == *method).map(|route| &route.facts)
    }

    /// The quota that a request by this method consumes, which may not be one of the path's.
    pub fn rate(self, method: &Method) -> Rate {
        match self.by(method) {
            Some(facts) => facts.rate,
            None => {
                self.0.iter().map(|r| r.facts.rate).find(|r| r.covers_other_methods()).unwrap_or(Rate::Caller)
            }
        }
    }

    /// The exposure of the path, the same for all of its methods.
    pub fn exposure(self) -> Exposure {
        self.0.first().map_or(Exposure::Public, |route| route.facts.exposure)
    }

    /// Whether the path answers under any host name, whatever the method.
    pub fn any_host(self) -> bool {
        self.0.iter().all(|route| route.facts.any_host)
    }

    /// The methods of the path, GET first.
    pub fn methods(self) -> impl Iterator<Item = &'a Method> {
        self.0.iter().map(|route| &route.method)
    }
}

fn method_of(method: &utoipa::openapi::HttpMethod) -> Method {
    use utoipa::openapi::HttpMethod;
    match method {
        HttpMethod::Get => Method::GET,
        HttpMethod::Post => Method::POST,
        HttpMethod::Put => Method::PUT,
        HttpMethod::Patch => Method::PATCH,
        HttpMethod::Delete => Method::DELETE,
        HttpMethod::Options => Method::OPTIONS,
        HttpMethod::Head => Method::HEAD,
        HttpMethod::Trace => Method::TRACE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(routes: &[(Method, &str, RouteFacts)]) -> RouteTable {
        let mut table = RouteTable::default();
        routes.iter().for_each(|(method, path, facts)| table.insert(method.clone(), path, *facts));
        table
    }

    #[test]
    fn a_route_is_found_by_method_and_path_and_everything_else_is_its_callers() {
        let public = RouteFacts::public();
        let table = table(&[
            (Method::POST, "/auth/login", public.rate(Rate::Auth)),
            (Method::POST, "/auth/refresh", public.rate(Rate::Refresh)),
            (Method::GET, "/orders", public),
            (Method::POST, "/orders", public.rate(Rate::Order)),
            (Method::PATCH, "/orders/{id}/status", public.rate(Rate::Move)),
            (Method::GET, "/health/live", RouteFacts::health()),
        ]);
        for (method, path, rate) in [
            (Method::POST, "/auth/login", Some(Rate::Auth)),
            (Method::PUT, "/auth/login", Some(Rate::Auth)),
            (Method::POST, "/auth/refresh", Some(Rate::Refresh)),
            (Method::PUT, "/auth/refresh", Some(Rate::Caller)),
            (Method::POST, "/orders", Some(Rate::Order)),
            (Method::GET, "/orders", Some(Rate::Caller)),
            (Method::PATCH, "/orders/ord_1/status", Some(Rate::Move)),
            (Method::GET, "/orders/ord_1/status", Some(Rate::Caller)),
            (Method::PATCH, "/orders//status", None),
            (Method::PATCH, "/orders/a/b/status", None),
            (Method::GET, "/orders/", None),
            (Method::GET, "/health/live", Some(Rate::Health)),
            (Method::POST, "/health/live", Some(Rate::Health)),
            (Method::GET, "/health/elsewhere", None),
            (Method::GET, "/health", None),
            (Method::GET, "/", None),
            (Method::GET, "", None),
        ] {
            assert_eq!(table.find(path).map(|routes| routes.rate(&method)), rate, "{method} {path}");
        }
    }
}
