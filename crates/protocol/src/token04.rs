//! The vendor's `04` token: AES-CBC over a small JSON object, made by an app's backend with its ServerSecret.
//!
//! Layout after the two characters `04`, in standard base64: 8 bytes big-endian expiry (Unix seconds), then the
//! initialisation vector and the ciphertext, each after its 2-byte big-endian length. There is no MAC: a token counts
//! only when its padding and JSON parse and app, user and expiry fit, and only the expiry inside the ciphertext counts.

use std::collections::BTreeMap;

use aes::{Aes128, Aes192, Aes256};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, KeyIvInit};
use serde::Deserialize;
use thiserror::Error;

/// Longest token that is looked at, in bytes.
const MAX_TOKEN: usize = 16 * 1024;
/// Length of the initialisation vector in bytes: one AES block.
const IV_LENGTH: usize = 16;
/// Key of `privilege` for entering the room.
const PRIVILEGE_LOGIN: &str = "1";
/// Key of `privilege` for publishing.
const PRIVILEGE_PUBLISH: &str = "2";

/// The contents of an `04` token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token04 {
    /// App that the token is for.
    pub app_id: u32,
    /// User that the token is for.
    pub user_id: String,
    /// Unix second of creation.
    pub created_at: u64,
    /// Unix second of its end.
    pub expire: u64,
    /// What the user may do; `None` is a basic token that only proves identity.
    pub payload: Option<Payload>,
}

/// The rights in a token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Payload {
    /// Room that may be entered; empty is any.
    pub room_id: String,
    /// `"1"` is login, `"2"` is publish; 1 allows, 0 forbids, absent leaves it open.
    pub privilege: BTreeMap<String, i32>,
    /// Streams that may be published; `None` is any.
    pub stream_id_list: Option<Vec<String>>,
}

/// Why an `04` token was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Token04Error {
    /// It does not begin with `04`.
    #[error("the token's version is not 04")]
    Version,
    /// The layout is broken, it does not decrypt, or what it decrypts to is no token. Deliberately one error: which
    /// of the three it was would help to forge one (padding oracle).
    #[error("the token is malformed")]
    Malformed,
    /// The ServerSecret has not 16, 24 or 32 bytes.
    #[error("the server secret has not 16, 24 or 32 bytes")]
    Secret,
    /// It is for another app.
    #[error("the token is for another app")]
    WrongApp,
    /// It is for another user.
    #[error("the token is for another user")]
    WrongUser,
    /// Its life is over.
    #[error("the token expired at {expired_at}")]
    Expired {
        /// End of life in Unix seconds.
        expired_at: u64,
    },
    /// It is for another room, or forbids to enter.
    #[error("the token does not allow to enter this room")]
    LoginForbidden,
}

impl Token04 {
    /// Checks that this token lets `user_id` of `app_id` into `room_id` at `now` (Unix seconds).
    ///
    /// # Errors
    /// [`Token04Error::WrongApp`], [`Token04Error::WrongUser`], [`Token04Error::Expired`],
    /// [`Token04Error::LoginForbidden`].
    pub fn check(&self, app_id: u32, user_id: &str, room_id: &str, now: u64) -> Result<(), Token04Error> {
        if self.app_id != app_id {
            return Err(Token04Error::WrongApp);
        }
        if self.user_id != user_id {
            return Err(Token04Error::WrongUser);
        }
        if now >= self.expire {
            return Err(Token04Error::Expired { expired_at: self.expire });
        }
        if let Some(payload) = &self.payload {
            let other_room = !payload.room_id.is_empty() && payload.room_id != room_id;
            if other_room || payload.privilege.get(PRIVILEGE_LOGIN) == Some(&0) {
                return Err(Token04Error::LoginForbidden);
            }
        }
        Ok(())
    }

    /// Whether the user may publish at all.
    pub fn may_publish(&self) -> bool {
        self.payload.as_ref().is_none_or(|payload| payload.privilege.get(PRIVILEGE_PUBLISH) != Some(&0))
    }

