//! The few things that the room logic reads and writes in a session description itself.

use std::collections::HashMap;

use crate::forwarding::core::MediaKind;

/// Upper bound of a description's m-lines. Some hundred tracks need that many; parsing ten thousand takes most of a second,
/// in which the media of all others wait.
const MAX_SECTIONS: usize = 1500;

/// Whether a description has more lines than anybody needs.
pub fn has_too_many_lines(sdp: &str) -> bool {
    sdp.matches("\nm=").nth(MAX_SECTIONS).is_some()
}

/// A media line of an offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferedLine {
    /// `a=mid`.
    pub mid: String,
    /// Audio, video, or `None` for data channels.
    pub kind: Option<MediaKind>,
    /// Track part of `a=msid`, empty without one.
    pub track_id: String,
    /// Whether the client wants to send on it.
    pub is_sending: bool,
    /// Whether the client only receives on it.
    pub is_receive_only: bool,
}

/// The media lines of an offer, in order. Lines without `a=mid` are left out.
pub fn offered_lines(sdp: &str) -> Vec<OfferedLine> {
    let mut lines: Vec<OfferedLine> = Vec::new();
    for text in sdp.lines().map(str::trim_end) {
        if let Some(media) = text.strip_prefix("m=") {
            let kind = match media.split_whitespace().next() {
                Some("audio") => Some(MediaKind::Audio),
                Some("video") => Some(MediaKind::Video),
                _ => None,
            };
            // RFC 8866, section 6.7: without an attribute the direction is both.
            let is_sending = kind.is_some();
            lines.push(OfferedLine {
                mid: String::new(),
                kind,
                track_id: String::new(),
                is_sending,
                is_receive_only: false,
            });
            continue;
        }
        let Some(line) = lines.last_mut() else { continue };
        if let Some(mid) = text.strip_prefix("a=mid:") {
            line.mid = mid.trim().to_owned();
        } else if let Some(msid) = text.strip_prefix("a=msid:") {
            line.track_id = track_of_msid(msid);
        } else if let Some((_, msid)) = text.split_once(" msid:").filter(|_| text.starts_with("a=ssrc:")) {
            // So do clients from before `a=msid` name their tracks.
            if line.track_id.is_empty() {
                line.track_id = track_of_msid(msid);
            }
        } else if matches!(text, "a=recvonly" | "a=inactive") {
            line.is_sending = false;
            line.is_receive_only = line.kind.is_some() && text == "a=recvonly";
        }
    }
    lines.retain(|line| !line.mid.is_empty());
    lines
}

/// The second part of `stream track`.
fn track_of_msid(msid: &str) -> String {
    msid.split_whitespace().nth(1).unwrap_or_default().to_owned()
}

/// The track that an m-line of an answer carries to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forwarded {
    /// Stream part of `a=msid`.
    pub stream_id: String,
    /// Track part of `a=msid`.
    pub track_id: String,
}

/// Gives the sending m-lines of an answer the names of the tracks that are forwarded there, by `a=mid`, and closes those on
/// which nothing is forwarded. str0m takes every m-line that a client can receive on as one to send on, and names it at
/// random.
pub fn name_forwarded(answer: &str, forwarded: &HashMap<String, Forwarded>) -> String {
    let mut output = String::with_capacity(answer.len());
    for section in sections(answer) {
        let mid = section.iter().find_map(|text| text.strip_prefix("a=mid:")).map(str::trim);
        let is_sending = section.contains(&"a=sendonly");
        match mid.and_then(|mid| forwarded.get(mid)).filter(|_| is_sending) {
            Some(track) => section.iter().for_each(|text| push_line(&mut output, &renamed(text, track))),
            None if is_sending => section.iter().for_each(|text| match *text {
                "a=sendonly" => push_line(&mut output, "a=inactive"),
                text if text.starts_with("a=msid:") || text.starts_with("a=ssrc") => {}
                text => push_line(&mut output, text),
            }),
            None => section.iter().for_each(|text| push_line(&mut output, text)),
        }
    }
    output
}

/// Removes the names of inactive m-lines: a track that is offered again on another one may not be named twice (RFC 8830,
/// section 2; some clients refuse the whole offer).
pub fn unname_inactive(offer: &str) -> String {
    let mut output = String::with_capacity(offer.len());
    for section in sections(offer) {
        let is_inactive = section.contains(&"a=inactive");
        for text in section {
            if !is_inactive || !(text.starts_with("a=msid:") || text.starts_with("a=ssrc")) {
                push_line(&mut output, text);
            }
        }
    }
    output
}

