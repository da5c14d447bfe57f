//! Codecs that clients may publish with.

use protocol::messages::Codec as CodecMessage;

/// A codec that is forwarded here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaCodec {
    /// Opus.
    Opus,
    /// Opus with copies of earlier packets in front (RFC 2198).
    RedundantOpus,
    /// H.264.
    H264,
    /// VP8.
    Vp8,
    /// VP9, with its layers, if any, in one stream.
    Vp9,
    /// AV1, with its layers, if any, in one stream.
    Av1,
}

impl MediaCodec {
    const ALL: [Self; 6] = [Self::Opus, Self::RedundantOpus, Self::H264, Self::Vp8, Self::Vp9, Self::Av1];

    /// Its name on the wire, `video/VP8`.
    pub fn mime_type(self) -> &'static str {
        match self {
            Self::Opus => "audio/opus",
            Self::RedundantOpus => "audio/red",
            Self::H264 => "video/H264",
            Self::Vp8 => "video/VP8",
            Self::Vp9 => "video/VP9",
            Self::Av1 => "video/AV1",
        }
    }

    /// By its name, in any case.
    pub fn of_mime_type(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.mime_type().eq_ignore_ascii_case(name))
    }

    /// Whether it is a video codec.
    pub fn is_video(self) -> bool {
        !matches!(self, Self::Opus | Self::RedundantOpus)
    }
}

/// The accepted codecs, in the order of preference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnabledCodecs {
    taken: Vec<MediaCodec>,
    /// Those of them that clients are asked to choose from.
    asked_for: Vec<MediaCodec>,
}

impl Default for EnabledCodecs {
    /// All codecs are accepted. Clients are asked for H.264, which our own players and every browser decode; a client that gets a
    /// list with VP8 would use that.
    fn default() -> Self {
        let asked_for = MediaCodec::ALL.into_iter().filter(|codec| !codec.is_video() || *codec == MediaCodec::H264);
        Self { taken: MediaCodec::ALL.to_vec(), asked_for: asked_for.collect() }
    }
}

impl EnabledCodecs {
    /// These, by name and in this order, and no others. Names of codecs that are not forwarded here count for nothing; with
    /// no other names it is the default.
    pub fn of_mime_types<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut taken = Vec::new();
        for codec in names.into_iter().filter_map(MediaCodec::of_mime_type) {
            if !taken.contains(&codec) {
                taken.push(codec);
            }
        }
        if taken.is_empty() { Self::default() } else { Self { asked_for: taken.clone(), taken } }
    }

    /// Whether it is accepted.
    pub fn takes(&self, codec: MediaCodec) -> bool {
        self.taken.contains(&codec)
    }

    /// The video codecs, best first.
    pub fn video(&self) -> impl Iterator<Item = MediaCodec> {
        self.taken.iter().copied().filter(|codec| codec.is_video())
    }

    /// The codec for a video track whose publisher wants this, `vp8` or `video/VP8`: that one, or the best one if it is not
    /// accepted. Empty if the publisher does not say, or if no video is accepted.
    pub fn video_for(&self, wanted: &str) -> &'static str {
        if wanted.is_empty() {
            return "";
        }
        let name = wanted.rsplit('/').next().unwrap_or(wanted);
        let codec = MediaCodec::of_mime_type(&format!("video/{name}")).filter(|codec| self.takes(*codec));
        codec.or_else(|| self.video().next()).map_or("", MediaCodec::mime_type)
    }

    /// The codecs in a room's information.
    pub fn of_room(&self) -> Vec<CodecMessage> {
        messages(&self.taken)
    }

    /// The codecs that publishers are asked for.
    pub fn for_publishers(&self) -> Vec<CodecMessage> {
        messages(&self.asked_for)
    }
}

fn messages(codecs: &[MediaCodec]) -> Vec<CodecMessage> {
    codecs.iter().map(|codec| CodecMessage { mime: codec.mime_type().to_owned(), ..CodecMessage::default() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(codecs: &[CodecMessage]) -> Vec<&str> {
        codecs.iter().map(|codec| codec.mime.as_str()).collect()
    }

    #[test]
    fn by_default_everything_is_taken_and_h264_is_asked_for() {
        let codecs = EnabledCodecs::default();
        assert_eq!(names(&codecs.for_publishers()), ["audio/opus", "audio/red", "video/H264"]);
        assert!(names(&codecs.of_room()).contains(&"video/VP8"));
        assert_eq!(codecs.video_for("vp8"), "video/VP8");
        assert_eq!(codecs.video_for(""), "");
        assert_eq!(codecs.video_for("h265"), "video/H264");
    }

    #[test]
    fn a_list_is_taken_as_it_is() {
        let codecs = EnabledCodecs::of_mime_types(["audio/opus", "VIDEO/vp8", "video/h265", "video/H264", "video/vp8"]);
        let expected = ["audio/opus", "video/VP8", "video/H264"];
        assert_eq!(
            (names(&codecs.for_publishers()).as_slice(), names(&codecs.of_room()).as_slice()),
            (&expected[..], &expected[..])
        );
        assert!(!codecs.takes(MediaCodec::RedundantOpus));
        assert_eq!(codecs.video_for("video/AV1"), "video/VP8");
        assert_eq!(EnabledCodecs::of_mime_types(["video/h265"]), EnabledCodecs::default());
    }
}
