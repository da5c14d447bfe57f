//! Compound Text (X Consortium Standard, version 1.1): character sets that are switched within a text, as older applications
//! write their titles.

use encoding_rs::{
    BIG5, EUC_JP, EUC_KR, Encoding, GBK, ISO_8859_2, ISO_8859_3, ISO_8859_4, ISO_8859_5, ISO_8859_6, ISO_8859_7,
    ISO_8859_8, ISO_8859_10, ISO_8859_13, ISO_8859_14, ISO_8859_15, ISO_8859_16, SHIFT_JIS, UTF_8, WINDOWS_1252,
    WINDOWS_1254,
};

const ESCAPE: u8 = 0x1b;
/// Begins a sequence about the direction of a text.
const CONTROL_SEQUENCE: u8 = 0x9b;
const START_OF_TEXT: u8 = 0x02;

/// Where the bytes of one half are to be found.
#[derive(Clone, Copy, PartialEq)]
enum Set {
    /// The same in every set that has a lower half.
    Ascii,
    /// One byte each, with the highest bit set.
    Single(&'static Encoding),
    /// Two bytes each, with the highest bits set.
    Double(&'static Encoding),
    /// Two bytes each, behind a sign of their own (JIS X 0212 in EUC).
    Supplement,
    Unknown,
}

/// The text, with U+FFFD for unreadable characters.
pub(super) fn decode(mut bytes: &[u8]) -> String {
    let (mut lower, mut upper) = (Set::Ascii, Set::Single(WINDOWS_1252));
    let mut text = String::new();
    while let [first, rest @ ..] = bytes {
        bytes = match *first {
            ESCAPE => escape(rest, &mut lower, &mut upper, &mut text),
            CONTROL_SEQUENCE => {
                let end = rest.iter().position(|byte| *byte == b']');
                end.map_or(&[], |end| &rest[end + 1..])
            }
            b'\n' | b'\t' => {
                text.push(' ');
                rest
            }
            0..0x20 | 0x80..0xa0 => rest,
            byte => {
                let is_upper = byte >= 0x80;
                // A space is one in every set, between the two bytes of a character as well.
                let end = bytes.iter().position(|next| !is_of_half(*next, is_upper)).unwrap_or(bytes.len());
                let end = if byte == b' ' { 1 } else { end };
                let (run, rest) = bytes.split_at(end);
                push(
                    run,
                    if byte == b' ' {
                        Set::Ascii
                    } else if is_upper {
                        upper
                    } else {
                        lower
                    },
                    &mut text,
                );
                rest
            }
        };
    }
    text
}

fn is_of_half(byte: u8, is_upper: bool) -> bool {
    if is_upper { byte >= 0xa0 } else { (0x21..0x80).contains(&byte) }
}

/// Parses what follows an escape; returns the rest behind it.
fn escape<'a>(bytes: &'a [u8], lower: &mut Set, upper: &mut Set, text: &mut String) -> &'a [u8] {
    match bytes {
        [b'%', b'G', rest @ ..] => {
            let end = rest.windows(3).position(|three| three == [ESCAPE, b'%', b'@']).unwrap_or(rest.len());
            push(&rest[..end], Set::Single(UTF_8), text);
            rest.get(end + 3..).unwrap_or_default()
        }
        [b'%', b'/', b'0'..=b'4', high, low, rest @ ..] => {
            let len = usize::from(high & 0x7f) * 128 + usize::from(low & 0x7f);
            let (segment, rest) = rest.split_at(len.min(rest.len()));
            extended(segment, text);
            rest
        }
        [b'(', _, rest @ ..] => {
            *lower = Set::Ascii;
            rest
        }
        [b')', set, rest @ ..] => {
            *upper = if *set == b'I' { Set::Single(SHIFT_JIS) } else { Set::Unknown };
            rest
        }
        [b'-', set, rest @ ..] => {
            *upper = single(*set);
            rest
        }
        [b'$', b'(', set, rest @ ..] => {
            *lower = double(*set);
            rest
        }
        [b'$', b')', set, rest @ ..] => {
            *upper = double(*set);
            rest
        }
        rest => rest,
    }
}

