//! The few things that the room logic reads in a session description itself.

/// A media line of an offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferedLine {
    /// `a=mid`.
    pub mid: String,
    /// Track part of `a=msid`, empty without one.
    pub track_id: String,
    /// Whether the client wants to send on it.
    pub is_sending: bool,
}

/// The media lines of an offer, in order. Lines without `a=mid` are left out.
pub fn offered_lines(sdp: &str) -> Vec<OfferedLine> {
    let mut lines: Vec<OfferedLine> = Vec::new();
    let mut in_media = false;
    for text in sdp.lines().map(str::trim_end) {
        if let Some(media) = text.strip_prefix("m=") {
            in_media = true;
            let is_rtp = media.starts_with("audio") || media.starts_with("video");
            // RFC 8866, section 6.7: without an attribute the direction is both.
            lines.push(OfferedLine { mid: String::new(), track_id: String::new(), is_sending: is_rtp });
            continue;
        }
        let Some(line) = lines.last_mut().filter(|_| in_media) else { continue };
        if let Some(mid) = text.strip_prefix("a=mid:") {
            line.mid = mid.trim().to_owned();
        } else if let Some(msid) = text.strip_prefix("a=msid:") {
            line.track_id = msid.split_whitespace().nth(1).unwrap_or_default().to_owned();
        } else if matches!(text, "a=recvonly" | "a=inactive") {
            line.is_sending = false;
        }
    }
    lines.retain(|line| !line.mid.is_empty());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(mid: &str, track_id: &str, is_sending: bool) -> OfferedLine {
        OfferedLine { mid: mid.into(), track_id: track_id.into(), is_sending }
    }

    #[test]
    fn lines_of_an_offer_are_found_with_their_tracks() {
        let sdp = "v=0\r\ns=-\r\na=msid-semantic:WMS x\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n\
                   a=msid:stream cid-a\r\na=sendonly\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=inactive\r\na=mid:1\r\n\
                   m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:2\r\n";
        assert_eq!(offered_lines(sdp), [line("0", "cid-a", true), line("1", "", false), line("2", "", false)]);
    }

    #[test]
    fn text_that_is_no_offer_has_no_lines() {
        assert!(offered_lines("").is_empty());
        assert!(offered_lines("a=mid:0\na=msid:a b").is_empty());
        assert!(offered_lines("m=\nm=\n").is_empty());
    }
}