    /// Whether the user may publish this stream.
    pub fn may_publish_stream(&self, stream_id: &str) -> bool {
        let listed = |list: &Vec<String>| list.iter().any(|id| id == stream_id);
        self.may_publish()
            && self.payload.as_ref().and_then(|payload| payload.stream_id_list.as_ref()).is_none_or(listed)
    }
}

/// Whether this looks like an `04` token rather than an access token.
pub fn is_token04(token: &str) -> bool {
    token.starts_with("04") && !token.contains('.')
}

/// End of a token's life in Unix seconds, as its layout states it in the clear: for a client that wants to warn its user.
///
/// # Errors
/// [`Token04Error::Version`], [`Token04Error::Malformed`].
pub fn peek_expiry(token: &str) -> Result<u64, Token04Error> {
    let encoded = token.strip_prefix("04").ok_or(Token04Error::Version)?;
    if token.len() > MAX_TOKEN {
        return Err(Token04Error::Malformed);
    }
    let bytes = STANDARD.decode(encoded).map_err(|_| Token04Error::Malformed)?;
    bytes.first_chunk::<8>().map(|expiry| u64::from_be_bytes(*expiry)).ok_or(Token04Error::Malformed)
}

/// Decrypts a token. Its rights still have to be checked with [`Token04::check`].
///
/// # Errors
/// [`Token04Error::Version`], [`Token04Error::Malformed`], [`Token04Error::Secret`].
pub fn decode(token: &str, server_secret: &str) -> Result<Token04, Token04Error> {
    #[derive(Deserialize)]
    struct Inner {
        app_id: u32,
        user_id: String,
        ctime: u64,
        expire: u64,
        #[serde(default)]
        payload: String,
    }
    let encoded = token.strip_prefix("04").ok_or(Token04Error::Version)?;
    if token.len() > MAX_TOKEN {
        return Err(Token04Error::Malformed);
    }
    let bytes = STANDARD.decode(encoded).map_err(|_| Token04Error::Malformed)?;
    let (_outer_expiry, rest) = bytes.split_first_chunk::<8>().ok_or(Token04Error::Malformed)?;
    let (iv, rest) = take_block(rest).ok_or(Token04Error::Malformed)?;
    let (ciphertext, rest) = take_block(rest).ok_or(Token04Error::Malformed)?;
    if !rest.is_empty() || iv.len() != IV_LENGTH {
        return Err(Token04Error::Malformed);
    }
    let json = decrypt(server_secret.as_bytes(), iv, ciphertext)?;
    let inner: Inner = serde_json::from_slice(&json).map_err(|_| Token04Error::Malformed)?;
    let payload = match inner.payload.as_str() {
        "" => None,
        text => Some(serde_json::from_str(text).map_err(|_| Token04Error::Malformed)?),
    };
    Ok(Token04 { app_id: inner.app_id, user_id: inner.user_id, created_at: inner.ctime, expire: inner.expire, payload })
}

