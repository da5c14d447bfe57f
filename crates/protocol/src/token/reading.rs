//! How the claims of a token are read: as generously as a LiveKit server reads them.
//!
//! `null` is as good as absent. A time is any JSON number (NumericDate, RFC 7519, section 2), also one with a fraction or
//! an exponent. Of a name that occurs twice the last counts (section 4).

use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

use super::{TokenError, WireClaims};

/// Times from here on cannot be meant, in Unix seconds.
const LATEST: f64 = (1u64 << 62) as f64;

/// The claims in a JSON object.
pub(super) fn claims(mut json: Value) -> Result<WireClaims, TokenError> {
    drop_nulls(&mut json);
    serde_json::from_value(json).map_err(|_| TokenError::Malformed)
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => {
            items.retain(|value| !value.is_null());
            items.iter_mut().for_each(drop_nulls);
        }
        _ => {}
    }
}

/// Whole Unix seconds; before 1970 is 1970.
pub(super) fn numeric_date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let seconds = number(&Value::deserialize(deserializer)?).ok_or_else(|| de::Error::custom("no number"))?;
    if seconds >= LATEST {
        return Err(de::Error::custom("no time"));
    }
    // Negative ones become 0, fractions are cut off.
    Ok(Some(seconds as u64))
}

/// A count, as protobuf's JSON writes it: a number without a fraction, or its text.
pub(super) fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let number = number(&Value::deserialize(deserializer)?).filter(|number| number.fract() == 0.0);
    let count = number.filter(|number| (0.0..=f64::from(u32::MAX)).contains(number));
    count.map(|count| count as u32).ok_or_else(|| de::Error::custom("no count"))
}

/// A number, or the text of one. Texts that are no JSON number, such as `NaN`, are none.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => serde_json::from_str::<serde_json::Number>(text).ok()?.as_f64(),
        _ => None,
    }
}
