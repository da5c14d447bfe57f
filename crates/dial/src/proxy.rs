//! Through which proxy a connection goes.

use std::net::IpAddr;

use http::Uri;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};

use crate::config::ProxySetting;
use crate::error::DialError;
use crate::race::place;

/// Maximum value of an environment variable that is looked at, in bytes.
const MAX_VARIABLE: usize = 64 * 1024;

/// Chooses a proxy by the server's name.
#[derive(Debug)]
pub(crate) struct Proxies {
    matcher: Option<Matcher>,
    /// It was named for us and not for the whole machine.
    is_named: bool,
}

/// One proxy.
#[derive(Clone, Debug)]
pub(crate) struct Proxy {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) kind: Kind,
    pub(crate) found: Intercept,
}

/// How it is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// CONNECT of HTTP (RFC 9110, section 9.3.6).
    Http,
    /// SOCKS version 5 (RFC 1928).
    Socks5,
}

impl Proxies {
    /// By the option, or by the environment, which is an argument.
    pub(crate) fn new(setting: &ProxySetting, env: impl Fn(&str) -> Option<String>) -> Result<Self, DialError> {
        let either = |name: &str| {
            [name.to_owned(), name.to_ascii_lowercase()]
                .iter()
                .find_map(|name| env(name).filter(|value| !value.is_empty() && value.len() <= MAX_VARIABLE))
        };
        Ok(match setting {
            ProxySetting::Direct => Self { matcher: None, is_named: true },
            ProxySetting::Url(url) => {
                let matcher = Matcher::builder().all(url.clone()).build();
                let usable =
                    matcher.intercept(&Uri::from_static("https://any")).is_some_and(|found| kind(&found).is_some());
                if !usable {
                    // No word of the address itself: it may hold a password.
                    let text = "the proxy cannot be used: its address is not http://host:port or socks5://host:port";
                    return Err(DialError::Config(text.to_owned()));
                }
                Self { matcher: Some(matcher), is_named: true }
            }
            ProxySetting::Environment => {
                let [http, https, all, no] = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"].map(either);
                // A WebSocket needs a tunnel whether or not it is encrypted, so the proxy for HTTPS will do for both
                // (RFC 6455, section 4.1).
                let plain = http.or_else(|| https.clone());
                let matcher = Matcher::builder()
                    .http(plain.unwrap_or_default())
                    .https(https.unwrap_or_default())
                    .all(all.unwrap_or_default())
                    .no(no.unwrap_or_default())
                    .build();
                Self { matcher: Some(matcher), is_named: false }
            }
        })
    }

    /// The proxy for a server, if one applies.
    pub(crate) fn of(&self, host: &str, port: u16, is_tls: bool) -> Result<Option<Proxy>, DialError> {
        let Some(matcher) = &self.matcher else { return Ok(None) };
        if !self.is_named && is_own_machine(host) {
            return Ok(None);
        }
        let scheme = if is_tls { "https" } else { "http" };
        let Ok(server) = format!("{scheme}://{}/", place(host, port)).parse::<Uri>() else { return Ok(None) };
        let Some(found) = matcher.intercept(&server) else { return Ok(None) };
        let (Some(kind), Some(host)) = (kind(&found), found.uri().host()) else {
            let scheme = found.uri().scheme_str().unwrap_or_default();
            return Err(DialError::Config(format!(
                "a proxy by {scheme}:// cannot be used, only http:// and socks5://"
            )));
        };
        let port = found.uri().port_u16().unwrap_or(if kind == Kind::Http { 80 } else { 1080 });
        Ok(Some(Proxy { host: host.trim_matches(['[', ']']).to_owned(), port, kind, found }))
    }
}

fn kind(found: &Intercept) -> Option<Kind> {
    match found.uri().scheme_str()? {
        "http" => Some(Kind::Http),
        "socks5" | "socks5h" => Some(Kind::Socks5),
        _ => None,
    }
}

/// A name or address of this machine itself (RFC 6761, section 6.3).
fn is_own_machine(host: &str) -> bool {
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost") || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_env<const N: usize>(variables: [(&str, &str); N]) -> Proxies {
        let env = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        Proxies::new(&ProxySetting::Environment, env).unwrap()
    }

    fn way(proxies: &Proxies, host: &str, is_tls: bool) -> Option<String> {
        proxies.of(host, 443, is_tls).unwrap().map(|proxy| place(&proxy.host, proxy.port))
    }

    #[test]
    fn each_scheme_has_its_proxy_and_the_one_for_https_serves_both() {
        let proxies = by_env([("https_proxy", "http://s:1"), ("HTTP_PROXY", "p:2")]);
        assert_eq!(way(&proxies, "a.example", true).unwrap(), "s:1");
        assert_eq!(way(&proxies, "a.example", false).unwrap(), "p:2");
        assert_eq!(way(&by_env([("HTTPS_PROXY", "http://s:1")]), "a.example", false).unwrap(), "s:1");
        assert_eq!(way(&by_env([("ALL_PROXY", "http://[fd::1]:3")]), "a.example", false).unwrap(), "[fd::1]:3");
        assert_eq!(way(&by_env([]), "a.example", true), None);
    }

    #[test]
    fn exceptions_and_this_machine_itself_are_reached_directly() {
        let proxies = by_env([("ALL_PROXY", "http://p:1"), ("NO_PROXY", "example.org,10.0.0.0/8,fd::1")]);
        for host in
            ["example.org", "a.example.org", "10.1.2.3", "fd::1", "localhost", "a.localhost", "127.0.0.9", "::1"]
        {
            assert_eq!(way(&proxies, host, true), None, "{host}");
        }
        assert_eq!(way(&proxies, "example.com", true).unwrap(), "p:1");
    }

    #[test]
    fn a_proxy_named_by_the_application_is_used_for_everything() {
        let proxies = Proxies::new(&ProxySetting::Url("http://u:p@p:1".into()), |_| None).unwrap();
        assert_eq!(way(&proxies, "127.0.0.1", false).unwrap(), "p:1");
        let none = Proxies::new(&ProxySetting::Direct, |_| Some("http://p:1".into())).unwrap();
        assert_eq!(way(&none, "example.com", true), None);
    }

    #[test]
    fn what_is_no_proxy_is_a_configuration_error_without_its_password() {
        for url in
            ["https://u:secret@p:1", "ftp://u:secret@p", "http://", "socks4://u:secret@p", "http://u:secret@p:x y"]
        {
            let Err(DialError::Config(text)) = Proxies::new(&ProxySetting::Url(url.into()), |_| None) else {
                panic!("{url}")
            };
            assert!(!text.contains("secret"), "{text}");
        }
    }
}
