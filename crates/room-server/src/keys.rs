//! The apps that may use the server.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

/// API keys with their secrets, and server secrets for the vendor's `04` tokens.
#[derive(Debug, Default)]
pub struct KeyStore {
    keys: RwLock<BTreeMap<String, String>>,
    server_secrets: BTreeMap<String, String>,
}

impl KeyStore {
    /// A store with these keys and, by app, server secrets.
    pub fn new(keys: BTreeMap<String, String>, server_secrets: BTreeMap<String, String>) -> Self {
        Self { keys: RwLock::new(keys), server_secrets }
    }

    /// Adds a key. False when the key is there with another secret; that one stays.
    pub fn add(&self, api_key: &str, secret: &str) -> bool {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        keys.entry(api_key.to_owned()).or_insert_with(|| secret.to_owned()) == secret
    }

    /// The secret of an API key.
    pub fn secret(&self, api_key: &str) -> Option<String> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).get(api_key).cloned()
    }

    /// An API key with its secret, the same one as long as none is added.
    pub fn first(&self) -> Option<(String, String)> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.first_key_value().map(|(key, secret)| (key.clone(), secret.clone()))
    }

    /// Apps with a server secret for `04` tokens, with that secret.
    pub fn server_secrets(&self) -> impl Iterator<Item = (&str, &str)> {
        self.server_secrets.iter().map(|(app, secret)| (app.as_str(), secret.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_secret_of_an_app_stays() {
        let store = KeyStore::default();
        assert!(store.add("1", "a"));
        assert!(store.add("1", "a"));
        assert!(!store.add("1", "b"));
        assert_eq!(store.secret("1").as_deref(), Some("a"));
        assert_eq!(store.secret("2"), None);
    }
}
