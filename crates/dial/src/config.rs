//! What may be set.

/// How connections are opened. The default: the system's certificates, no pin, the environment's proxies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DialConfig {
    /// Certificates that are trusted beside the system's: PEM text, or the path of a file with it.
    pub ca: Option<String>,
    /// `sha256/BASE64` of the server's public key (SubjectPublicKeyInfo, as in RFC 7469), several separated by commas. Then
    /// only a server with such a key is accepted, and its certificate is asked for nothing else: neither who issued it,
    /// nor its names, nor its dates.
    pub pin: Option<String>,
    /// Through which proxy.
    pub proxy: ProxySetting,
}

/// Through which proxy connections go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ProxySetting {
    /// As `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` say, in upper or lower case. Never to this machine itself.
    #[default]
    Environment,
    /// Through none.
    Direct,
    /// Through this one, wherever it goes: `http://`, `socks5://` or `socks5h://`, with `user:password@` if it wants them.
    Url(String),
}

impl ProxySetting {
    /// From the text of an option: `none`, or a proxy's address; empty leaves it to the environment.
    pub fn of(text: &str) -> Self {
        match text.trim() {
            "" => Self::Environment,
            text if text.eq_ignore_ascii_case("none") => Self::Direct,
            text => Self::Url(text.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_names_a_proxy_or_forbids_all_or_leaves_it_open() {
        assert_eq!(ProxySetting::of(" None "), ProxySetting::Direct);
        assert_eq!(ProxySetting::of(""), ProxySetting::Environment);
        assert_eq!(ProxySetting::of("http://a:1"), ProxySetting::Url("http://a:1".into()));
    }
}
