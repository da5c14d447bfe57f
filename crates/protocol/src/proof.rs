//! How a server proves that it knows an app's secret before a token is sent to it: it answers a challenge (`GET`
//! [`PATH`]`?app=ID&nonce=HEX`) with a value that needs the secret.
//!
//! HMAC-SHA-256 (RFC 2104) over a label, the server's port and the challenge. With the port in it an answer is of no use to a
//! process that passes the challenge on to the true server, which listens elsewhere.

use std::fmt::Write as _;

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign, verify};

/// Where the question is asked.
pub const PATH: &str = "/zego/proof";
/// Bytes of a question.
pub const NONCE_LENGTH: usize = 16;

const LABEL: &[u8] = b"zego-proof";

/// A question: bytes that are random, so that an old answer does not fit.
pub type Nonce = [u8; NONCE_LENGTH];

/// What a server that listens on `port` answers, in hexadecimal digits.
pub fn answer(secret: &str, port: u16, nonce: &Nonce) -> String {
    hex(sign(&Key::new(HMAC_SHA256, secret.as_bytes()), &message(port, nonce)).as_ref())
}

/// Whether that is the answer.
pub fn is_right(secret: &str, port: u16, nonce: &Nonce, answer: &str) -> bool {
    let key = Key::new(HMAC_SHA256, secret.as_bytes());
    unhex::<32>(answer).is_some_and(|tag| verify(&key, &message(port, nonce), &tag).is_ok())
}

/// A question as it is written in the address.
pub fn write_nonce(nonce: &Nonce) -> String {
    hex(nonce)
}

/// Reads a question; `None` if it is none.
pub fn read_nonce(text: &str) -> Option<Nonce> {
    unhex(text)
}

fn message(port: u16, nonce: &Nonce) -> Vec<u8> {
    [LABEL, &port.to_be_bytes(), nonce].concat()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != N * 2 {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |at: usize| char::from(pair[at]).to_digit(16);
        *byte = u8::try_from(digit(0)? * 16 + digit(1)?).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_knows_the_secret_and_listens_on_that_port_has_the_answer() {
        let nonce = [7; NONCE_LENGTH];
        let answer = answer("secret", 7880, &nonce);
        assert!(is_right("secret", 7880, &nonce, &answer));
        assert!(!is_right("other", 7880, &nonce, &answer));
        assert!(!is_right("secret", 7881, &nonce, &answer));
        assert!(!is_right("secret", 7880, &[8; NONCE_LENGTH], &answer));
    }

    #[test]
    fn what_is_no_answer_and_no_question_is_refused() {
        let long = "a".repeat(100_000);
        for text in ["", "0", "zz", "é", "<html>", &long, &"+1".repeat(16), &"é".repeat(16)] {
            assert!(!is_right("secret", 1, &[0; NONCE_LENGTH], text));
            assert_eq!(read_nonce(text), None);
        }
        assert_eq!(read_nonce(&write_nonce(&[0xa5; NONCE_LENGTH])), Some([0xa5; NONCE_LENGTH]));
    }
}