/// Marks the m-lines of stereo audio, by `a=mid`, with `parameter` after those of Opus (RFC 7587, section 7). Without it
/// clients send and decode one channel only.
pub fn mark_stereo(sdp: &str, stereo: &[String], parameter: &str) -> String {
    let mut output = String::with_capacity(sdp.len() + stereo.len() * 2 * parameter.len());
    for section in sections(sdp) {
        let mid = section.iter().find_map(|text| text.strip_prefix("a=mid:")).map(str::trim);
        let is_stereo = mid.is_some_and(|mid| stereo.iter().any(|stereo| stereo == mid));
        let opus = section.iter().find_map(|text| {
            let (payload_type, codec) = text.strip_prefix("a=rtpmap:")?.split_once(' ')?;
            codec.to_ascii_lowercase().starts_with("opus/").then(|| format!("a=fmtp:{payload_type} "))
        });
        let opus = opus.filter(|_| is_stereo);
        for text in section {
            match &opus {
                Some(format) if text.starts_with(format) && !text.contains(parameter) => {
                    push_line(&mut output, &format!("{text};{parameter}"));
                }
                _ => push_line(&mut output, text),
            }
        }
    }
    output
}

fn renamed(text: &str, track: &Forwarded) -> String {
    let Forwarded { stream_id, track_id } = track;
    if text.starts_with("a=msid:") {
        return format!("a=msid:{stream_id} {track_id}");
    }
    match text.split_once(" msid:").filter(|_| text.starts_with("a=ssrc:")) {
        Some((source, _)) => format!("{source} msid:{stream_id} {track_id}"),
        None => text.to_owned(),
    }
}

/// The session part and each media part, as lines.
pub(super) fn sections(sdp: &str) -> Vec<Vec<&str>> {
    let mut sections = vec![Vec::new()];
    for text in sdp.lines().map(str::trim_end) {
        if text.starts_with("m=") {
            sections.push(Vec::new());
        }
        if let Some(section) = sections.last_mut() {
            section.push(text);
        }
    }
    sections
}

pub(super) fn push_line(output: &mut String, text: &str) {
    output.push_str(text);
    output.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_an_offer_are_found_with_their_tracks() {
        let sdp = "v=0\r\ns=-\r\na=msid-semantic:WMS x\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n\
                   a=msid:stream cid-a\r\na=sendonly\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=inactive\r\na=mid:1\r\n\
                   m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:2\r\n\
                   m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:3\r\na=recvonly\r\n";
        let line = |mid: &str, kind, track_id: &str, is_sending, is_receive_only| OfferedLine {
            mid: mid.into(),
            kind,
            track_id: track_id.into(),
            is_sending,
            is_receive_only,
        };
        assert_eq!(
            offered_lines(sdp),
            [
                line("0", Some(MediaKind::Audio), "cid-a", true, false),
                line("1", Some(MediaKind::Video), "", false, false),
                line("2", None, "", false, false),
                line("3", Some(MediaKind::Video), "", false, true),
            ]
        );
    }

    #[test]
    fn text_that_is_no_offer_has_no_lines() {
        assert!(offered_lines("").is_empty());
        assert!(offered_lines("a=mid:0\na=msid:a b").is_empty());
        assert!(offered_lines("m=\nm=\n").is_empty());
    }

    #[test]
    fn lines_that_ended_have_no_names() {
        let ended = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=inactive\r\n";
        let live = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:1\r\na=sendonly\r\na=msid:x y\r\n";
        let offer = format!("v=0\r\n{ended}a=msid:x y\r\na=ssrc:7 msid:x y\r\n{live}");
        assert_eq!(unname_inactive(&offer), format!("v=0\r\n{ended}{live}"));
    }

    #[test]
    fn stereo_is_said_on_its_lines_alone() {
        let line = |mid: &str, more: &str| {
            format!(
                "m=audio 9 UDP/TLS/RTP/SAVPF 63 111\r\na=mid:{mid}\r\na=rtpmap:111 opus/48000/2\r\n\
                 a=fmtp:111 minptime=10{more}\r\na=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\n"
            )
        };
        let sdp = format!("v=0\r\n{}{}", line("0", ""), line("1", ""));
        let marked = mark_stereo(&sdp, &["1".to_owned()], "sprop-stereo=1");
        assert_eq!(marked, format!("v=0\r\n{}{}", line("0", ""), line("1", ";sprop-stereo=1")));
        assert_eq!(mark_stereo(&marked, &["1".to_owned()], "sprop-stereo=1"), marked);
    }

    #[test]
    fn forwarded_lines_are_named_and_unused_ones_closed() {
        let media = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:MID\r\na=sendonly\r\na=msid:x y\r\n\
                     a=ssrc:7 cname:c\r\na=ssrc:7 msid:x y\r\n";
        let received = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:2\r\na=recvonly\r\n";
        let answer = format!("v=0\r\n{}{}{received}", media.replace("MID", "0"), media.replace("MID", "1"));
        let track = Forwarded { stream_id: "PA_1|TR_1".into(), track_id: "TR_1".into() };
        let named = name_forwarded(&answer, &HashMap::from([("1".to_owned(), track)]));
        assert_eq!(
            named,
            format!(
                "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=inactive\r\n\
                 m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:1\r\na=sendonly\r\na=msid:PA_1|TR_1 TR_1\r\n\
                 a=ssrc:7 cname:c\r\na=ssrc:7 msid:PA_1|TR_1 TR_1\r\n{received}"
            )
        );
    }
}
