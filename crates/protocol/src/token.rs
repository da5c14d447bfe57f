//! Access tokens: JSON Web Tokens (RFC 7519) signed with HMAC-SHA-256, in LiveKit's layout.
//!
//! `iss` is the API key, `sub` the identity, `video` the grants, `roomConfig` the wishes for a room that is created by
//! the first join. Only `HS256` is ever accepted, whatever the header of a token says.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::crypto::verify as verify_signature;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

mod reading;

/// Clocks of two machines may differ by this much before a token counts as expired or not yet valid, in seconds: as with
/// a LiveKit server.
const LEEWAY_S: u64 = 60;

/// Longest token that is looked at, in bytes.
const MAX_TOKEN: usize = 64 * 1024;

/// What the holder of a token may do in its room.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Grants {
    /// May join the room.
    #[serde(skip_serializing_if = "is_false")]
    pub room_join: bool,
    /// May create the room. Joins create rooms anyway.
    #[serde(skip_serializing_if = "is_false")]
    pub room_create: bool,
    /// May list the rooms of the app.
    #[serde(skip_serializing_if = "is_false")]
    pub room_list: bool,
    /// May administer the room (remove users, set its metadata).
    #[serde(skip_serializing_if = "is_false")]
    pub room_admin: bool,
    /// May publish tracks; absent means yes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub can_publish: Option<bool>,
    /// May subscribe to tracks; absent means yes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub can_subscribe: Option<bool>,
    /// May send data; absent means whatever `can_publish` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub can_publish_data: Option<bool>,
    /// Track sources that may be published (`camera`, `microphone`, `screen_share`, `screen_share_audio`); empty: all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub can_publish_sources: Vec<String>,
    /// May change its own name, metadata and attributes; absent means no.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub can_update_own_metadata: Option<bool>,
    /// Others do not see this participant.
    #[serde(skip_serializing_if = "is_false")]
    pub hidden: bool,
}

impl Grants {
    /// What the addon asks for itself: join, publish, subscribe, send data, change its own attributes.
    pub fn participant() -> Self {
        Self {
            room_join: true,
            can_publish: Some(true),
            can_subscribe: Some(true),
            can_publish_data: Some(true),
            can_update_own_metadata: Some(true),
            ..Self::default()
        }
    }
}

/// The contents of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// API key (`iss`). [`mint`] ignores it and takes its own argument.
    pub api_key: String,
    /// Who the holder is (`sub`).
    pub identity: String,
    /// Display name.
    pub name: String,
    /// Free text shown to others.
    pub metadata: String,
    /// Attributes shown to others.
    pub attributes: BTreeMap<String, String>,
    /// Room that may be joined.
    pub room: String,
    /// What the holder may do there.
    pub grants: Grants,
    /// Most participants of the room if this join creates it; 0 is no limit.
    pub max_participants: u32,
    /// Life of the token: from now on in [`mint`], what is left of it after [`verify`].
    pub ttl: Duration,
    /// End of life in Unix seconds; `u64::MAX` for a token without one. [`mint`] ignores it and derives it from `ttl`.
    pub expires_at: u64,
}

impl Default for Claims {
    /// Nobody in no room, with the rights of [`Grants::participant`] for six hours.
    fn default() -> Self {
        Self {
            api_key: String::new(),
            identity: String::new(),
            name: String::new(),
            metadata: String::new(),
            attributes: BTreeMap::new(),
            room: String::new(),
            grants: Grants::participant(),
            max_participants: 0,
            ttl: Duration::from_secs(6 * 3600),
            expires_at: 0,
        }
    }
}

/// Why a token was refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TokenError {
    /// It is not three base64url parts of JSON with the needed fields.
    #[error("the token is malformed")]
    Malformed,
    /// Its API key is not known here.
    #[error("the API key of the token is not known")]
    UnknownKey,
    /// The signature does not fit.
    #[error("the signature of the token is wrong")]
    BadSignature,
    /// Its life is over.
    #[error("the token expired at {expired_at}")]
    Expired {
        /// End of life in Unix seconds.
        expired_at: u64,
    },
    /// Its life has not begun.
    #[error("the token is valid from {not_before} on")]
    NotYetValid {
        /// Begin of life in Unix seconds.
        not_before: u64,
    },
    /// It is signed with something other than `HS256`, or not at all.
    #[error("the token is not signed with HS256")]
    WrongAlgorithm,
    /// Signing failed inside the crypto library.
    #[error("the token could not be signed: {0}")]
    Signing(String),
}

/// The token as it is serialized.
#[derive(Serialize, Deserialize)]
struct WireClaims {
    #[serde(default)]
    iss: String,
    #[serde(default)]
    sub: String,
    #[serde(default, deserialize_with = "reading::numeric_date", skip_serializing_if = "Option::is_none")]
    exp: Option<u64>,
    #[serde(default, deserialize_with = "reading::numeric_date", skip_serializing_if = "Option::is_none")]
    nbf: Option<u64>,
    #[serde(default, deserialize_with = "reading::numeric_date", skip_serializing_if = "Option::is_none")]
    iat: Option<u64>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    metadata: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<String, String>,
    #[serde(default)]
    video: WireGrants,
    #[serde(default, rename = "roomConfig", skip_serializing_if = "Option::is_none")]
    room_config: Option<WireRoomConfig>,
}

#[derive(Default, Serialize, Deserialize)]
struct WireGrants {
    #[serde(default)]
    room: String,
    #[serde(flatten)]
    grants: Grants,
}

