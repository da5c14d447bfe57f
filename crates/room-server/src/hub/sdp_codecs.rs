//! Codecs in session descriptions: the order of preference, and their parameters.

use std::collections::HashMap;

use super::sdp::{push_line, sections};

/// Start bitrates of clients built on libwebrtc. They take them from the answer, so one without them lets a 720p video
/// start at a quarter of its size for most of half a minute.
const BITRATE_PARAMETERS: [&str; 3] = ["x-google-min-bitrate", "x-google-start-bitrate", "x-google-max-bitrate"];
/// Start bitrate of a client that names none, in kbit/s: what stock clients ask for themselves. libwebrtc's own 300 make a
/// 720p video start at a quarter of its size.
const START_BITRATE: &str = "x-google-start-bitrate=1000";
/// Video codecs; other payload types retransmit or protect them.
const VIDEO_CODECS: [&str; 5] = ["H264", "VP8", "VP9", "AV1", "H265"];
/// Upper bound of the digits of a bitrate in kbit/s.
const MAX_BITRATE_DIGITS: usize = 7;

/// Puts the payload types of the wanted codec first on the lines of an answer, by `a=mid`. A client sends with the first
/// one; which codec it wants it says in its request to publish, not in its offer.
pub fn prefer_codecs(answer: &str, wanted: &HashMap<String, String>) -> String {
    let mut output = String::with_capacity(answer.len());
    for section in sections(answer) {
        let codec = mid_of(&section).and_then(|mid| wanted.get(mid));
        for (at, text) in section.iter().enumerate() {
            match codec.filter(|_| at == 0) {
                Some(codec) => push_line(&mut output, &reordered(text, &section, codec)),
                None => push_line(&mut output, text),
            }
        }
    }
    output
}

/// The codec that a client sends on each line of an answer, by `a=mid`: the first one, as `VP8`. `None`: the line is
/// refused, since both sides have no codec in common.
pub fn sent_codecs(answer: &str) -> HashMap<String, Option<String>> {
    let codec = |section: &[&str]| {
        let mut parts = section.first()?.split_whitespace();
        let is_refused = parts.nth(1)? == "0";
        let payload_type = parts.nth(1).filter(|_| !is_refused)?;
        encoding_of(section, payload_type).map(str::to_owned)
    };
    let all = sections(answer);
    all.iter().filter_map(|section| Some((mid_of(section)?.to_owned(), codec(section)))).collect()
}

/// The answer with the offer's bitrates for the codecs of the same m-lines, and a start bitrate where a client sends video
/// and names none.
pub fn repeat_bitrates(answer: &str, offer: &str) -> String {
    let offered = sections(offer);
    let mut output = String::with_capacity(answer.len() + 128);
    for section in sections(answer) {
        let asked = mid_of(&section).and_then(|mid| offered.iter().find(|offered| mid_of(offered) == Some(mid)));
        let sends_pictures = section.first().is_some_and(|media| media.starts_with("m=video"))
            && section.iter().any(|text| matches!(text.trim(), "a=recvonly" | "a=sendrecv"));
        let more = |payload_type| {
            let encoding = encoding_of(&section, payload_type)?;
            let usual = || {
                let is_video = VIDEO_CODECS.iter().any(|codec| codec.eq_ignore_ascii_case(encoding));
                (sends_pictures && is_video).then(|| START_BITRATE.to_owned())
            };
            asked.and_then(|asked| bitrates_for(encoding, asked)).or_else(usual)
        };
        for text in &section {
            if let Some(more) = payload_type_after("a=fmtp:", text).and_then(more) {
                push_line(&mut output, &format!("{text};{more}"));
                continue;
            }
            push_line(&mut output, text);
            // A codec that has no parameters of its own, as VP8.
            if let Some(payload_type) = payload_type_after("a=rtpmap:", text) {
                let has_format = section.iter().any(|text| payload_type_after("a=fmtp:", text) == Some(payload_type));
                if let Some(more) = more(payload_type).filter(|_| !has_format) {
                    push_line(&mut output, &format!("a=fmtp:{payload_type} {more}"));
                }
            }
        }
    }
    output
}

