//! Values that can be written in several ways.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs};

use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde::{Deserialize, de};

use super::ConfigError;

/// Upper bound of addresses to listen on.
pub const MAX_BINDS: usize = 64;

/// A port, or a range of them: `7882`, `"7882"`, `7882-7892`, `{start: 7882, end: 7892}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// The first.
    pub first: u16,
    /// The last, not below the first.
    pub last: u16,
}

impl std::str::FromStr for Ports {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("\"{text}\" is neither a port nor a range of ports, as 7882-7892");
        let port = |text: &str| text.trim().parse::<u16>().map_err(|_| wrong());
        let (first, last) = match text.split_once('-') {
            Some((first, last)) => (port(first)?, port(last)?),
            None => (port(text)?, port(text)?),
        };
        if last < first { Err(wrong()) } else { Ok(Self { first, last }) }
    }
}

impl<'de> Deserialize<'de> for Ports {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Clone, Copy)]
        struct PortsVisitor;
        impl<'de> Visitor<'de> for PortsVisitor {
            type Value = Ports;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a port or a range of ports, as 7882-7892")
            }

            fn visit_u64<E: Error>(self, port: u64) -> Result<Ports, E> {
                let port = u16::try_from(port).map_err(|_| E::invalid_value(de::Unexpected::Unsigned(port), &self))?;
                Ok(Ports { first: port, last: port })
            }

            fn visit_i64<E: Error>(self, port: i64) -> Result<Ports, E> {
                self.visit_u64(u64::try_from(port).map_err(|_| E::invalid_value(de::Unexpected::Signed(port), &self))?)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Ports, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Ports, A::Error> {
                let (mut first, mut last) = (None, None);
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "start" => first = map.next_value()?,
                        "end" => last = map.next_value()?,
                        _ => drop(map.next_value::<de::IgnoredAny>()?),
                    }
                }
                let first: u16 = first.ok_or_else(|| A::Error::missing_field("start"))?;
                let last = last.filter(|last| *last != 0).unwrap_or(first);
                if last < first { Err(A::Error::custom("end is below start")) } else { Ok(Ports { first, last }) }
            }
        }
        deserializer.deserialize_any(PortsVisitor)
    }
}

/// Addresses that others know us by: one, or `{ipv4: …, ipv6: …}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeIps(pub Vec<IpAddr>);

impl<'de> Deserialize<'de> for NodeIps {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NodeIpsVisitor;
        fn add<E: Error>(ips: &mut Vec<IpAddr>, text: &str) -> Result<(), E> {
            if !text.trim().is_empty() {
                let wrong = |_| E::custom(format!("\"{text}\" is no IP address"));
                ips.push(text.trim().parse().map_err(wrong)?);
            }
            Ok(())
        }
        impl<'de> Visitor<'de> for NodeIpsVisitor {
            type Value = NodeIps;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an IP address, or one as ipv4 and one as ipv6")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<NodeIps, E> {
                let mut ips = Vec::new();
                add(&mut ips, text)?;
                Ok(NodeIps(ips))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<NodeIps, A::Error> {
                let mut ips = Vec::new();
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "ipv4" | "ipv6" => add(&mut ips, &map.next_value::<Option<String>>()?.unwrap_or_default())?,
                        _ => drop(map.next_value::<de::IgnoredAny>()?),
                    }
                }
                Ok(NodeIps(ips))
            }
        }
        deserializer.deserialize_any(NodeIpsVisitor)
    }
}

/// The addresses to listen on: an IP address (also in brackets), a host name, or an empty text for all addresses of the
/// machine.
///
/// # Errors
/// [`ConfigError::TooManyAddresses`], [`ConfigError::NoAddress`].
pub fn bind_addresses<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Vec<IpAddr>, ConfigError> {
    let mut ips = Vec::new();
    for (at, text) in texts.into_iter().enumerate() {
        if at >= MAX_BINDS {
            return Err(ConfigError::TooManyAddresses);
        }
        let bare = text.trim().trim_start_matches('[').trim_end_matches(']');
        if bare.is_empty() {
            ips.extend([IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)]);
        } else if let Ok(ip) = bare.parse() {
            ips.push(ip);
        } else {
            let found = (bare, 0).to_socket_addrs();
            let found = found.map_err(|error| ConfigError::NoAddress { name: text.to_owned(), error })?;
            ips.extend(found.map(|address| address.ip()));
        }
    }
    Ok(ips)
}
