//! Runs the attempts to reach a server: the first connection wins, the others are dropped.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{sleep_until, timeout};

use crate::attempts::{Attempts, Step};
use crate::error::DialError;

/// Maximum wait for the name's addresses.
const LOOKUP_LIMIT: Duration = Duration::from_secs(10);
/// Maximum wait for a connection to one of them.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// A connection to a host, by its name or address.
pub(crate) async fn connect(host: &str, port: u16) -> Result<TcpStream, DialError> {
    let attempts = Attempts::new(resolve(host, port).await?);
    let unreachable = |reason: String| DialError::Unreachable { place: place(host, port), reason };
    match timeout(CONNECT_LIMIT, race(attempts)).await {
        Ok(Ok(stream)) => {
            // Signalling and framed media are small messages that must not wait for one another.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "small messages may be held back");
            }
            Ok(stream)
        }
        Ok(Err(reasons)) => Err(unreachable(reasons)),
        Err(_) => Err(unreachable("no answer in time".to_owned())),
    }
}

async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, DialError> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let not_found = |reason: String| DialError::Name { host: host.to_owned(), reason };
    let addresses: Vec<SocketAddr> = timeout(LOOKUP_LIMIT, lookup_host((host, port)))
        .await
        .map_err(|_| not_found("no answer in time".to_owned()))?
        .map_err(|error| not_found(error.to_string()))?
        .collect();
    if addresses.is_empty() { Err(not_found("it has no address".to_owned())) } else { Ok(addresses) }
}

/// The first connection, or why none came about.
async fn race(mut attempts: Attempts) -> Result<TcpStream, String> {
    let mut under_way = FuturesUnordered::new();
    let mut reasons = Vec::new();
    loop {
        let wake = match attempts.next(Instant::now()) {
            Step::Start(address) => {
                under_way.push(async move { (address, TcpStream::connect(address).await) });
                continue;
            }
            Step::WaitUntil(at) => Some(at),
            Step::Wait => None,
            Step::Failed => return Err(reasons.join(", ")),
        };
        let due = async {
            match wake {
                Some(at) => sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Some((address, result)) = under_way.next() => match result {
                Ok(stream) => return Ok(stream),
                Err(error) => {
                    tracing::debug!(%address, %error, "no connection");
                    reasons.push(format!("{address}: {error}"));
                    attempts.failed();
                }
            },
            () = due => {}
        }
    }
}

/// Host and port as they are written.
pub(crate) fn place(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use socket2::{Domain, Socket, Type};
    use tokio::net::TcpListener;

    use super::*;

    /// A listener that takes no more connections: the system drops further requests, as a dead host would.
    fn dead_address() -> (Socket, Vec<Socket>, SocketAddr) {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let fill = |_| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.set_nonblocking(true).unwrap();
            // Begun is enough; it will not be accepted.
            let _ = socket.connect(&address);
            socket
        };
        let full = (0..4).map(fill).collect();
        (listener, full, address.as_socket().unwrap())
    }

    #[tokio::test]
    async fn a_dead_first_address_costs_a_quarter_of_a_second() {
        let (_listener, _full, dead) = dead_address();
        let good = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = good.local_addr().unwrap();
        let began = Instant::now();
        let stream = race(Attempts::new([dead, address])).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), address);
        // The upper end leaves room for a busy machine; far below what the system waits for a dead host.
        assert!(
            (Duration::from_millis(200)..Duration::from_secs(2)).contains(&began.elapsed()),
            "{:?}",
            began.elapsed()
        );
    }

    #[tokio::test]
    async fn where_nothing_listens_the_reason_names_each_address() {
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let other = SocketAddr::from(([127, 0, 0, 2], closed.port()));
        let reasons = race(Attempts::new([closed, other])).await.unwrap_err();
        assert!(reasons.contains(&closed.to_string()) && reasons.contains(&other.to_string()), "{reasons}");
    }
}