/// The bitrate parameters of this codec in the offered m-line: `x-google-start-bitrate=1000`.
fn bitrates_for(encoding: &str, offered: &[&str]) -> Option<String> {
    let parameters = offered.iter().filter_map(|text| {
        let payload_type = payload_type_after("a=fmtp:", text)?;
        let is_same = encoding_of(offered, payload_type)?.eq_ignore_ascii_case(encoding);
        is_same.then(|| text.split_once(' ').map_or("", |(_, parameters)| parameters))
    });
    let found = parameters.map(|parameters| {
        let kept = parameters.split(';').map(str::trim).filter(|parameter| is_bitrate(parameter));
        kept.collect::<Vec<_>>().join(";")
    });
    found.into_iter().find(|text| !text.is_empty())
}

fn is_bitrate(parameter: &str) -> bool {
    parameter.split_once('=').is_some_and(|(name, value)| {
        let is_number = !value.is_empty() && value.bytes().all(|digit| digit.is_ascii_digit());
        BITRATE_PARAMETERS.contains(&name) && is_number && value.len() <= MAX_BITRATE_DIGITS
    })
}

/// `m=video 9 UDP/TLS/RTP/SAVPF 96 97 …` with the payload types of a codec (`video/H264`) first.
fn reordered(media_line: &str, section: &[&str], codec: &str) -> String {
    let name = codec.rsplit('/').next().unwrap_or(codec);
    let is_wanted = |payload_type: &str| {
        encoding_of(section, payload_type).is_some_and(|encoding| encoding.eq_ignore_ascii_case(name))
    };
    let mut parts = media_line.split_whitespace();
    let head: Vec<&str> = parts.by_ref().take(3).collect();
    let (first, rest): (Vec<&str>, Vec<&str>) = parts.partition(|payload_type| is_wanted(payload_type));
    [head, first, rest].concat().join(" ")
}

fn mid_of<'a>(section: &[&'a str]) -> Option<&'a str> {
    section.iter().find_map(|text| text.strip_prefix("a=mid:")).map(str::trim)
}

/// The encoding name of a payload type: `VP8`.
fn encoding_of<'a>(section: &[&'a str], payload_type: &str) -> Option<&'a str> {
    let mapping = section
        .iter()
        .find_map(|text| text.strip_prefix("a=rtpmap:")?.strip_prefix(payload_type)?.strip_prefix(' '))?;
    mapping.split('/').next()
}

