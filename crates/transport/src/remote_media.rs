//! Reads from a remote offer which tracks the other side sends, and on what.
//!
//! Only the handful of lines that name tracks is read; everything else of the SDP is the stack's business.

use crate::event::MediaKind;

/// A media section in which the other side sends something we can receive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RemoteSection {
    pub(crate) mid: String,
    pub(crate) kind: MediaKind,
    pub(crate) stream_id: String,
    pub(crate) track_id: String,
    pub(crate) ssrc: u32,
    /// SSRC of retransmissions (RFC 4588), if the other side names one.
    pub(crate) rtx_ssrc: Option<u32>,
    pub(crate) payload_types: Vec<u8>,
    /// Those of Opus packets with copies of earlier ones in front (RFC 2198).
    pub(crate) red_types: Vec<u8>,
}

/// Profiles we decode: Baseline and both spellings of Constrained Baseline.
const PROFILES: [&str; 3] = ["42e0", "4200", "42c0"];

#[derive(Default)]
struct Draft<'a> {
    kind: Option<MediaKind>,
    port: &'a str,
    bundle_only: bool,
    mid: &'a str,
    direction: Option<&'a str>,
    msid: Option<(&'a str, &'a str)>,
    ssrc: Option<u32>,
    rtx_ssrc: Option<u32>,
    /// Payload type and codec name.
    codecs: Vec<(u8, &'a str)>,
    /// Payload type and format parameters.
    formats: Vec<(u8, &'a str)>,
}

/// The sections of `sdp` in which the other side sends a track with a declared SSRC and a codec of ours.
pub(crate) fn sending_sections(sdp: &str) -> Vec<RemoteSection> {
    let mut drafts: Vec<Draft<'_>> = Vec::new();
    let mut session_direction = None;
    for line in sdp.lines().map(str::trim_end) {
        if let Some(media) = line.strip_prefix("m=") {
            let mut words = media.split(' ');
            let kind = match words.next() {
                Some("audio") => Some(MediaKind::Audio),
                Some("video") => Some(MediaKind::Video),
                _ => None,
            };
            drafts.push(Draft { kind, port: words.next().unwrap_or_default(), ..Draft::default() });
        } else if let Some(attribute) = line.strip_prefix("a=") {
            match drafts.last_mut() {
                Some(draft) => read_attribute(draft, attribute),
                None if is_direction(attribute) => session_direction = Some(attribute),
                None => {}
            }
        }
    }
    drafts.iter().filter_map(|draft| finish(draft, session_direction)).collect()
}

/// Whether the section `mid` of an answer agrees to Opus packets with copies of earlier ones in front, under this type.
pub(crate) fn takes_red(answer: &str, mid: &str, payload_type: u8) -> bool {
    let sections = answer.split("\nm=").skip(1);
    let attributes = |section: &'_ str, wanted: &str| section.lines().any(|line| line.trim_end() == wanted);
    let mid = format!("a=mid:{mid}");
    let mut of_mid = sections.filter(|section| attributes(section, &mid));
    let mapping = format!("a=rtpmap:{payload_type} red/48000");
    of_mid.any(|section| section.lines().any(|line| line.to_ascii_lowercase().starts_with(&mapping)))
}

fn is_direction(attribute: &str) -> bool {
    matches!(attribute, "sendrecv" | "sendonly" | "recvonly" | "inactive")
}

fn read_attribute<'a>(draft: &mut Draft<'a>, attribute: &'a str) {
    let Some((name, value)) = attribute.split_once(':') else {
        if is_direction(attribute) {
            draft.direction = Some(attribute);
        }
        draft.bundle_only |= attribute == "bundle-only";
        return;
    };
    match name {
        "mid" => draft.mid = value,
        "msid" => draft.msid = value.split_once(' ').or(Some((value, ""))),
        "rtpmap" => draft.codecs.extend(numbered(value)),
        "fmtp" => draft.formats.extend(numbered(value)),
        "ssrc" => {
            let (ssrc, rest) = value.split_once(' ').unwrap_or((value, ""));
            draft.ssrc = draft.ssrc.or(ssrc.parse().ok());
            if let Some(msid) = rest.strip_prefix("msid:") {
                draft.msid = draft.msid.or(msid.split_once(' '));
            }
        }
        // The first SSRC of the group is the one repaired by the others (RFC 5576).
        "ssrc-group" => {
            if let Some((first, second)) = value.strip_prefix("FID ").and_then(|list| list.split_once(' ')) {
                draft.ssrc = first.parse().ok().or(draft.ssrc);
                draft.rtx_ssrc = second.parse().ok();
            }
        }
        _ => {}
    }
}

fn numbered(value: &str) -> Option<(u8, &str)> {
    let (number, rest) = value.split_once(' ')?;
    Some((number.parse().ok()?, rest))
}

