use super::*;

const NOW: u64 = 1_800_000_000;
const KEY: &str = "1234567";
const SECRET: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn lookup(key: &str) -> Option<String> {
    (key == KEY).then(|| SECRET.to_owned())
}

fn claims() -> Claims {
    Claims {
        identity: "anna".into(),
        name: "Anna".into(),
        room: "lobby".into(),
        attributes: BTreeMap::from([("k".to_owned(), "v".to_owned())]),
        max_participants: 3,
        ttl: Duration::from_secs(600),
        ..Claims::default()
    }
}

fn token_of(header: &str, payload: &str) -> String {
    format!("{}.{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload), URL_SAFE_NO_PAD.encode("x"))
}

#[test]
fn a_minted_token_gives_its_claims_back() {
    let token = mint_at(KEY, SECRET, &claims(), NOW).unwrap();
    let read = verify_at(&token, lookup, NOW + 100).unwrap();
    let expected = Claims { api_key: KEY.into(), ttl: Duration::from_secs(500), expires_at: NOW + 600, ..claims() };
    assert_eq!(read, expected);
    assert_eq!(peek_validity(&token).unwrap(), Validity { begins_at: Some(NOW), ends_at: Some(NOW + 600) });
    assert_eq!(peek_identity(&token).unwrap(), "anna");
}

#[test]
fn a_token_of_another_secret_is_refused() {
    let token = mint_at(KEY, "another", &claims(), NOW).unwrap();
    assert_eq!(verify_at(&token, lookup, NOW), Err(TokenError::BadSignature));
}

#[test]
fn a_token_of_another_key_is_refused() {
    let token = mint_at("7654321", SECRET, &claims(), NOW).unwrap();
    assert_eq!(verify_at(&token, lookup, NOW), Err(TokenError::UnknownKey));
}

#[test]
fn a_changed_payload_is_refused() {
    let token = mint_at(KEY, SECRET, &claims(), NOW).unwrap();
    let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    let payload = String::from_utf8(URL_SAFE_NO_PAD.decode(&parts[1]).unwrap()).unwrap();
    parts[1] = URL_SAFE_NO_PAD.encode(payload.replace("anna", "hans"));
    assert_eq!(verify_at(&parts.join("."), lookup, NOW), Err(TokenError::BadSignature));
}

#[test]
fn an_unsigned_token_is_refused() {
    for algorithm in ["none", "None", "HS384", "RS256", ""] {
        let token = token_of(&format!(r#"{{"alg":"{algorithm}"}}"#), r#"{"iss":"1234567","sub":"a","exp":1900000000}"#);
        assert_eq!(verify_at(&token, lookup, NOW), Err(TokenError::WrongAlgorithm), "{algorithm}");
    }
}

#[test]
fn a_token_is_refused_before_and_after_its_life() {
    let token = mint_at(KEY, SECRET, &claims(), NOW).unwrap();
    assert_eq!(verify_at(&token, lookup, NOW + 661), Err(TokenError::Expired { expired_at: NOW + 600 }));
    assert_eq!(verify_at(&token, lookup, NOW - 61), Err(TokenError::NotYetValid { not_before: NOW }));
    assert!(verify_at(&token, lookup, NOW + 659).is_ok(), "clocks may differ a little");
}

#[test]
fn grants_that_a_token_does_not_name_stay_open() {
    let json = format!(r#"{{"iss":"{KEY}","sub":"a","exp":{},"video":{{"room":"r","roomJoin":true}}}}"#, NOW + 60);
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    let token =
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &value, &EncodingKey::from_secret(SECRET.as_bytes()))
            .unwrap();
    let read = verify_at(&token, lookup, NOW).unwrap();
    assert_eq!(read.room, "r");
    assert_eq!(read.grants, Grants { room_join: true, ..Grants::default() });
}

#[test]
fn broken_tokens_are_malformed_and_nothing_worse() {
    for token in ["", ".", "..", "a.b.c", "a.b.c.d", "ä.ö.ü"] {
        assert_eq!(verify_at(token, lookup, NOW), Err(TokenError::Malformed), "{token}");
    }
    assert_eq!(verify_at(&"a".repeat(MAX_TOKEN + 1), lookup, NOW), Err(TokenError::Malformed));
}

/// Valid tokens of both kinds, changed at random (xorshift, so a failure can be repeated). None may pass, unless the
/// change fell on bits that base64 ignores.
#[test]
fn tokens_with_random_changes_do_not_pass() {
    let good = mint_at(KEY, SECRET, &claims(), NOW).unwrap();
    let expected = verify_at(&good, lookup, NOW).unwrap();
    let mut state: u64 = 0x5eed;
    let mut next = |limit: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % limit as u64).unwrap()
    };
    for _ in 0..20_000 {
        let mut bytes = good.clone().into_bytes();
        for _ in 0..=next(3) {
            let at = next(bytes.len().max(1));
            match next(3) {
                0 if !bytes.is_empty() => bytes[at] = u8::try_from(next(128)).unwrap(),
                1 => bytes.truncate(at),
                _ => bytes.insert(at.min(bytes.len()), u8::try_from(next(128)).unwrap()),
            }
        }
        let changed = String::from_utf8(bytes).unwrap();
        if let Ok(read) = verify_at(&changed, lookup, NOW) {
            assert_eq!(read, expected, "{changed}");
        }
        let _ = crate::token04::decode(&format!("04{changed}"), "0123456789abcdef");
    }
}

/// What a LiveKit server said to tokens of many kinds; `tests/interop/tokens.test.mjs` asks a real one again.
#[derive(serde::Deserialize)]
struct Vector {
    name: String,
    header: Option<String>,
    payload: String,
    status: u16,
    /// Ours, and why, where it is another.
    ours: Option<(u16, String)>,
}

/// `$KEY` is the API key, `@N` the time N seconds from now.
fn filled_in(payload: &str) -> String {
    let mut parts = payload.split('@');
    let mut text = parts.next().unwrap().replace("$KEY", KEY);
    for part in parts {
        let digits = part.char_indices().find(|(at, c)| !(c.is_ascii_digit() || *at == 0 && *c == '-')).unwrap().0;
        let offset: i64 = part[..digits].parse().unwrap();
        text += &NOW.saturating_add_signed(offset).to_string();
        text += &part[digits..];
    }
    text
}

#[test]
fn tokens_are_taken_as_a_livekit_server_takes_them() {
    let vectors: Vec<Vector> = serde_json::from_str(include_str!("livekit_verdicts.json")).unwrap();
    for vector in &vectors {
        let header = vector.header.as_deref().unwrap_or(r#"{"alg":"HS256","typ":"JWT"}"#);
        let signed =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(filled_in(&vector.payload)));
        let key = EncodingKey::from_secret(SECRET.as_bytes());
        let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &key, Algorithm::HS256).unwrap();
        let status = match verify_at(&format!("{signed}.{signature}"), lookup, NOW) {
            Ok(claims) if !claims.grants.room_join => 401,
            Ok(claims) if claims.room.is_empty() || claims.identity.is_empty() => 400,
            Ok(_) => 200,
            Err(_) => 401,
        };
        let expected = vector.ours.as_ref().map_or(vector.status, |(status, _)| *status);
        assert_eq!(status, expected, "{}", vector.name);
    }
    assert!(vectors.len() > 90);
}