/// Only what is understood; other fields are ignored. Server SDKs in some languages write the proto field names.
#[derive(Default, Serialize, Deserialize)]
struct WireRoomConfig {
    #[serde(default, rename = "maxParticipants", alias = "max_participants", deserialize_with = "reading::count")]
    max_participants: u32,
}

/// Signs a token that is valid from now on for `claims.ttl`.
///
/// # Errors
/// [`TokenError::Signing`] when the crypto library fails.
pub fn mint(api_key: &str, secret: &str, claims: &Claims) -> Result<String, TokenError> {
    mint_at(api_key, secret, claims, unix_now())
}

/// [`mint`] with the clock (Unix seconds) as an argument.
///
/// # Errors
/// As [`mint`].
pub fn mint_at(api_key: &str, secret: &str, claims: &Claims, now: u64) -> Result<String, TokenError> {
    let wire = WireClaims {
        iss: api_key.to_owned(),
        sub: claims.identity.clone(),
        exp: Some(now.saturating_add(claims.ttl.as_secs())),
        nbf: Some(now),
        iat: None,
        name: claims.name.clone(),
        metadata: claims.metadata.clone(),
        attributes: claims.attributes.clone(),
        video: WireGrants { room: claims.room.clone(), grants: claims.grants.clone() },
        room_config: (claims.max_participants > 0)
            .then_some(WireRoomConfig { max_participants: claims.max_participants }),
    };
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &wire, &EncodingKey::from_secret(secret.as_bytes()))
        .map_err(|error| TokenError::Signing(error.to_string()))
}

/// Checks a token against the secret that `lookup` gives for its API key, and against the clock.
///
/// # Errors
/// Every variant of [`TokenError`] but `Signing`. Nothing of an unverified token reaches the caller.
pub fn verify(token: &str, lookup: impl Fn(&str) -> Option<String>) -> Result<Claims, TokenError> {
    verify_at(token, lookup, unix_now())
}

/// [`verify`] with the clock (Unix seconds) as an argument.
///
/// # Errors
/// As [`verify`].
pub fn verify_at(token: &str, lookup: impl Fn(&str) -> Option<String>, now: u64) -> Result<Claims, TokenError> {
    let wire = peek(token)?;
    let secret = lookup(&wire.iss).ok_or(TokenError::UnknownKey)?;
    let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
    let key = DecodingKey::from_secret(secret.as_bytes());
    let is_signed = verify_signature(signature, signed.as_bytes(), &key, Algorithm::HS256);
    // A signature that is no base64 is an error, and as wrong as any other.
    if !is_signed.unwrap_or(false) {
        return Err(TokenError::BadSignature);
    }
    let expires_at = wire.exp.unwrap_or(u64::MAX);
    if now > expires_at.saturating_add(LEEWAY_S) {
        return Err(TokenError::Expired { expired_at: expires_at });
    }
    if let Some(not_before) = wire.nbf.filter(|nbf| *nbf > now.saturating_add(LEEWAY_S)) {
        return Err(TokenError::NotYetValid { not_before });
    }
    Ok(Claims {
        api_key: wire.iss,
        identity: wire.sub,
        name: wire.name,
        metadata: wire.metadata,
        attributes: wire.attributes,
        room: wire.video.room,
        grants: wire.video.grants,
        max_participants: wire.room_config.unwrap_or_default().max_participants,
        ttl: Duration::from_secs(expires_at.saturating_sub(now)),
        expires_at,
    })
}

/// When a token's life begins and ends, as far as it says so, in Unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The later of `nbf` and `iat`.
    pub begins_at: Option<u64>,
    /// `exp`.
    pub ends_at: Option<u64>,
}

/// A token's life, without a look at its signature: for a client that wants to warn its user.
///
/// # Errors
/// [`TokenError::Malformed`], [`TokenError::WrongAlgorithm`].
pub fn peek_validity(token: &str) -> Result<Validity, TokenError> {
    peek(token).map(|claims| Validity { begins_at: claims.nbf.max(claims.iat), ends_at: claims.exp })
}

/// Identity in a token, without a look at its signature: for a client that compares it with its own user.
///
/// # Errors
/// [`TokenError::Malformed`], [`TokenError::WrongAlgorithm`].
pub fn peek_identity(token: &str) -> Result<String, TokenError> {
    peek(token).map(|claims| claims.sub)
}

fn peek(token: &str) -> Result<WireClaims, TokenError> {
    #[derive(Deserialize)]
    struct JoseHeader {
        alg: String,
        /// Extensions that must be understood (RFC 7515, section 4.1.11). We understand none.
        #[serde(default)]
        crit: Value,
    }
    if token.len() > MAX_TOKEN {
        return Err(TokenError::Malformed);
    }
    let mut parts = token.split('.');
    let (Some(header), Some(payload), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(TokenError::Malformed);
    };
    let header: JoseHeader = decode_part(header)?;
    if header.alg != "HS256" {
        return Err(TokenError::WrongAlgorithm);
    }
    if !header.crit.is_null() {
        return Err(TokenError::Malformed);
    }
    reading::claims(decode_part(payload)?)
}

fn decode_part<T: for<'de> Deserialize<'de>>(part: &str) -> Result<T, TokenError> {
    let json = URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Malformed)?;
    serde_json::from_slice(&json).map_err(|_| TokenError::Malformed)
}

fn is_false(value: &bool) -> bool {
    !value
}

fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests;
