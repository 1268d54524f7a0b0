//! The state of the one request under way, shared by the stream of its connection and the application.

use std::cell::Cell;
use std::error::Error as StdError;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_http::body::{BodySize, BoxBody, MessageBody};
use actix_http::error::PayloadError;
use actix_http::{Payload, Request, Response};
use actix_service::{Service as _, ServiceFactory, apply_fn_factory};
use actix_web::dev::ServiceResponse;
use actix_web::{Error, HttpRequest};
use bytes::Bytes;
use futures_util::Stream;

/// One request under way on one connection, of which there is never more than one. Lives on the connection's worker
/// thread.
#[derive(Debug, Default)]
pub struct Exchange {
    reached: Cell<bool>,
    awaits_continue: Cell<bool>,
    body_whole: Cell<bool>,
    body_wanted: Cell<bool>,
    answered: Cell<bool>,
    watched: Cell<bool>,
}

impl Exchange {
    /// A new request begins; its client may wait for `100 Continue` before it sends the body.
    pub(super) fn begin(&self, awaits_continue: bool) {
        self.reached.set(false);
        self.awaits_continue.set(awaits_continue);
        self.body_whole.set(false);
        self.body_wanted.set(false);
        self.answered.set(false);
        self.watched.set(false);
    }

    /// Whether the application was asked; the web server answers what it cannot read by itself.
    pub(super) fn is_reached(&self) -> bool {
        self.reached.get()
    }

    /// All of the body has been handed on.
    pub(super) fn set_body_whole(&self) {
        self.body_whole.set(true);
    }

    /// Whether somebody waits for the body, who has judged the head by then.
    pub(super) fn is_body_wanted(&self) -> bool {
        self.body_wanted.get()
    }

    /// Whether all of the answer has been handed to the connection.
    pub(super) fn is_answered(&self) -> bool {
        self.answered.get()
    }

    /// Stands for an application and its answer.
    #[cfg(test)]
    pub(super) fn answer_at_once(&self) {
        self.reached.set(true);
        self.answered.set(true);
    }

    /// Whether the request ends when its client closes its side.
    pub(super) fn is_watched(&self) -> bool {
        self.watched.get()
    }
}

/// Whether the client sends its body only when it is asked for. Who refuses the request had better not ask.
pub(in crate::http) fn awaits_continue(request: &HttpRequest) -> bool {
    request
        .conn_data::<Rc<Exchange>>()
        .is_some_and(|exchange| exchange.awaits_continue.get() && !exchange.body_wanted.get())
}

/// From now on the end of the client's side is the end of the request: for answers that wait for something to happen.
/// Any other request that came whole is answered, though its client sends nothing more.
pub(in crate::http) async fn end_with_client(request: &HttpRequest) {
    let Some(exchange) = request.conn_data::<Rc<Exchange>>() else { return };
    exchange.watched.set(true);
    // The stream looks at what has come meanwhile only when its task is polled.
    poll_fn(|context| {
        context.waker().wake_by_ref();
        Poll::Ready(())
    })
    .await;
}

/// An application that tells its connections how far each request is; needed on every one that is served on a
/// [`super::Connection`].
pub fn reporting<F>(
    application: F,
) -> impl ServiceFactory<Request, Config = (), Response = Response<Answer>, Error = Error, InitError = ()>
where
    F: ServiceFactory<
            Request,
            Config = (),
            Response = ServiceResponse<BoxBody>,
            Error = Error,
            InitError = (),
        >,
{
    apply_fn_factory(application, |mut request: Request, application: &F::Service| {
        let exchange = request.conn_data::<Rc<Exchange>>().cloned();
        if let Some(exchange) = &exchange {
            exchange.reached.set(true);
            if !exchange.body_whole.get() {
                let payload = request.take_payload();
                let gated = Gated { payload, exchange: exchange.clone() };
                *request.payload() = Payload::Stream { payload: Box::pin(gated) };
            }
        }
        let answer = application.call(request);
        async move {
            let response: Response<BoxBody> = match answer.await {
                Ok(response) => response.into(),
                Err(error) => error.into(),
            };
            Ok(response.map_body(|_, body| Answer { body, exchange }))
        }
    })
}

/// A body that is read from the connection once somebody asks for it.
struct Gated {
    payload: Payload,
    exchange: Rc<Exchange>,
}

impl Stream for Gated {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if !self.exchange.body_wanted.replace(true) {
            context.waker().wake_by_ref();
        }
        Pin::new(&mut self.payload).poll_next(context)
    }
}

/// The body of an answer. The web server drops it when its last byte is in the connection's buffer.
pub struct Answer {
    body: BoxBody,
    exchange: Option<Rc<Exchange>>,
}

impl MessageBody for Answer {
    type Error = Box<dyn StdError>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(context)
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if let Some(exchange) = &self.exchange {
            exchange.answered.set(true);
        }
    }
}