/// The payload type that an attribute like `a=fmtp:96 …` is about.
fn payload_type_after<'a>(attribute: &str, text: &'a str) -> Option<&'a str> {
    text.strip_prefix(attribute)?.split(' ').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codec_that_a_publisher_wants_comes_first() {
        let rest = "a=mid:4\r\na=recvonly\r\na=rtpmap:96 VP8/90000\r\na=rtpmap:97 rtx/90000\r\n\
                    a=rtpmap:108 H264/90000\r\na=rtpmap:109 rtx/90000\r\na=rtpmap:10 h264/90000\r\n";
        let answer = format!("v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96 97 108 109 10\r\n{rest}");
        let wanting = |mid: &str, codec: &str| HashMap::from([(mid.to_owned(), codec.to_owned())]);
        let expected = format!("v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 108 10 96 97 109\r\n{rest}");
        assert_eq!(prefer_codecs(&answer, &wanting("4", "video/H264")), expected);
        for wanted in [wanting("5", "video/H264"), wanting("4", "video/VP9"), HashMap::new()] {
            assert_eq!(prefer_codecs(&answer, &wanted), answer);
        }
        assert_eq!(sent_codecs(&answer), HashMap::from([("4".to_owned(), Some("VP8".to_owned()))]));
        assert_eq!(sent_codecs(&expected), HashMap::from([("4".to_owned(), Some("H264".to_owned()))]));
    }

    #[test]
    fn a_line_without_a_codec_in_common_is_refused() {
        let answer = "v=0\r\nm=video 0 UDP/TLS/RTP/SAVPF 99\r\na=mid:1\r\n\
                      m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:2\r\n";
        let expected = HashMap::from([("1".to_owned(), None), ("2".to_owned(), None)]);
        assert_eq!(sent_codecs(answer), expected);
    }

    #[test]
    fn the_bitrates_that_a_client_begins_with_come_back_to_it() {
        let offer = "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96 97 98\r\na=mid:0\r\n\
                     a=rtpmap:96 VP8/90000\r\na=fmtp:96 x-google-start-bitrate=1000;x-google-max-bitrate=1700\r\n\
                     a=rtpmap:97 H264/90000\r\na=fmtp:97 packetization-mode=1;x-google-start-bitrate=900\r\n\
                     m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\na=rtpmap:96 VP8/90000\r\n";
        let line = |mid: &str, vp8: &str, h264: &str| {
            format!(
                "m=video 9 UDP/TLS/RTP/SAVPF 108 96\r\na=mid:{mid}\r\na=rtpmap:108 H264/90000\r\n\
                 a=fmtp:108 packetization-mode=1{h264}\r\na=rtpmap:96 VP8/90000\r\n{vp8}a=rtpmap:97 rtx/90000\r\n\
                 a=fmtp:97 apt=96\r\n"
            )
        };
        let answer = format!("v=0\r\n{}{}", line("0", "", ""), line("1", "", ""));
        let vp8 = "a=fmtp:96 x-google-start-bitrate=1000;x-google-max-bitrate=1700\r\n";
        let expected = format!("v=0\r\n{}{}", line("0", vp8, ";x-google-start-bitrate=900"), line("1", "", ""));
        assert_eq!(repeat_bitrates(&answer, offer), expected);
    }

    #[test]
    fn a_client_that_sends_frames_and_names_no_bitrate_is_reported_one() {
        let line = |direction: &str, h264: &str, vp8: &str| {
            format!(
                "m=video 9 X 108 96 97\r\na=mid:0\r\na={direction}\r\na=rtpmap:108 H264/90000\r\n\
                 a=fmtp:108 packetization-mode=1{h264}\r\na=rtpmap:96 VP8/90000\r\n{vp8}a=rtpmap:97 rtx/90000\r\n\
                 a=fmtp:97 apt=96\r\n"
            )
        };
        let sound = "m=audio 9 X 111\r\na=mid:1\r\na=recvonly\r\na=rtpmap:111 opus/48000/2\r\n";
        let last_sent = line("recvonly", ";x-google-start-bitrate=1000", "a=fmtp:96 x-google-start-bitrate=1000\r\n");
        let answer = format!("{}{sound}", line("recvonly", "", ""));
        assert_eq!(repeat_bitrates(&answer, ""), format!("{last_sent}{sound}"));
        // On a line on which it only receives there is nothing to begin.
        for direction in ["sendonly", "inactive"] {
            assert_eq!(repeat_bitrates(&line(direction, "", ""), ""), line(direction, "", ""));
        }
    }

    #[test]
    fn only_numbers_come_back() {
        for wrong in
            ["x-google-start-bitrate=", "x-google-start-bitrate=-1", "x-google-start-bitrate=99999999", "x-google-a=1"]
        {
            let line = |more: &str| format!("m=video 9 X 96\r\na=mid:0\r\na=rtpmap:96 VP8/90000\r\n{more}");
            let offer = line(&format!("a=fmtp:96 {wrong}\r\n"));
            assert_eq!(repeat_bitrates(&line(""), &offer), line(""));
        }
    }
}