fn finish(draft: &Draft<'_>, session_direction: Option<&str>) -> Option<RemoteSection> {
    let kind = draft.kind?;
    let rejected = draft.port == "0" && !draft.bundle_only;
    let direction = draft.direction.or(session_direction).unwrap_or("sendrecv");
    if rejected || !matches!(direction, "sendrecv" | "sendonly") {
        return None;
    }
    let payload_types: Vec<u8> = draft
        .codecs
        .iter()
        .filter(|(number, codec)| match kind {
            MediaKind::Audio => codec.to_ascii_lowercase().starts_with("opus/48000"),
            MediaKind::Video => {
                let format = draft.formats.iter().find(|(of, _)| of == number).map_or("", |(_, format)| format);
                codec.eq_ignore_ascii_case("h264/90000") && is_decodable_h264(format)
            }
        })
        .map(|(number, _)| *number)
        .collect();
    let is_red = |codec: &str| kind == MediaKind::Audio && codec.to_ascii_lowercase().starts_with("red/48000");
    let red_types = draft.codecs.iter().filter(|(number, codec)| {
        // Only Opus with copies of Opus.
        let blocks = draft.formats.iter().find(|(of, _)| of == number).map_or("", |(_, format)| format);
        let mut blocks = blocks.split('/').map(|block| block.trim().parse::<u8>());
        is_red(codec) && blocks.all(|block| block.is_ok_and(|block| payload_types.contains(&block)))
    });
    let red_types: Vec<u8> = red_types.map(|(number, _)| *number).collect();
    let (stream_id, track_id) = draft.msid?;
    if payload_types.is_empty() {
        tracing::warn!(mid = draft.mid, track_id, "remote track has no codec in common with us");
        return None;
    }
    Some(RemoteSection {
        mid: draft.mid.to_owned(),
        kind,
        stream_id: stream_id.to_owned(),
        track_id: track_id.to_owned(),
        ssrc: draft.ssrc?,
        rtx_ssrc: draft.rtx_ssrc,
        payload_types,
        red_types,
    })
}

fn is_decodable_h264(format: &str) -> bool {
    let parameter = |wanted: &str| {
        format.split(';').filter_map(|pair| pair.trim().split_once('=')).find(|(name, _)| *name == wanted)
    };
    let profile = parameter("profile-level-id").map_or("", |(_, value)| value).to_ascii_lowercase();
    parameter("packetization-mode").is_some_and(|(_, mode)| mode == "1")
        && PROFILES.iter().any(|known| profile.starts_with(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: &str = "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=sendonly\r\n\
        a=msid:PA_a|TR_b TR_b\r\na=rtpmap:111 opus/48000/2\r\na=ssrc:7 cname:x\r\n\
        m=video 9 UDP/TLS/RTP/SAVPF 96 97 98\r\na=mid:1\r\na=sendonly\r\na=msid:PA_a|TR_c TR_c\r\n\
        a=rtpmap:96 VP8/90000\r\na=rtpmap:97 H264/90000\r\n\
        a=fmtp:97 packetization-mode=1;profile-level-id=42001f\r\na=rtpmap:98 H264/90000\r\n\
        a=fmtp:98 packetization-mode=0;profile-level-id=42e01f\r\n\
        a=ssrc:9 cname:x\r\na=ssrc:8 cname:x\r\na=ssrc-group:FID 8 9\r\n\
        m=video 9 UDP/TLS/RTP/SAVPF 97\r\na=mid:2\r\na=inactive\r\na=msid:PA_a|TR_d TR_d\r\n\
        a=rtpmap:97 H264/90000\r\na=fmtp:97 packetization-mode=1;profile-level-id=42e01f\r\na=ssrc:10 cname:x\r\n\
        m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:3\r\n";

    #[test]
    fn tracks_are_read_with_their_names_and_only_where_something_is_sent() {
        let sections = sending_sections(OFFER);
        assert_eq!(sections.len(), 2);
        let video = RemoteSection {
            mid: "1".into(),
            kind: MediaKind::Video,
            stream_id: "PA_a|TR_c".into(),
            track_id: "TR_c".into(),
            ssrc: 8,
            rtx_ssrc: Some(9),
            payload_types: vec![97],
            red_types: vec![],
        };
        assert_eq!(sections[1], video);
        assert_eq!((sections[0].ssrc, sections[0].payload_types.as_slice()), (7, [111].as_slice()));
    }

    #[test]
    fn a_video_section_without_a_codec_of_ours_is_left_out() {
        assert!(sending_sections(&OFFER.replace("H264", "VP9")).iter().all(|section| section.kind == MediaKind::Audio));
    }

    #[test]
    fn redundant_audio_is_known_by_what_is_in_it() {
        let with = |format: &str| {
            let red = format!("a=rtpmap:63 red/48000/2\r\na=fmtp:63 {format}\r\na=rtpmap:111 opus");
            let offer = OFFER.replace("a=rtpmap:111 opus", &red);
            let section = sending_sections(&offer).remove(0);
            assert_eq!(section.payload_types, [111]);
            section.red_types
        };
        assert_eq!(with("111/111"), [63]);
        assert_eq!(with("111/111/111"), [63]);
        assert!(with("0/111").is_empty() && with("").is_empty());
    }

    #[test]
    fn an_answer_agrees_to_redundant_audio_line_by_line() {
        let line = |mid: &str, red: &str| format!("m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:{mid}\r\n{red}");
        let answer = format!("v=0\r\n{}{}", line("0", ""), line("1", "a=rtpmap:63 red/48000/2\r\n"));
        let taken = ["0", "1", "2"].map(|mid| takes_red(&answer, mid, 63));
        assert_eq!(taken, [false, true, false]);
        assert!(!takes_red(&answer, "1", 64));
    }

    #[test]
    fn garbage_is_not_a_panic() {
        for cut in 0..OFFER.len() {
            let _ = sending_sections(&OFFER[cut..]);
            let _ = sending_sections(&OFFER[..cut]);
            let _ = takes_red(&OFFER[cut..], "0", 63);
        }
        assert!(sending_sections("a=ssrc:\nm=video\na=fmtp:\na=ssrc-group:FID\na=msid:").is_empty());
    }
}
