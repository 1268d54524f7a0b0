//! The payment provider of the campaign: it keeps its own books, loses some of its answers, and knows each call by its key.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use anyhow::Result;
use bellhop_client::Rng;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::history::HeldPayment;

/// What hubs and provider share.
pub(crate) const WEBHOOK_SECRET: &str = "a-secret-of-the-provider-of-the-campaign";
const API_KEY: &str = "key-of-the-campaign";

/// Calls of a hundred that are done and not answered, and calls of a hundred that are not done.
const ANSWERS_LOST: f64 = 3.0;
const REFUSED: f64 = 3.0;

/// A request that is larger than this is refused.
const MAX_REQUEST: usize = 64 * 1024;

#[derive(Debug)]
struct Account {
    held: HeldPayment,
    amount_minor: i64,
    state: &'static str,
}

/// The books.
#[derive(Debug, Default)]
struct Book {
    payments: BTreeMap<String, Account>,
    refunds: HashMap<String, &'static str>,
    keys: HashMap<String, Value>,
    /// From when on every call is done and answered.
    reliable: bool,
}

/// A payment provider on a port of its own.
#[derive(Clone, Debug)]
pub(crate) struct Provider {
    address: SocketAddr,
    book: Rc<RefCell<Book>>,
}

impl Provider {
    /// Serves from now on, in tasks of this thread.
    ///
    /// # Errors
    /// When the system gives no port.
    pub(crate) async fn start(rng: Rng) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let book: Rc<RefCell<Book>> = Rc::default();
        let (serving, rng) = (book.clone(), Rc::new(RefCell::new(rng)));
        tokio::task::spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (book, rng) = (serving.clone(), rng.clone());
                tokio::task::spawn_local(async move {
                    // It ends with the connection.
                    let _ = serve(stream, &book, &rng).await;
                });
            }
        });
        Ok(Self { address, book })
    }

    /// The settings of a hub that uses it.
    pub(crate) fn settings(&self) -> Vec<(String, String)> {
        let setting = |name: &str, value: &str| (format!("BELLHOP__PAYMENTS__{name}"), value.to_owned());
        vec![
            setting("PROVIDER", "http"),
            setting("URL", &format!("http://{}/v1", self.address)),
            setting("API_KEY", API_KEY),
            setting("WEBHOOK_SECRETS", WEBHOOK_SECRET),
        ]
    }

    /// The customer pays; whether there was something to pay.
    pub(crate) fn pay(&self, payment: &str) -> bool {
        let mut book = self.book.borrow_mut();
        let Some(account) = book.payments.get_mut(payment).filter(|account| account.state == "open") else {
            return false;
        };
        account.state = "captured";
        account.held.captured_minor = account.amount_minor;
        true
    }

    /// Every call is done and answered from now on.
    pub(crate) fn become_reliable(&self) {
        self.book.borrow_mut().reliable = true;
    }

    /// The books, by the hub's id of the payment.
    pub(crate) fn books(&self) -> BTreeMap<String, HeldPayment> {
        let book = self.book.borrow();
        book.payments.iter().map(|(id, account)| (id.clone(), account.held.clone())).collect()
    }
}

/// `X-Signature` of a message of the provider.
pub(crate) fn signature(body: &str) -> String {
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<sha2::Sha256>::new_from_slice(WEBHOOK_SECRET.as_bytes()) else {
        return String::new();
    };
    mac.update(body.as_bytes());
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={hex}")
}

/// One request.
struct Call {
    method: String,
    path: String,
    key: String,
    allowed: bool,
    body: Value,
}

async fn serve(mut stream: TcpStream, book: &RefCell<Book>, rng: &RefCell<Rng>) -> io::Result<()> {
    let mut held = Vec::new();
    while let Some(call) = read(&mut stream, &mut held).await? {
        let reliable = book.borrow().reliable;
        let luck = rng.borrow_mut().share() * 100.0;
        let (status, answer) =
            if luck < REFUSED && !reliable { (503, Value::Null) } else { book.borrow_mut().answer(&call) };
        if (REFUSED..REFUSED + ANSWERS_LOST).contains(&luck) && !reliable {
            return Ok(());
        }
        let body = answer.to_string();
        let head = format!(
            "HTTP/1.1 {status} .\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).await?;
    }
    Ok(())
}

/// The next request of a connection; `None` at its end.
async fn read(stream: &mut TcpStream, held: &mut Vec<u8>) -> io::Result<Option<Call>> {
    loop {
        if let Some((call, length)) = parse(held)? {
            held.drain(..length);
            return Ok(Some(call));
        }
        if held.len() > MAX_REQUEST {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if stream.read_buf(held).await? == 0 {
            return Ok(None);
        }
    }
}

/// A request and its length, once all of it is there.
fn parse(bytes: &[u8]) -> io::Result<Option<(Call, usize)>> {
    let mut fields = [httparse::EMPTY_HEADER; 32];
    let mut request = httparse::Request::new(&mut fields);
    let Ok(httparse::Status::Complete(head)) = request.parse(bytes).map_err(io::Error::other) else {
        return Ok(None);
    };
    let field = |name: &str| {
        let found = request.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name));
        found.and_then(|field| std::str::from_utf8(field.value).ok()).unwrap_or_default()
    };
    let length = field("content-length").parse().unwrap_or(0);
    let Some(body) = bytes.get(head..head + length) else { return Ok(None) };
    let call = Call {
        method: request.method.unwrap_or_default().to_owned(),
        path: request.path.unwrap_or_default().to_owned(),
        key: field("idempotency-key").to_owned(),
        allowed: field("authorization") == format!("Bearer {API_KEY}"),
        body: serde_json::from_slice(body).unwrap_or(Value::Null),
    };
    Ok(Some((call, head + length)))
}

