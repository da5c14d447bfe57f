//! Admission: who may join, and with which permissions.

use std::collections::{BTreeMap, HashMap};
use std::time::{SystemTime, UNIX_EPOCH};

use protocol::messages::TrackSource;
use protocol::refusal::Refusal;
use protocol::token::{self, Claims, Grants, TokenError};
use protocol::token04::{self, Token04, Token04Error};
use thiserror::Error;

use crate::keys::KeyStore;
use crate::limits::{Limits, TooLong};

/// A participant that may join a room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admission {
    /// App (API key) that the room belongs to.
    pub app: String,
    /// Name of the room.
    pub room: String,
    /// Its identity.
    pub identity: String,
    /// Display name.
    pub name: String,
    /// Free text shown to others.
    pub metadata: String,
    /// Attributes shown to others.
    pub attributes: BTreeMap<String, String>,
    /// Its permissions.
    pub permission: Permission,
    /// The grants of the token that say so; `None` for the vendor's tokens.
    pub grants: Option<Grants>,
    /// Upper bound of participants if this join creates the room; 0 is no limit.
    pub max_participants: u32,
}

/// What a participant may do in a room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permission {
    /// Publish tracks.
    pub publish: bool,
    /// Subscribe to tracks.
    pub subscribe: bool,
    /// Send data.
    pub publish_data: bool,
    /// Change the own name, metadata and attributes.
    pub update_metadata: bool,
    /// Be there without others knowing.
    pub hidden: bool,
    /// Numbers of the track sources that may be published; empty: all.
    pub sources: Vec<i32>,
    /// Streams that may be published; `None`: all.
    pub streams: Option<Vec<String>>,
}

impl Permission {
    /// Whether a track of this source may be published as part of this stream.
    pub fn may_publish(&self, source: i32, stream_id: &str) -> bool {
        let in_streams = self.streams.as_ref().is_none_or(|streams| streams.iter().any(|id| id == stream_id));
        self.publish && in_streams && (self.sources.is_empty() || self.sources.contains(&source))
    }
}