/// Splits off a block that stands behind its 2-byte big-endian length.
fn take_block(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

fn decrypt(key: &[u8], iv: &[u8], ciphertext: &[u8]) -> Result<Vec<u8>, Token04Error> {
    match key.len() {
        16 => decrypt_with::<cbc::Decryptor<Aes128>>(key, iv, ciphertext),
        24 => decrypt_with::<cbc::Decryptor<Aes192>>(key, iv, ciphertext),
        32 => decrypt_with::<cbc::Decryptor<Aes256>>(key, iv, ciphertext),
        _ => Err(Token04Error::Secret),
    }
}

fn decrypt_with<D: BlockModeDecrypt + KeyIvInit>(
    key: &[u8],
    iv: &[u8],
    ciphertext: &[u8],
) -> Result<Vec<u8>, Token04Error> {
    D::new_from_slices(key, iv)
        .map_err(|_| Token04Error::Malformed)?
        .decrypt_padded_vec::<Pkcs7>(ciphertext)
        .map_err(|_| Token04Error::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";
    const BASIC: &str = "04AAAAAH3PJAwAEGRrOHVldHY4Ym83a3VncDEAcB0CEszooLaoBT6EuTtB+lsoB02Vk2bGTyMeAqlEstQLHweqeVH6M8UD6a858g5af7wd7kH1EYalQV791ZVQfpIvLe11CbtXo51bc8gTpx8CXQ5G0jNosWZKqpwswXZYX5zgOemNUclounmrZA67WAU=";
    const RIGHTS: &str = "04AAAAAH3PJAwAEDg0dHdhZWxqZXJsbmF2cWUA0DRa9zdx3PHw0kqcBcrOK9U5BKwmGBsup2I4mpncy9yE9NFD7y+Le3rBayAoiHhuHT22FKAXim4s+Ft6Wi849bbSktaMkd5hTi+v2KFoOCvv37yu1ohvWtuB+SciDw9j+ftzXdfdPlbzk7hfxPuV7nPc8M/ISBGGQLQkLdsDU0szvKkqGcPdKx2jvZDWDwbDB+hZqrTVhRGV4/MlnCdDWuU9HmxEXE+nMiNm2R7zkI4TX14kjVFNAM1ZY6UT5wUxW783fG29CfOMf+PHufFaDfQ=";

    #[test]
    fn a_basic_token_proves_who_it_is_for() {
        let token = decode(BASIC, SECRET).unwrap();
        assert_eq!((token.app_id, token.user_id.as_str(), token.payload.as_ref()), (1_234_567_890, "userA", None));
        assert_eq!(token.check(1_234_567_890, "userA", "any", token.created_at), Ok(()));
        assert!(token.may_publish());
    }

    #[test]
    fn a_token_with_rights_says_which_room_and_whether_to_publish() {
        let token = decode(RIGHTS, SECRET).unwrap();
        assert_eq!(token.check(1_234_567_890, "userA", "TheRoomID", token.created_at), Ok(()));
        assert_eq!(token.check(1_234_567_890, "userA", "other", token.created_at), Err(Token04Error::LoginForbidden));
        assert!(!token.may_publish());
        assert!(!token.may_publish_stream("s"));
    }

    #[test]
    fn a_token_for_someone_else_or_of_yesterday_is_refused() {
        let token = decode(BASIC, SECRET).unwrap();
        let expired_at = token.expire;
        assert_eq!(token.check(1, "userA", "r", 0), Err(Token04Error::WrongApp));
        assert_eq!(token.check(1_234_567_890, "userB", "r", 0), Err(Token04Error::WrongUser));
        assert_eq!(token.check(1_234_567_890, "userA", "r", expired_at), Err(Token04Error::Expired { expired_at }));
    }

    #[test]
    fn the_inner_expiry_is_the_one_that_the_layout_states() {
        let outer = STANDARD.decode(&BASIC[2..]).unwrap();
        assert_eq!(decode(BASIC, SECRET).unwrap().expire, u64::from_be_bytes(outer[..8].try_into().unwrap()));
        assert_eq!(peek_expiry(BASIC), Ok(decode(BASIC, SECRET).unwrap().expire));
        assert_eq!(peek_expiry("04AAAA"), Err(Token04Error::Malformed));
    }

    #[test]
    fn a_wrong_secret_and_a_cut_token_give_the_same_error() {
        assert_eq!(decode(BASIC, "fedcba9876543210fedcba9876543210"), Err(Token04Error::Malformed));
        for length in 2..BASIC.len() {
            assert_eq!(decode(&BASIC[..length], SECRET), Err(Token04Error::Malformed), "{length}");
        }
    }

    #[test]
    fn other_versions_and_odd_secrets_are_named() {
        assert_eq!(decode("03AAAA", SECRET), Err(Token04Error::Version));
        assert_eq!(decode(BASIC, "short"), Err(Token04Error::Secret));
    }
}
