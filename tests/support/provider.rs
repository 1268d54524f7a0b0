use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

use actix_web::dev::ServerHandle;
use actix_web::http::StatusCode;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};

use super::app::Endpoint;

/// What the hub and the provider share.
pub const WEBHOOK_SECRET: &str = "a-secret-of-the-recording-provider";
pub const API_KEY: &str = "key-of-the-hub";

/// What goes wrong with one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallFault {
    /// It is done, and the connection ends before the answer.
    LoseAnswer,
    /// It is not done: 503.
    Fail,
    /// It is refused: 422.
    Refuse,
    /// A refund is accepted and stays pending.
    Pend,
}

/// The calls that a fault is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    Open,
    Void,
    Payment,
    Refund,
    RefundState,
}

/// A payment as the provider has it.
#[derive(Clone, Debug)]
pub struct Paid {
    pub order: String,
    pub amount_minor: i64,
    pub state: &'static str,
    pub captures: u32,
}

/// Everything that was asked, and what it did.
#[derive(Default)]
pub struct Book {
    pub payments: HashMap<String, Paid>,
    pub refunds: HashMap<String, &'static str>,
    /// Money that went back: refund, payment, amount.
    pub returned: Vec<(String, String, i64)>,
    /// Calls in the order they came, with their keys.
    pub calls: Vec<(Call, Option<String>)>,
    keys: HashMap<String, Value>,
    next: HashMap<Call, VecDeque<CallFault>>,
    always: HashMap<Call, CallFault>,
    opened: u32,
}

/// A payment provider that keeps a record of every call, and can fail in every way that real ones do.
pub struct RecordingProvider {
    pub address: SocketAddr,
    book: Arc<Mutex<Book>>,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

type Shared = web::Data<Arc<Mutex<Book>>>;

impl RecordingProvider {
    pub async fn start() -> Self {
        let book = Arc::new(Mutex::new(Book::default()));
        let (shared, (tell, told)) = (book.clone(), tokio::sync::oneshot::channel());
        let thread = std::thread::spawn(move || {
            actix_rt::System::new().block_on(async move {
                let routes = move || {
                    App::new()
                        .app_data(web::Data::new(shared.clone()))
                        .route("/v1/payments", web::post().to(open))
                        .route("/v1/payments/{id}", web::get().to(payment))
                        .route("/v1/payments/{id}/void", web::post().to(void))
                        .route("/v1/refunds", web::post().to(refund))
                        .route("/v1/refunds/{id}", web::get().to(refund_state))
                };
                let server = HttpServer::new(routes).workers(1).disable_signals().shutdown_timeout(1);
                let server = server.bind("127.0.0.1:0").expect("a free port");
                let address = server.addrs()[0];
                let server = server.run();
                let _ = tell.send((address, server.handle()));
                server.await.expect("it serves");
            });
        });
        let (address, handle) = told.await.expect("it starts");
        Self { address, book, handle, thread: Some(thread) }
    }

    /// The settings of a hub that uses it.
    pub fn settings(&self) -> Vec<(String, String)> {
        let setting = |name: &str, value: &str| (format!("payments.{name}"), value.to_owned());
        vec![
            setting("provider", "http"),
            setting("url", &format!("http://{}/v1", self.address)),
            setting("api_key", API_KEY),
            setting("webhook_secrets", WEBHOOK_SECRET),
        ]
    }

    pub fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().expect("nobody panicked with it")
    }

    /// The next calls of this kind go wrong like this, in turn.
    pub fn fail_next(&self, call: Call, faults: &[CallFault]) {
        self.book().next.entry(call).or_default().extend(faults);
    }

    /// Every call of this kind goes wrong like this, or as it should again.
    pub fn fail_always(&self, call: Call, fault: Option<CallFault>) {
        match fault {
            Some(fault) => self.book().always.insert(call, fault),
            None => self.book().always.remove(&call),
        };
    }

    /// Forgets every idempotency key, as real ones do after a day: the same key makes another refund then.
    pub fn forget_keys(&self) {
        self.book().keys.clear();
    }

    /// The customer pays; whether there was something to pay.
    pub fn pay(&self, payment: &str) -> bool {
        let mut book = self.book();
        let Some(paid) = book.payments.get_mut(payment).filter(|paid| paid.state == "open") else {
            return false;
        };
        (paid.state, paid.captures) = ("captured", paid.captures + 1);
        true
    }

    /// How a payment stands.
    pub fn stands(&self, payment: &str) -> Option<Paid> {
        self.book().payments.get(payment).cloned()
    }

    /// How often money of a payment went back, and how much.
    pub fn returned(&self, payment: &str) -> (usize, i64) {
        let book = self.book();
        let of_it: Vec<i64> =
            book.returned.iter().filter(|(_, of, _)| of == payment).map(|(_, _, amount)| *amount).collect();
        (of_it.len(), of_it.iter().sum())
    }

    /// How many calls of a kind there were.
    pub fn count(&self, call: Call) -> usize {
        self.book().calls.iter().filter(|(kind, _)| *kind == call).count()
    }
}

impl Drop for RecordingProvider {
    fn drop(&mut self) {
        // Sent as soon as it is made; the server needs nobody who waits.
        drop(self.handle.stop(false));
        if let Some(thread) = self.thread.take()
            && !std::thread::panicking()
        {
            let _ = thread.join();
        }
    }
}