impl Book {
    /// The status and the body.
    fn answer(&mut self, call: &Call) -> (u16, Value) {
        if !call.allowed {
            return (401, Value::Null);
        }
        if let Some(known) =
            self.keys.get(&call.key).filter(|_| call.method == "POST" && !call.path.ends_with("/void"))
        {
            return (200, known.clone());
        }
        let parts: Vec<&str> = call.path.split('/').skip(2).collect();
        let done = match (call.method.as_str(), parts.as_slice()) {
            ("POST", ["payments"]) => self.open(&call.body),
            ("POST", ["payments", id, "void"]) => self.void(id),
            ("GET", ["payments", id]) => self.stands(id),
            ("POST", ["refunds"]) => self.refund(&call.body),
            ("GET", ["refunds", id]) => {
                self.refunds.get(*id).map(|state| json!({"status": state, "reference": "re"}))
            }
            _ => None,
        };
        let Some(answer) = done else { return (404, Value::Null) };
        if call.method == "POST" {
            self.keys.insert(call.key.clone(), answer.clone());
        }
        (200, answer)
    }

    fn open(&mut self, body: &Value) -> Option<Value> {
        let (id, order) = (body["payment_id"].as_str()?, body["order_id"].as_str()?);
        let amount_minor = body["amount_minor"].as_i64()?;
        let held = HeldPayment { order: order.to_owned(), ..HeldPayment::default() };
        self.payments.entry(id.to_owned()).or_insert(Account { held, amount_minor, state: "open" });
        Some(json!({"reference": format!("pi_{id}"), "redirect_url": format!("https://pay.example/{id}")}))
    }

    fn void(&mut self, id: &str) -> Option<Value> {
        if let Some(account) = self.payments.get_mut(id).filter(|account| account.state == "open") {
            account.state = "closed";
        }
        self.stands(id)
    }

    fn stands(&self, id: &str) -> Option<Value> {
        let account = self.payments.get(id)?;
        Some(json!({"status": account.state, "amount_minor": account.amount_minor, "currency": "EUR"}))
    }

    fn refund(&mut self, body: &Value) -> Option<Value> {
        let (id, of) = (body["refund_id"].as_str()?, body["payment_id"].as_str()?);
        let amount = body["amount_minor"].as_i64()?;
        self.payments.get_mut(of)?.held.returned.push((id.to_owned(), amount));
        self.refunds.insert(id.to_owned(), "succeeded");
        Some(json!({"reference": format!("re_{id}"), "status": "succeeded"}))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_once_all_of_it_is_there() {
        let text = "POST /v1/refunds HTTP/1.1\r\nIdempotency-Key: k\r\nauthorization: Bearer key-of-the-campaign\r\ncontent-length: 7\r\n\r\n{\"a\":1}GET";
        let bytes = text.as_bytes();
        let (call, length) = parse(bytes).unwrap().unwrap();
        assert_eq!(
            (call.method.as_str(), call.path.as_str(), call.key.as_str()),
            ("POST", "/v1/refunds", "k")
        );
        assert!(call.allowed && call.body == json!({"a": 1}));
        assert_eq!(&bytes[length..], b"GET");
        assert!((0..length).all(|cut| parse(&bytes[..cut]).unwrap().is_none()));
    }

    #[test]
    fn a_key_that_comes_again_moves_money_once() {
        let mut book = Book::default();
        let call = |path: &str, key: &str, body: Value| Call {
            method: "POST".to_owned(),
            path: format!("/v1/{path}"),
            key: key.to_owned(),
            allowed: true,
            body,
        };
        let open = json!({"payment_id": "p", "order_id": "o", "amount_minor": 5});
        assert_eq!(book.answer(&call("payments", "k", open)).0, 200);
        let refund =
            |key| call("refunds", key, json!({"refund_id": "r", "payment_id": "p", "amount_minor": 5}));
        let first = book.answer(&refund("r"));
        assert_eq!(book.answer(&refund("r")), first);
        assert_eq!(book.payments["p"].held.returned.len(), 1);
        book.answer(&refund("other"));
        assert_eq!(book.payments["p"].held.returned.len(), 2, "another key is another refund");
    }
}
