//! The answer to an upgrade request that is refused.

use actix_codec::Framed;
use actix_http::body::BodySize;
use actix_http::{ConnectionType, Response, h1};
use actix_web::ResponseError as _;
use bytes::Bytes;
use futures_util::SinkExt as _;

use crate::http::connection::Connection;
use crate::http::deployment::Deployment;
use crate::http::middleware::request_id::{REQUEST_ID, RequestId};
use crate::http::middleware::security_headers;
use crate::http::response::problem::ApiError;

/// Answers with a problem and closes the connection.
pub(super) async fn refuse(
    mut framed: Framed<Connection, h1::Codec>,
    error: &ApiError,
    id: &RequestId,
    deployment: Deployment,
) -> std::io::Result<()> {
    let mut problem = error.problem().clone();
    id.as_str().clone_into(&mut problem.request_id);
    let body = Bytes::from(serde_json::to_vec(&problem).expect("a problem is made of texts and numbers"));
    let refusal = error.error_response();
    let mut answer = Response::build(refusal.status());
    for (name, value) in refusal.headers() {
        answer.insert_header((name.clone(), value.clone()));
    }
    answer.insert_header((REQUEST_ID, id.as_str()));
    // Only the documentation has a content policy of its own.
    security_headers::fields(deployment, "").for_each(|field| {
        answer.insert_header(field);
    });
    let mut answer = answer.finish().drop_body();
    answer.head_mut().set_connection_type(ConnectionType::Close);
    framed.feed(h1::Message::Item((answer, BodySize::Sized(body.len() as u64)))).await?;
    framed.feed(h1::Message::Chunk(Some(body))).await?;
    framed.feed(h1::Message::Chunk(None)).await?;
    framed.flush().await?;
    Ok(())
}