/// Upper halves of ISO 8859 by the last byte of their escape.
fn single(set: u8) -> Set {
    Set::Single(match set {
        b'A' => WINDOWS_1252,
        b'B' => ISO_8859_2,
        b'C' => ISO_8859_3,
        b'D' => ISO_8859_4,
        b'F' => ISO_8859_7,
        b'G' => ISO_8859_6,
        b'H' => ISO_8859_8,
        b'L' => ISO_8859_5,
        b'M' => WINDOWS_1254,
        b'V' => ISO_8859_10,
        b'Y' => ISO_8859_13,
        b'_' => ISO_8859_14,
        b'b' => ISO_8859_15,
        b'f' => ISO_8859_16,
        _ => return Set::Unknown,
    })
}

/// Sets of two bytes: GB 2312, JIS X 0208, KS C 5601, JIS X 0212.
fn double(set: u8) -> Set {
    match set {
        b'A' => Set::Double(GBK),
        b'B' => Set::Double(EUC_JP),
        b'C' => Set::Double(EUC_KR),
        b'D' => Set::Supplement,
        _ => Set::Unknown,
    }
}

/// A segment in a set that it names.
fn extended(segment: &[u8], text: &mut String) {
    let Some(end) = segment.iter().position(|byte| *byte == START_OF_TEXT) else { return };
    let name = String::from_utf8_lossy(&segment[..end]).to_ascii_lowercase();
    let encoding = match name.trim_end_matches("-0") {
        "big5" | "big5-eten" | "big5hkscs" => Some(BIG5),
        "gbk" | "gb18030.2000" => Some(GBK),
        name => Encoding::for_label(name.replace("iso8859", "iso-8859").as_bytes()),
    };
    push(&segment[end + 1..], encoding.map_or(Set::Unknown, Set::Single), text);
}

fn push(run: &[u8], set: Set, text: &mut String) {
    let raised = || run.iter().map(|byte| byte | 0x80);
    match set {
        Set::Ascii => text.extend(run.iter().map(|byte| char::from(byte & 0x7f))),
        Set::Single(encoding) => text.push_str(&encoding.decode_without_bom_handling(run).0),
        Set::Double(encoding) => {
            text.push_str(&encoding.decode_without_bom_handling(&raised().collect::<Vec<_>>()).0);
        }
        Set::Supplement => {
            let raised: Vec<u8> = raised().collect();
            let euc: Vec<u8> = raised.chunks(2).flat_map(|pair| [&[0x8f], pair].concat()).collect();
            text.push_str(&EUC_JP.decode_without_bom_handling(&euc).0);
        }
        Set::Unknown => text.extend(run.iter().map(|_| char::REPLACEMENT_CHARACTER)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_as_older_toolkits_write_them_are_read() {
        let cases: [(&[u8], &str); 9] = [
            (b"plain", "plain"),
            (b"gr\xfc\xdfe", "gr\u{fc}\u{df}e"),
            (b"\x1b-L\xbf\xe0\xd8\xd2\xd5\xe2", "Привет"),
            (b"\x1b$(B\x46\x7c\x4b\x5c\x1b(B ok", "日本 ok"),
            (b"\x1b$)A\xd6\xd0\xce\xc4 a", "中文 a"),
            (b"\x1b$(C\x47\x51\x31\x5b", "한글"),
            (b"a\x1b%G\xe2\x82\xac\xf0\x9f\x98\x80\x1b%@b", "a€😀b"),
            (b"\x1b%/1\x80\x8ciso8859-15\x02\xa4\x9b1]x", "€x"),
            (b"\x1b%/2\x80\x8bbig5-0\x02\xa4\xa4\xa4\xe5!", "中文!"),
        ];
        for (bytes, expected) in cases {
            assert_eq!(decode(bytes), expected, "{bytes:x?}");
        }
    }

    #[test]
    fn what_is_broken_or_unknown_is_not_the_end() {
        assert_eq!(decode(b"a\x1b$(G\x21\x21"), "a\u{fffd}\u{fffd}");
        for bytes in [&b"\x1b"[..], b"\x1b%", b"\x1b%/1\xff\xffx", b"\x1b$", b"\x9b", b"\x1b%Gopen", b"\x1b$(B\x46"] {
            decode(bytes);
        }
    }
}