/// Why someone may not enter. The HTTP status is 401 unless another is named.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AuthError {
    /// There is no token in the request.
    #[error("no access token")]
    NoToken,
    /// The access token is not valid.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The vendor's token is not valid.
    #[error(transparent)]
    Token04(#[from] Token04Error),
    /// The token does not allow to join a room (status 403).
    #[error("the token does not allow to join")]
    NotAllowed,
    /// Room name or identity is missing (status 400).
    #[error("the token names no room or no identity")]
    NoName,
    /// A text is too long (status 400).
    #[error(transparent)]
    TooLong(#[from] TooLong),
}

impl AuthError {
    /// The code of the refusal, by which clients go.
    pub fn refusal(&self) -> Refusal {
        match self {
            Self::NoToken => Refusal::NoToken,
            Self::Token(TokenError::Malformed) | Self::Token04(Token04Error::Malformed) => Refusal::TokenMalformed,
            Self::Token(TokenError::UnknownKey) => Refusal::TokenKey,
            Self::Token(TokenError::BadSignature) => Refusal::TokenSignature,
            Self::Token(TokenError::WrongAlgorithm) => Refusal::TokenAlgorithm,
            Self::Token(TokenError::Expired { .. }) | Self::Token04(Token04Error::Expired { .. }) => {
                Refusal::TokenExpired
            }
            Self::Token(TokenError::NotYetValid { .. }) => Refusal::TokenNotYetValid,
            Self::Token04(Token04Error::Version) => Refusal::TokenVersion,
            Self::Token04(Token04Error::WrongApp) => Refusal::TokenApp,
            Self::Token04(Token04Error::WrongUser) => Refusal::TokenUser,
            Self::Token04(Token04Error::LoginForbidden) => Refusal::TokenRoom,
            Self::NotAllowed => Refusal::JoinNotAllowed,
            Self::NoName => Refusal::NoName,
            Self::TooLong(_) => Refusal::TooLong,
            Self::Token(_) | Self::Token04(_) => Refusal::Other,
        }
    }
}

/// Checks a request by its `Authorization` header, if any, and its query.
///
/// # Errors
/// See [`AuthError`].
pub fn admit(
    keys: &KeyStore,
    limits: &Limits,
    authorization: Option<&str>,
    query: &HashMap<String, String>,
) -> Result<Admission, AuthError> {
    let bearer = authorization.and_then(|value| value.strip_prefix("Bearer ")).map(str::trim);
    let token = bearer.or(query.get("access_token").map(String::as_str)).ok_or(AuthError::NoToken)?;
    let admission = if token04::is_token04(token) {
        admit_token04(keys, token, query)?
    } else {
        of_claims(token::verify(token, |key| keys.secret(key))?)?
    };
    if admission.room.is_empty() || admission.identity.is_empty() {
        return Err(AuthError::NoName);
    }
    limits.check_room_name(&admission.room)?;
    limits.check_identity(&admission.identity)?;
    limits.check_participant_name(&admission.name)?;
    limits.check_metadata(&admission.metadata)?;
    limits.check_attributes(&admission.attributes)?;
    Ok(admission)
}

fn of_claims(claims: Claims) -> Result<Admission, AuthError> {
    let grants = claims.grants;
    let Grants { room_join, can_publish, can_subscribe, can_publish_data, can_update_own_metadata, hidden, .. } =
        grants;
    if !room_join {
        return Err(AuthError::NotAllowed);
    }
    let publish = can_publish.unwrap_or(true);
    Ok(Admission {
        app: claims.api_key,
        room: claims.room,
        identity: claims.identity,
        name: claims.name,
        metadata: claims.metadata,
        attributes: claims.attributes,
        permission: Permission {
            publish,
            subscribe: can_subscribe.unwrap_or(true),
            publish_data: can_publish_data.unwrap_or(publish),
            update_metadata: can_update_own_metadata.unwrap_or(false),
            hidden,
            sources: grants.can_publish_sources.iter().filter_map(|name| source_number(name)).collect(),
            streams: None,
        },
        grants: Some(grants),
        max_participants: claims.max_participants,
    })
}

/// An `04` token names neither the room (unless it is bound to one) nor the user; both come from the query then: `room`,
/// `name`, `max_participants`.
fn admit_token04(keys: &KeyStore, token: &str, query: &HashMap<String, String>) -> Result<Admission, AuthError> {
    let (app, token) = keys
        .server_secrets()
        .find_map(|(app, secret)| {
            let token = token04::decode(token, secret).ok()?;
            (token.app_id.to_string() == app).then(|| (app.to_owned(), token))
        })
        .ok_or(Token04Error::Malformed)?;
    let of_query = |name: &str| query.get(name).cloned().unwrap_or_default();
    let bound_to = token.payload.as_ref().map(|payload| payload.room_id.clone()).filter(|room| !room.is_empty());
    let asked_for = of_query("room");
    let room = if asked_for.is_empty() { bound_to.unwrap_or_default() } else { asked_for };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    token.check(token.app_id, &token.user_id, &room, now)?;
    Ok(Admission {
        app,
        room,
        identity: token.user_id.clone(),
        name: of_query("name"),
        permission: permission_of(&token),
        max_participants: of_query("max_participants").parse().unwrap_or(0),
        ..Admission::default()
    })
}

fn permission_of(token: &Token04) -> Permission {
    Permission {
        publish: token.may_publish(),
        subscribe: true,
        publish_data: true,
        update_metadata: true,
        streams: token.payload.as_ref().and_then(|payload| payload.stream_id_list.clone()),
        ..Permission::default()
    }
}

/// Names of track sources in grants.
const SOURCES: [(&str, TrackSource); 4] = [
    ("camera", TrackSource::Camera),
    ("microphone", TrackSource::Microphone),
    ("screen_share", TrackSource::ScreenShare),
    ("screen_share_audio", TrackSource::ScreenShareAudio),
];

/// The grants `base`, with those of `permission`.
pub fn grants_of(permission: &Permission, base: &Grants) -> Grants {
    let names = SOURCES.iter().filter(|(_, source)| permission.sources.contains(&(*source as i32)));
    Grants {
        can_publish: Some(permission.publish),
        can_subscribe: Some(permission.subscribe),
        can_publish_data: Some(permission.publish_data),
        can_update_own_metadata: Some(permission.update_metadata),
        hidden: permission.hidden,
        can_publish_sources: names.map(|(name, _)| (*name).to_owned()).collect(),
        ..base.clone()
    }
}

fn source_number(name: &str) -> Option<i32> {
    let known = SOURCES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    known.map(|(_, source)| *source as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VENDOR_TOKEN: &str = "04AAAAAH3PJAwAEDg0dHdhZWxqZXJsbmF2cWUA0DRa9zdx3PHw0kqcBcrOK9U5BKwmGBsup2I4mpncy9yE9NFD7y+Le3rBayAoiHhuHT22FKAXim4s+Ft6Wi849bbSktaMkd5hTi+v2KFoOCvv37yu1ohvWtuB+SciDw9j+ftzXdfdPlbzk7hfxPuV7nPc8M/ISBGGQLQkLdsDU0szvKkqGcPdKx2jvZDWDwbDB+hZqrTVhRGV4/MlnCdDWuU9HmxEXE+nMiNm2R7zkI4TX14kjVFNAM1ZY6UT5wUxW783fG29CfOMf+PHufFaDfQ=";

    fn store() -> KeyStore {
        let secrets = BTreeMap::from([("1234567890".to_owned(), "0123456789abcdef0123456789abcdef".to_owned())]);
        KeyStore::new(BTreeMap::from([("app".to_owned(), "secret".to_owned())]), secrets)
    }

    fn query(pairs: &[(&str, &str)]) -> HashMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn token(claims: Claims) -> String {
        token::mint("app", "secret", &claims).unwrap()
    }

    fn claims() -> Claims {
        Claims { identity: "anna".into(), room: "lobby".into(), ..Claims::default() }
    }

    #[test]
    fn a_token_is_taken_from_the_header_or_from_the_query() {
        let token = token(claims());
        let by_header = admit(&store(), &Limits::default(), Some(&format!("Bearer {token}")), &query(&[])).unwrap();
        let by_query = admit(&store(), &Limits::default(), None, &query(&[("access_token", &token)])).unwrap();
        assert_eq!(by_header, by_query);
        assert_eq!(
            (by_header.app.as_str(), by_header.room.as_str(), by_header.identity.as_str()),
            ("app", "lobby", "anna")
        );
    }

    #[test]
    fn without_a_token_nobody_enters() {
        assert_eq!(admit(&store(), &Limits::default(), None, &query(&[])), Err(AuthError::NoToken));
        assert_eq!(admit(&store(), &Limits::default(), Some("Basic x"), &query(&[])), Err(AuthError::NoToken));
    }

    #[test]
    fn a_token_without_the_right_to_join_is_not_enough() {
        let grants = Grants { room_join: false, ..Grants::participant() };
        let token = token(Claims { grants, ..claims() });
        assert_eq!(
            admit(&store(), &Limits::default(), None, &query(&[("access_token", &token)])),
            Err(AuthError::NotAllowed)
        );
    }

    #[test]
    fn a_room_without_a_name_and_a_user_without_identity_are_refused() {
        for claims in [Claims { room: String::new(), ..claims() }, Claims { identity: String::new(), ..claims() }] {
            let token = token(claims);
            assert_eq!(
                admit(&store(), &Limits::default(), None, &query(&[("access_token", &token)])),
                Err(AuthError::NoName)
            );
        }
    }

    #[test]
    fn a_vendor_token_brings_its_room_and_rights() {
        let admission =
            admit(&store(), &Limits::default(), None, &query(&[("access_token", VENDOR_TOKEN), ("name", "A")]))
                .unwrap();
        assert_eq!(
            (admission.room.as_str(), admission.identity.as_str(), admission.name.as_str()),
            ("TheRoomID", "userA", "A")
        );
        assert!(!admission.permission.may_publish(0, "s"));
    }

    #[test]
    fn a_vendor_token_does_not_open_another_room() {
        let result =
            admit(&store(), &Limits::default(), None, &query(&[("access_token", VENDOR_TOKEN), ("room", "other")]));
        assert_eq!(result, Err(AuthError::Token04(Token04Error::LoginForbidden)));
    }

    #[test]
    fn a_vendor_token_is_refused_where_no_server_secret_is_known() {
        let result = admit(&KeyStore::default(), &Limits::default(), None, &query(&[("access_token", VENDOR_TOKEN)]));
        assert_eq!(result, Err(AuthError::Token04(Token04Error::Malformed)));
    }

    #[test]
    fn only_listed_sources_may_be_published() {
        let grants = Grants { can_publish_sources: vec!["microphone".into()], ..Grants::participant() };
        let token = token(Claims { grants, ..claims() });
        let permission =
            admit(&store(), &Limits::default(), None, &query(&[("access_token", &token)])).unwrap().permission;
        assert!(permission.may_publish(TrackSource::Microphone as i32, "s"));
        assert!(!permission.may_publish(TrackSource::Camera as i32, "s"));
    }

    #[test]
    fn what_is_too_long_in_a_token_is_named() {
        let long = "x".repeat(257);
        let limits = Limits { metadata: 100, attributes: 100, ..Limits::default() };
        for (claims, what) in [
            (Claims { room: long.clone(), ..claims() }, "room"),
            (Claims { identity: long.clone(), ..claims() }, "identity"),
            (Claims { name: long.clone(), ..claims() }, "name"),
            (Claims { metadata: long.clone(), ..claims() }, "metadata"),
            (Claims { attributes: BTreeMap::from([("a".into(), "b".repeat(100))]), ..claims() }, "attributes"),
        ] {
            let token = token(claims);
            let error = admit(&store(), &limits, None, &query(&[("access_token", &token)])).unwrap_err();
            assert!(matches!(error, AuthError::TooLong(_)) && error.to_string().contains(what), "{error}");
        }
    }
}
