//! One HTTP request to a room server, over a connection of its own.

use bytes::Bytes;
use dial::{DialError, Dialer};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::handshake;
use hyper::header::HOST;
use hyper::http::HeaderValue;
use hyper::rt::{Read, Write};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use thiserror::Error;

use crate::address::Place;

/// Largest body of an answer, in bytes.
const MAX_BODY_BYTES: usize = 256 * 1024;

/// Why there is no answer.
#[derive(Debug, Error)]
pub(crate) enum HttpError {
    #[error(transparent)]
    Dial(#[from] DialError),
    #[error("the connection broke: {0}")]
    Broken(#[from] hyper::Error),
    #[error("the answer breaks off, or is too long")]
    Body,
    #[error("the address cannot be used")]
    Address,
}

/// Sends a request whose address is a path; returns status and body of the answer. Has no timeout of its own.
pub(crate) async fn call(
    dialer: &Dialer,
    place: &Place,
    mut request: Request<Full<Bytes>>,
) -> Result<(StatusCode, Bytes), HttpError> {
    let host = if place.host.contains(':') { format!("[{}]", place.host) } else { place.host.clone() };
    let host = HeaderValue::from_str(&format!("{host}:{}", place.port)).map_err(|_| HttpError::Address)?;
    request.headers_mut().insert(HOST, host);
    if place.is_tls {
        exchange(TokioIo::new(dialer.tls(&place.host, place.port).await?), request).await
    } else {
        exchange(TokioIo::new(dialer.tcp(&place.host, place.port).await?), request).await
    }
}

async fn exchange(
    io: impl Read + Write + Unpin,
    request: Request<Full<Bytes>>,
) -> Result<(StatusCode, Bytes), HttpError> {
    let (mut sender, connection) = handshake(io).await?;
    let answer = async {
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MAX_BODY_BYTES).collect().await.map_err(|_| HttpError::Body)?;
        Ok((status, body.to_bytes()))
    };
    tokio::pin!(answer);
    // The connection has to be driven until the answer is there, and is over with it.
    tokio::select! {
        result = &mut answer => result,
        ended = connection => {
            ended?;
            answer.await
        }
    }
}
