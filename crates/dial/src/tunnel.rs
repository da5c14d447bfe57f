//! The path through a proxy, once it is reached.

use std::future::{Ready, ready};
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::proxy::SocksV5;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower_service::Service;

use crate::error::DialError;
use crate::proxy::{Kind, Proxy};
use crate::race::{self, place};

/// Maximum wait for a proxy's answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// Largest head of an answer, in bytes.
const MAX_HEAD: usize = 16 * 1024;
/// Most fields of an answer.
const MAX_FIELDS: usize = 100;
/// Maximum reason of a proxy that is reported, in characters.
const MAX_REASON: usize = 100;

/// A connection to the server that the proxy has opened for us.
pub(crate) async fn through(proxy: &Proxy, host: &str, port: u16) -> Result<TcpStream, DialError> {
    let failed = |reason: String| DialError::Proxy { proxy: place(&proxy.host, proxy.port), reason };
    let stream =
        race::connect(&proxy.host, proxy.port).await.map_err(|error| failed(format!("is not reached: {error}")))?;
    let tunnel = async {
        match proxy.kind {
            Kind::Http => connect(stream, proxy, &place(host, port)).await,
            Kind::Socks5 => socks5(stream, proxy, host, port).await,
        }
    };
    match timeout(ANSWER_LIMIT, tunnel).await {
        Ok(result) => result.map_err(failed),
        Err(_) => Err(failed("did not answer in time".to_owned())),
    }
}

async fn connect(mut stream: TcpStream, proxy: &Proxy, target: &str) -> Result<TcpStream, String> {
    let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n").into_bytes();
    if let Some(auth) = proxy.found.basic_auth() {
        request.extend_from_slice(b"Proxy-Authorization: ");
        request.extend_from_slice(auth.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    let broke = |error: std::io::Error| format!("broke the connection: {error}");
    stream.write_all(&request).await.map_err(broke)?;
    let mut head = Vec::with_capacity(512);
    loop {
        let mut chunk = [0; 1024];
        let count = stream.read(&mut chunk).await.map_err(broke)?;
        if count == 0 {
            return Err("closed the connection before its answer was complete".to_owned());
        }
        head.extend_from_slice(&chunk[..count]);
        if answer(&head)? {
            return Ok(stream);
        }
    }
}

/// Reads what a proxy has said up to now: whether the path is open, or more has to come.
fn answer(head: &[u8]) -> Result<bool, String> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut response = httparse::Response::new(&mut fields);
    match response.parse(head) {
        Ok(httparse::Status::Partial) if head.len() < MAX_HEAD => Ok(false),
        Ok(httparse::Status::Partial) => Err("answers without end".to_owned()),
        Ok(httparse::Status::Complete(length)) => match response.code.unwrap_or_default() {
            // The server behind it never speaks first, so more would be the proxy's own.
            200..=299 if length == head.len() => Ok(true),
            200..=299 => Err("says more than its answer".to_owned()),
            407 => Err("wants another user name and password (407)".to_owned()),
            status => {
                let reason: String = response.reason.unwrap_or_default().chars().take(MAX_REASON).collect();
                Err(format!("refused the connection: {status} {reason}").trim_end().to_owned())
            }
        },
        Err(_) => Err("does not speak HTTP".to_owned()),
    }
}

async fn socks5(stream: TcpStream, proxy: &Proxy, host: &str, port: u16) -> Result<TcpStream, String> {
    let target: Uri =
        format!("http://{}/", place(host, port)).parse().map_err(|_| "cannot be asked for this name".to_owned())?;
    let mut socks = SocksV5::new(proxy.found.uri().clone(), Opened(Some(stream)));
    if let Some((user, password)) = proxy.found.raw_auth() {
        socks = socks.with_auth(user.to_owned(), password.to_owned());
    }
    let tunnel = socks.call(target).await.map_err(|error| format!("gives no way: {error}"))?;
    Ok(tunnel.into_inner())
}

/// A connection that is there already, for a library that wants to open one.
struct Opened(Option<TcpStream>);

impl Service<Uri> for Opened {
    type Response = TokioIo<TcpStream>;
    type Error = std::io::Error;
    type Future = Ready<Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let stream = self.0.take().map(TokioIo::new);
        ready(stream.ok_or_else(|| std::io::ErrorKind::NotConnected.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_complete_yes_opens_the_path() {
        assert_eq!(answer(b"HTTP/1.1 200 OK\r\nVia: x\r\n"), Ok(false));
        assert_eq!(answer(b"HTTP/1.0 200 Connection established\r\n\r\n"), Ok(true));
        assert!(answer(b"HTTP/1.1 200 OK\r\n\r\n<html>").is_err());
    }

    #[test]
    fn a_no_is_reported_with_the_proxys_own_words() {
        assert!(answer(b"HTTP/1.1 403 Blocked by policy\r\n\r\n").unwrap_err().contains("403 Blocked by policy"));
        assert!(answer(b"HTTP/1.1 407 Auth\r\n\r\n").unwrap_err().contains("password"));
    }

    #[test]
    fn garbage_and_an_answer_without_end_are_reported_apart() {
        assert!(answer(b"\x16\x03\x01\x02\x00").unwrap_err().contains("HTTP"));
        let endless = [b"HTTP/1.1 200 OK\r\nA: ".as_slice(), &vec![b'a'; MAX_HEAD]].concat();
        assert!(answer(&endless).unwrap_err().contains("end"));
    }
}
