//! By which name and port a client reached signalling.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::header::{FORWARDED, HOST, HeaderName, VIA};
use axum::http::request::Parts;
use axum::http::uri::Authority;

use crate::front::arrival::Arrival;

/// Longest name of a host (RFC 1035, section 2.3.4).
const MAX_HOST: usize = 253;

/// How a client reached the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    /// The name of the host, or its address (of IPv6 in brackets), as the client said it. `None` if it said nothing that
    /// could be one.
    pub host: Option<String>,
    /// The port, as the client said it.
    pub port: u16,
    /// Our port.
    pub local_port: u16,
    /// Whether TLS is spoken here.
    pub is_tls: bool,
    /// Whether a proxy says that it forwarded the request.
    pub is_proxied: bool,
}

impl Reached {
    /// Whether the client itself is the peer of the connection, as far as can be told.
    pub fn is_direct(&self) -> bool {
        self.host.is_some() && !self.is_proxied && self.port == self.local_port && self.port != 0
    }

    fn of(parts: &Parts) -> Self {
        let arrival = parts.extensions.get::<Arrival>();
        let is_tls = arrival.is_some_and(|arrival| arrival.is_tls);
        let local_port = arrival.map_or(0, |arrival| arrival.local.port());
        let forwarded = ["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"];
        let forwarded = forwarded.map(HeaderName::from_static);
        let is_proxied = forwarded.iter().chain([&FORWARDED, &VIA]).any(|name| parts.headers.contains_key(name));
        let said = parts.headers.get(HOST).and_then(|said| said.to_str().ok()?.parse::<Authority>().ok());
        let host = said.as_ref().map(|said| said.host().to_owned()).filter(|host| is_host(host));
        let port = said.and_then(|said| said.port_u16()).unwrap_or(if is_tls { 443 } else { 80 });
        Self { host, port, local_port, is_tls, is_proxied }
    }
}

/// Whether this is an address, or could be the name of a host.
fn is_host(text: &str) -> bool {
    if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return inner.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    !text.is_empty() && text.len() <= MAX_HOST && text.bytes().all(is_of_name)
}

impl<S: Sync> FromRequestParts<S> for Reached {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self::of(parts))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn reached(headers: &[(&str, &str)]) -> Reached {
        let arrival = Arrival { local: "10.0.0.1:443".parse().unwrap(), is_tls: true };
        let mut request = Request::get("/rtc").extension(arrival);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Reached::of(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn the_usual_port_need_not_be_said() {
        let there = reached(&[("host", "room.example.com")]);
        assert_eq!((there.host.as_deref(), there.port, there.is_direct()), (Some("room.example.com"), 443, true));
        assert!(!reached(&[("host", "room.example.com:8443")]).is_direct());
        assert!(reached(&[("host", "[2001:db8::1]:443")]).is_direct());
    }

    #[test]
    fn what_was_handed_on_is_not_direct() {
        for header in ["X-Forwarded-For", "Forwarded", "Via", "x-real-ip"] {
            assert!(!reached(&[("host", "a"), (header, "x")]).is_direct(), "{header}");
        }
    }

    #[test]
    fn what_is_no_host_is_not_taken_for_one() {
        for host in ["", "a b", "a?transport=udp", "[::zz]", "a\"", "user@a,b", &"a".repeat(300)] {
            let reached = reached(&[("host", host)]);
            assert!(reached.host.is_none_or(|host| is_host(&host) && host.len() < 300), "{host}");
        }
        assert!(!reached(&[]).is_direct());
    }
}
