//! Reads the tracks of a remote offer.
//!
//! Only the few lines that describe tracks are read; the stack reads everything else of the SDP.

use crate::codecs;
use crate::event::MediaKind;
use crate::orientation;
use crate::payload::VideoCodec;

/// Meaning of a payload type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Opus,
    /// Redundant Opus (RED, RFC 2198).
    Red,
    Video(VideoCodec),
    /// Retransmissions of another payload type (RFC 4588).
    Repair(u8),
    /// A codec that we cannot decode, by its name.
    Foreign(String),
}

/// An m-line on which the server sends a track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RemoteSection {
    pub(crate) mid: String,
    pub(crate) kind: MediaKind,
    pub(crate) stream_id: String,
    pub(crate) track_id: String,
    pub(crate) ssrc: u32,
    /// SSRC of retransmissions (RFC 4588), if there is one.
    pub(crate) rtx_ssrc: Option<u32>,
    pub(crate) formats: Vec<(u8, Format)>,
    /// ID of the header extension with the video orientation.
    pub(crate) orientation: Option<u8>,
}

impl RemoteSection {
    /// Whether a later description continues this track. It may list other formats: after the first answer those that were
    /// not accepted are left out.
    pub(crate) fn continues_as(&self, later: &Self) -> bool {
        let same = |it: &Self| (it.kind, it.ssrc, it.rtx_ssrc, it.undecodable().is_none());
        same(self) == same(later) && self.track_id == later.track_id && self.stream_id == later.stream_id
    }

    /// Names of the codecs if none of them can be decoded.
    pub(crate) fn undecodable(&self) -> Option<String> {
        let ours = |(_, format): &(u8, Format)| matches!(format, Format::Opus | Format::Video(_));
        if self.formats.iter().any(ours) {
            return None;
        }
        let mut names: Vec<&str> = Vec::new();
        for (_, format) in &self.formats {
            if let Format::Foreign(name) = format
                && !names.contains(&name.as_str())
                && !is_auxiliary(name)
            {
                names.push(name);
            }
        }
        Some(names.join(", "))
    }
}

/// Whether a codec only protects or accompanies others.
fn is_auxiliary(name: &str) -> bool {
    ["ulpfec", "flexfec-03", "red", "rtx", "telephone-event", "CN"].iter().any(|known| name.eq_ignore_ascii_case(known))
}

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
    orientation: Option<u8>,
}

/// The m-lines of `sdp` on which the server sends a track with a declared SSRC. `decodable`: the accepted video codecs.
pub(crate) fn sending_sections(sdp: &str, decodable: &[VideoCodec]) -> Vec<RemoteSection> {
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
    drafts.iter().filter_map(|draft| finish(draft, session_direction, decodable)).collect()
}

/// Whether an answer accepts redundant Opus with this payload type on the m-line `mid`.
pub(crate) fn accepts_red(answer: &str, mid: &str, payload_type: u8) -> bool {
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
        "extmap" if value.split(' ').nth(1) == Some(orientation::URI) => {
            // `number/direction`, where the direction may be left out.
            draft.orientation = value.split([' ', '/']).next().and_then(|number| number.parse().ok());
        }
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

fn finish(draft: &Draft<'_>, session_direction: Option<&str>, decodable: &[VideoCodec]) -> Option<RemoteSection> {
    let kind = draft.kind?;
    let rejected = draft.port == "0" && !draft.bundle_only;
    let direction = draft.direction.or(session_direction).unwrap_or("sendrecv");
    if rejected || !matches!(direction, "sendrecv" | "sendonly") {
        return None;
    }
    let parameters = |number: u8| draft.formats.iter().find(|(of, _)| *of == number).map_or("", |(_, format)| format);
    let opus: Vec<u8> =
        draft.codecs.iter().filter(|(_, codec)| is_codec(codec, "opus/48000")).map(|(number, _)| *number).collect();
    let formats = draft.codecs.iter().map(|&(number, codec)| {
        let format = match kind {
            MediaKind::Audio => audio_format(codec, parameters(number), &opus),
            MediaKind::Video => video_format(codec, parameters(number), decodable),
        };
        (number, format)
    });
    let (stream_id, track_id) = draft.msid?;
    Some(RemoteSection {
        mid: draft.mid.to_owned(),
        kind,
        stream_id: stream_id.to_owned(),
        track_id: track_id.to_owned(),
        ssrc: draft.ssrc?,
        rtx_ssrc: draft.rtx_ssrc,
        formats: formats.collect(),
        orientation: draft.orientation.filter(|_| kind == MediaKind::Video),
    })
}

fn is_codec(codec: &str, wanted: &str) -> bool {
    codec.get(..wanted.len()).is_some_and(|start| start.eq_ignore_ascii_case(wanted))
}

fn foreign(codec: &str) -> Format {
    Format::Foreign(codec.split('/').next().unwrap_or_default().to_owned())
}

fn audio_format(codec: &str, parameters: &str, opus: &[u8]) -> Format {
    if is_codec(codec, "opus/48000") {
        return Format::Opus;
    }
    // All blocks have to be Opus.
    let mut blocks = parameters.split('/').map(|block| block.trim().parse::<u8>());
    let holds_opus = blocks.all(|block| block.is_ok_and(|block| opus.contains(&block)));
    if is_codec(codec, "red/48000") && holds_opus { Format::Red } else { foreign(codec) }
}

fn video_format(codec: &str, parameters: &str, decodable: &[VideoCodec]) -> Format {
    if is_codec(codec, "rtx/90000")
        && let Some(repaired) = parameter(parameters, "apt").and_then(|number| number.parse().ok())
    {
        return Format::Repair(repaired);
    }
    let known = decodable.iter().find(|known| codec.eq_ignore_ascii_case(&format!("{}/90000", known.name())));
    match known {
        Some(VideoCodec::H264) if !is_receivable_h264(parameters) => foreign(codec),
        Some(known) => Format::Video(*known),
        None => foreign(codec),
    }
}

fn parameter<'a>(format: &'a str, wanted: &str) -> Option<&'a str> {
    let mut pairs = format.split(';').filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == wanted).map(|(_, value)| value)
}