/// A message of the provider, signed with this secret.
pub fn signed_message(hub: &Endpoint, secret: &str, body: &Value) -> reqwest::RequestBuilder {
    let body = body.to_string();
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes any key");
    mac.update(body.as_bytes());
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    hub.http
        .post(hub.url("/api/v1/payments/webhook"))
        .header("content-type", "application/json")
        .header("x-signature", format!("sha256={hex}"))
        .body(body)
}

/// What the book says about the beginning of a call: the fault it meets.
fn begin(book: &mut Book, call: Call, request: &HttpRequest) -> Result<Option<CallFault>, StatusCode> {
    let field = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    if field("authorization") != Some(&format!("Bearer {API_KEY}")) {
        return Err(StatusCode::UNAUTHORIZED);
    }
    book.calls.push((call, field("idempotency-key").map(str::to_owned)));
    let fault = book.next.get_mut(&call).and_then(VecDeque::pop_front);
    match fault.or_else(|| book.always.get(&call).copied()) {
        Some(CallFault::Fail) => Err(StatusCode::SERVICE_UNAVAILABLE),
        Some(CallFault::Refuse) => Err(StatusCode::UNPROCESSABLE_ENTITY),
        fault => Ok(fault),
    }
}

fn answer(fault: Option<CallFault>, value: Value) -> HttpResponse {
    if fault == Some(CallFault::LoseAnswer) {
        let broken = futures_util::stream::once(async {
            Err::<web::Bytes, _>(std::io::Error::other("the answer is lost on purpose"))
        });
        return HttpResponse::Ok().streaming(broken);
    }
    HttpResponse::Ok().json(value)
}

fn key(request: &HttpRequest) -> String {
    request
        .headers()
        .get("idempotency-key")
        .expect("every call has a key")
        .to_str()
        .expect("a key is ASCII")
        .to_owned()
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

async fn open(book: Shared, request: HttpRequest, body: web::Json<Value>) -> HttpResponse {
    let mut book = book.lock().expect("nobody panicked with it");
    let fault = match begin(&mut book, Call::Open, &request) {
        Ok(fault) => fault,
        Err(refusal) => return HttpResponse::new(refusal),
    };
    let (key, id) = (key(&request), text(&body["payment_id"]));
    let known = book.keys.get(&key).cloned();
    let answered = known.unwrap_or_else(|| {
        let paid = Paid {
            order: text(&body["order_id"]),
            amount_minor: body["amount_minor"].as_i64().expect("an amount"),
            state: "open",
            captures: 0,
        };
        book.payments.insert(id.clone(), paid);
        book.opened += 1;
        json!({"reference": format!("pi_{}", book.opened), "redirect_url": format!("https://pay.example/{id}")})
    });
    book.keys.insert(key, answered.clone());
    answer(fault, answered)
}

fn stands(book: &Book, id: &str) -> Option<Value> {
    let paid = book.payments.get(id)?;
    Some(json!({"status": paid.state, "amount_minor": paid.amount_minor, "currency": "EUR"}))
}

async fn payment(book: Shared, request: HttpRequest, id: web::Path<String>) -> HttpResponse {
    let mut book = book.lock().expect("nobody panicked with it");
    match begin(&mut book, Call::Payment, &request) {
        Ok(fault) => stands(&book, &id).map_or(HttpResponse::NotFound().finish(), |paid| answer(fault, paid)),
        Err(refusal) => HttpResponse::new(refusal),
    }
}

async fn void(book: Shared, request: HttpRequest, id: web::Path<String>) -> HttpResponse {
    let mut book = book.lock().expect("nobody panicked with it");
    let fault = match begin(&mut book, Call::Void, &request) {
        Ok(fault) => fault,
        Err(refusal) => return HttpResponse::new(refusal),
    };
    if let Some(paid) = book.payments.get_mut(&*id).filter(|paid| paid.state == "open") {
        paid.state = "closed";
    }
    stands(&book, &id).map_or(HttpResponse::NotFound().finish(), |paid| answer(fault, paid))
}

async fn refund(book: Shared, request: HttpRequest, body: web::Json<Value>) -> HttpResponse {
    let mut book = book.lock().expect("nobody panicked with it");
    let fault = match begin(&mut book, Call::Refund, &request) {
        Ok(fault) => fault,
        Err(refusal) => return HttpResponse::new(refusal),
    };
    let (key, id, of) = (key(&request), text(&body["refund_id"]), text(&body["payment_id"]));
    if let Some(answered) = book.keys.get(&key).cloned() {
        return answer(fault, answered);
    }
    let state = if fault == Some(CallFault::Pend) { "pending" } else { "succeeded" };
    let amount = body["amount_minor"].as_i64().expect("an amount");
    book.returned.push((id.clone(), of, amount));
    book.refunds.insert(id.clone(), state);
    let answered = json!({"reference": format!("re_{}", book.returned.len()), "status": state});
    book.keys.insert(key, answered.clone());
    answer(fault, answered)
}

async fn refund_state(book: Shared, request: HttpRequest, id: web::Path<String>) -> HttpResponse {
    let mut book = book.lock().expect("nobody panicked with it");
    match begin(&mut book, Call::RefundState, &request) {
        Ok(fault) => match book.refunds.get(&*id) {
            Some(state) => answer(fault, json!({"status": state, "reference": "re"})),
            None => HttpResponse::NotFound().finish(),
        },
        Err(refusal) => HttpResponse::new(refusal),
    }
}