fn is_receivable_h264(format: &str) -> bool {
    let profile = parameter(format, "profile-level-id").unwrap_or_default().to_ascii_lowercase();
    parameter(format, "packetization-mode") == Some("1")
        && codecs::RECEIVED_PROFILES.iter().any(|known| profile.get(..4) == known.get(..4))
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

    const BOTH: [VideoCodec; 2] = [VideoCodec::H264, VideoCodec::Vp8];

    fn sections(sdp: &str) -> Vec<RemoteSection> {
        sending_sections(sdp, &BOTH)
    }

    #[test]
    fn only_m_lines_that_send_are_read_as_tracks() {
        let sections = sections(OFFER);
        assert_eq!(sections.len(), 2);
        let video = RemoteSection {
            mid: "1".into(),
            kind: MediaKind::Video,
            stream_id: "PA_a|TR_c".into(),
            track_id: "TR_c".into(),
            ssrc: 8,
            rtx_ssrc: Some(9),
            formats: vec![
                (96, Format::Video(VideoCodec::Vp8)),
                (97, Format::Video(VideoCodec::H264)),
                (98, Format::Foreign("H264".into())),
            ],
            orientation: None,
        };
        assert_eq!(sections[1], video);
        assert_eq!((sections[0].ssrc, sections[0].formats.as_slice()), (7, [(111, Format::Opus)].as_slice()));
    }

    #[test]
    fn undecodable_codecs_are_named() {
        let only = |codec: &str| {
            let offer = OFFER.replace("VP8", codec).replace("H264", codec);
            sections(&offer).pop().unwrap().undecodable()
        };
        assert_eq!(only("VP9"), Some("VP9".into()));
        assert_eq!(only("VP8"), None);
        let without_vp8 = sending_sections(&OFFER.replace("H264", "red"), &[VideoCodec::H264]).pop().unwrap();
        assert_eq!(without_vp8.undecodable(), Some("VP8".into()));
        assert_eq!(sections(&OFFER.replace("opus", "PCMU"))[0].undecodable(), Some("PCMU".into()));
    }

    #[test]
    fn a_track_continues_when_only_its_formats_change() {
        let before = sections(OFFER).pop().unwrap();
        let continues = |changes: &[(&str, &str)]| {
            let offer = changes.iter().fold(OFFER.to_owned(), |offer, (from, to)| offer.replace(from, to));
            before.continues_as(&sections(&offer).pop().unwrap())
        };
        assert!(continues(&[("a=rtpmap:98 H264/90000", "a=rtpmap:98 VP9/90000")]));
        for changes in [&[("TR_c", "TR_d")][..], &[("FID 8 9", "FID 10 9")], &[("H264", "VP9"), ("VP8", "AV1")]] {
            assert!(!continues(changes), "{changes:?}");
        }
    }

    #[test]
    fn retransmissions_and_orientation_are_read() {
        let more =
            "a=rtpmap:99 rtx/90000\r\na=fmtp:99 apt=97\r\na=extmap:4/recvonly urn:3gpp:video-orientation\r\na=ssrc:9";
        let section = sections(&OFFER.replace("a=ssrc:9", more)).pop().unwrap();
        assert_eq!(section.formats.last(), Some(&(99, Format::Repair(97))));
        assert_eq!(section.orientation, Some(4));
    }

    #[test]
    fn h264_is_accepted_in_the_profiles_of_phones_and_hardware() {
        for (profile, wanted) in
            [("640c1f", true), ("4d001f", true), ("64001f", true), ("f4001f", false), ("6e0", false)]
        {
            let section = sections(&OFFER.replace("42001f", profile)).pop().unwrap();
            assert_eq!(section.formats[1].1 == Format::Video(VideoCodec::H264), wanted, "{profile}");
        }
    }

    #[test]
    fn red_is_accepted_only_with_opus_in_it() {
        let with = |format: &str| {
            let red = format!("a=rtpmap:63 red/48000/2\r\na=fmtp:63 {format}\r\na=rtpmap:111 opus");
            let offer = OFFER.replace("a=rtpmap:111 opus", &red);
            sections(&offer).remove(0).formats
        };
        let both = vec![(63, Format::Red), (111, Format::Opus)];
        assert!(with("111/111") == both && with("111/111/111") == both);
        assert!(with("0/111") != both && with("") != both);
    }

    #[test]
    fn an_answer_accepts_red_for_each_m_line() {
        let line = |mid: &str, red: &str| format!("m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:{mid}\r\n{red}");
        let answer = format!("v=0\r\n{}{}", line("0", ""), line("1", "a=rtpmap:63 red/48000/2\r\n"));
        let taken = ["0", "1", "2"].map(|mid| accepts_red(&answer, mid, 63));
        assert_eq!(taken, [false, true, false]);
        assert!(!accepts_red(&answer, "1", 64));
    }

    #[test]
    fn garbage_is_not_a_panic() {
        for cut in 0..OFFER.len() {
            let _ = sections(&OFFER[cut..]);
            let _ = sections(&OFFER[..cut]);
            let _ = accepts_red(&OFFER[cut..], "0", 63);
        }
        assert!(sections("a=ssrc:\nm=video\na=fmtp:\na=extmap:\na=ssrc-group:FID\na=msid:").is_empty());
    }
}
