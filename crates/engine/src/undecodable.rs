//! Media that arrives and cannot be decoded: the reason, once it is certain, and how rarely to request key frames meanwhile.
//!
//! Pure. Announcements of participants may be wrong in both directions, so what arrives decides: a stream that can be
//! decoded after all is reported as such.

use rtp::keyframe::MIN_KEYFRAME_INTERVAL;
use std::time::{Duration, Instant};

use media::video::VideoCodec;
use media::video::codec::DECODABLE;
use media::video::decoder::DecodeError;
use protocol::messages::{TrackInfo, TrackType};
use transport::Unreadable;

use crate::error::code;
use crate::session::TrackKind;

/// Consecutive failed key frames that make a stream undecodable: they were complete, so it is not the network.
const FAILED_KEYFRAMES: u32 = 2;
/// Pause between key-frame requests that are known to be of no use: at first, and at most.
const FIRST_USELESS_PAUSE: Duration = Duration::from_secs(2);
const LAST_USELESS_PAUSE: Duration = Duration::from_secs(60);
/// Packets of an unknown codec that are no accident.
const FOREIGN_PACKETS: u64 = 10;
/// Undecodable frames before the first one, and for how long.
const USELESS_FRAMES: u64 = 20;
const USELESS_TIME: Duration = Duration::from_millis(2_500);
/// Consecutive audio packets that look encrypted, or do not.
const CERTAIN_PACKETS: u32 = 5;
/// The trailer of frames that LiveKit's clients encrypt: 12 bytes of initialization vector, their number, a key's index.
const VECTOR_BYTES: u8 = 12;
const KEYS: u8 = 16;

/// Why something cannot be decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Codecs, by name.
    Codec(String),
    /// A form of a codec that is decoded otherwise, in words.
    Format(String),
    /// End-to-end encrypted, and there is no key.
    Encrypted,
    /// It is not what it claims to be.
    Unreadable,
}

impl Reason {
    /// As `ZegoExpressErrorCode` has it.
    pub(crate) fn code(&self) -> i32 {
        match self {
            Self::Codec(_) | Self::Format(_) => code::PLAYER_VIDEO_DECODER_NOT_SUPPORTED,
            Self::Encrypted => code::PLAYER_DECRYPTION_FAILED,
            Self::Unreadable => code::PLAYER_VIDEO_DECODER_FAIL,
        }
    }

    /// A sentence for people.
    pub(crate) fn text(&self, kind: TrackKind) -> String {
        let what = match kind {
            TrackKind::Audio => "sound",
            TrackKind::Video => "video",
        };
        match self {
            Self::Codec(name) => format!("the {what} cannot be decoded: its codec is {name}"),
            Self::Format(format) => format!("the {what} cannot be decoded: {format}"),
            Self::Encrypted => format!("the {what} is end-to-end encrypted, and there is no key"),
            Self::Unreadable => format!("the {what} cannot be decoded: what comes is not what its codec says"),
        }
    }
}

/// Why a track cannot be played, by its participant's description.
pub(crate) fn obstacle(track: &TrackInfo) -> Option<Reason> {
    if track.encryption != 0 {
        return Some(Reason::Encrypted);
    }
    let reported = track.codecs.iter().map(|codec| codec.mime_type.as_str()).chain([track.mime_type.as_str()]);
    let names: Vec<&str> = reported.filter_map(|mime| mime.split_once('/')).map(|(_, name)| name).collect();
    let is_video = track.r#type == TrackType::Video as i32;
    let known = |name: &&str| {
        let ours = DECODABLE.iter().map(|codec| match codec {
            VideoCodec::H264 => "h264",
            VideoCodec::Vp8 => "vp8",
        });
        let mut ours: Box<dyn Iterator<Item = &str>> =
            if is_video { Box::new(ours) } else { Box::new(["opus", "red"].into_iter()) };
        ours.any(|known| known.eq_ignore_ascii_case(name))
    };
    match names.first() {
        Some(first) if !names.iter().any(known) => Some(Reason::Codec((*first).to_owned())),
        _ => None,
    }
}

/// Whether a frame or an audio packet ends as an encrypted one does.
fn looks_encrypted(data: &[u8]) -> bool {
    matches!(data, [.., VECTOR_BYTES, key] if *key < KEYS && data.len() > usize::from(VECTOR_BYTES) + 2)
}

/// Watches the decoder of one stream's video.
#[derive(Debug, Default)]
pub(crate) struct DecoderHealth {
    failed_keyframes: u32,
    useless: bool,
    requested: Option<Instant>,
    pause: Duration,
}

impl DecoderHealth {
    /// A frame was decoded.
    pub(crate) fn decoded(&mut self) {
        (self.failed_keyframes, self.useless) = (0, false);
    }

    /// A whole frame was not decoded; the reason if it is certain.
    pub(crate) fn failed(&mut self, error: &DecodeError, data: &[u8], is_keyframe: bool) -> Option<Reason> {
        let reason = match error {
            DecodeError::TooLarge { .. } => Some(Reason::Format(error.to_string())),
            DecodeError::ParameterSet(media::video::sps::SpsError::Unsupported(_)) => {
                Some(Reason::Format(format!("H264 {error}")))
            }
            _ if is_keyframe => {
                self.failed_keyframes += 1;
                let certain = self.failed_keyframes >= FAILED_KEYFRAMES;
                certain.then(|| if looks_encrypted(data) { Reason::Encrypted } else { Reason::Unreadable })
            }
            _ => None,
        };
        self.useless |= reason.is_some();
        reason
    }

    /// Whether to request a key frame now. Each one costs all subscribers of the stream.
    pub(crate) fn may_request(&mut self, now: Instant) -> bool {
        let pause = if self.useless { self.pause.max(FIRST_USELESS_PAUSE) } else { MIN_KEYFRAME_INTERVAL };
        if self.requested.is_some_and(|at| now.saturating_duration_since(at) < pause) {
            return false;
        }
        self.requested = Some(now);
        self.pause = if self.useless { (pause * 2).min(LAST_USELESS_PAUSE) } else { Duration::ZERO };
        true
    }
}

/// Detects that nothing that arrives becomes a frame.
#[derive(Debug, Default)]
pub(crate) struct ArrivalWatch {
    frames: u64,
    before: Unreadable,
    useless_since: Option<Instant>,
}

impl ArrivalWatch {
    /// To be called a few times a second with the counters since the beginning.
    pub(crate) fn look(&mut self, frames: u64, unreadable: &Unreadable, now: Instant) -> Option<Reason> {
        if std::mem::replace(&mut self.frames, frames) != frames {
            (self.before, self.useless_since) = (unreadable.clone(), None);
            return None;
        }
        if unreadable.foreign_packets >= self.before.foreign_packets + FOREIGN_PACKETS {
            return unreadable.foreign_codec.clone().map(Reason::Codec);
        }
        let useless = unreadable.useless_frames.saturating_sub(self.before.useless_frames);
        if useless == 0 {
            return None;
        }
        let since = *self.useless_since.get_or_insert(now);
        let certain = useless >= USELESS_FRAMES && now.saturating_duration_since(since) >= USELESS_TIME;
        certain.then_some(Reason::Unreadable)
    }
}

/// What to do with an audio packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sound {
    Play,
    /// It would be noise.
    Drop,
}

/// Recognises encrypted audio, which any Opus decoder turns into loud noise, by its trailer.
#[derive(Debug, Default)]
pub(crate) struct EncryptedAudioDetector {
    plain: u32,
    encrypted: u32,
    /// As last reported.
    is_encrypted: bool,
}

impl EncryptedAudioDetector {
    /// Takes a payload; the second value is set when the stream turned out to be of the other kind.
    pub(crate) fn take(&mut self, payload: &[u8]) -> (Sound, Option<bool>) {
        if looks_encrypted(payload) {
            self.encrypted += 1;
        } else {
            self.plain = if self.encrypted > 0 { 1 } else { self.plain.saturating_add(1) };
            self.encrypted = 0;
        }
        let is_encrypted =
            if self.is_encrypted { self.plain < CERTAIN_PACKETS } else { self.encrypted >= CERTAIN_PACKETS };
        if is_encrypted {
            self.plain = if self.encrypted > 0 { 0 } else { self.plain };
        }
        let changed = std::mem::replace(&mut self.is_encrypted, is_encrypted) != is_encrypted;
        // One in some thousands of plain packets ends that way by accident, hardly ever the very first.
        let suspicious = self.encrypted > 0 && self.plain == 0;
        let sound = if is_encrypted || suspicious { Sound::Drop } else { Sound::Play };
        (sound, changed.then_some(is_encrypted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use media::video::sps::SpsError;
    use protocol::messages::SimulcastCodecInfo;

    const ENCRYPTED: [u8; 20] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 12, 0];

    fn track(mime: &str, is_video: bool) -> TrackInfo {
        let r#type = if is_video { TrackType::Video } else { TrackType::Audio } as i32;
        TrackInfo { r#type, mime_type: mime.to_owned(), ..TrackInfo::default() }
    }

    #[test]
    fn an_announced_codec_decides_at_first() {
        assert_eq!(obstacle(&track("video/H264", true)), None);
        assert_eq!(obstacle(&track("", true)), None);
        assert_eq!(obstacle(&track("video/AV1", true)), Some(Reason::Codec("AV1".into())));
        assert_eq!(obstacle(&track("audio/opus", false)), None);
        assert_eq!(obstacle(&track("audio/PCMU", false)), Some(Reason::Codec("PCMU".into())));
        assert_eq!(obstacle(&TrackInfo { encryption: 1, ..track("video/H264", true) }), Some(Reason::Encrypted));
        let backup = SimulcastCodecInfo { mime_type: "video/H264".into(), ..SimulcastCodecInfo::default() };
        assert_eq!(obstacle(&TrackInfo { codecs: vec![backup], ..track("video/VP9", true) }), None);
    }

    #[test]
    fn an_unsupported_format_is_reported_at_once_and_damage_after_key_frames() {
        let mut health = DecoderHealth::default();
        let refused = DecodeError::ParameterSet(SpsError::Unsupported("4:4:4"));
        assert_eq!(health.failed(&refused, &[], true), Some(Reason::Format("H264 4:4:4".into())));
        let mut health = DecoderHealth::default();
        let damaged = DecodeError::KeyframeNeeded;
        for _ in 0..50 {
            assert_eq!(health.failed(&damaged, &[], false), None);
        }
        assert_eq!(health.failed(&damaged, &[1], true), None);
        assert_eq!(health.failed(&damaged, &[1], true), Some(Reason::Unreadable));
        assert_eq!(health.failed(&damaged, &ENCRYPTED, true), Some(Reason::Encrypted));
        health.decoded();
        assert_eq!(health.failed(&damaged, &[1], true), None);
    }

    #[test]
    fn a_stream_that_cannot_be_decoded_is_asked_ever_more_rarely() {
        let start = Instant::now();
        let requests = |health: &mut DecoderHealth| {
            (0..300u64).filter(|tenth| health.may_request(start + Duration::from_millis(tenth * 100))).count()
        };
        let mut broken = DecoderHealth::default();
        broken.failed(&DecodeError::TooLarge { width: 1, height: 1 }, &[], true);
        assert_eq!(requests(&mut broken), 4, "at 0, 4, 12 and 28 s");
        assert_eq!(requests(&mut DecoderHealth::default()), 100);
    }

    #[test]
    fn a_codec_that_was_not_agreed_upon_is_named() {
        let mut watch = ArrivalWatch::default();
        let start = Instant::now();
        let unreadable = Unreadable { foreign_packets: 30, foreign_codec: Some("VP9".into()), useless_frames: 0 };
        assert_eq!(watch.look(0, &unreadable, start), Some(Reason::Codec("VP9".into())));
        // Frames arrive: the earlier ones are forgotten.
        assert_eq!(watch.look(1, &unreadable, start), None);
        assert_eq!(watch.look(1, &unreadable, start), None);
    }

    #[test]
    fn useless_frames_are_reported_and_losses_are_not() {
        let mut watch = ArrivalWatch::default();
        let start = Instant::now();
        let useless = |frames| Unreadable { useless_frames: frames, ..Unreadable::default() };
        for tenth in 0..25u64 {
            assert_eq!(watch.look(0, &useless(tenth * 3), start + Duration::from_millis(tenth * 100)), None);
        }
        let late = start + Duration::from_millis(2_700);
        assert_eq!(watch.look(0, &useless(80), late), Some(Reason::Unreadable));
        assert_eq!(watch.look(9, &useless(80), late), None);
        assert_eq!(watch.look(9, &useless(90), late + Duration::from_secs(9)), None);
    }

    #[test]
    fn encrypted_audio_is_never_played_and_plain_audio_always() {
        let mut watch = EncryptedAudioDetector::default();
        let results: Vec<_> = (0..8).map(|_| watch.take(&ENCRYPTED)).collect();
        assert!(results.iter().all(|(sound, _)| *sound == Sound::Drop));
        assert_eq!(results.iter().filter_map(|(_, reported)| *reported).collect::<Vec<_>>(), [true]);
        let back: Vec<_> = (0..8).map(|_| watch.take(&[0x78, 1, 2, 3])).collect();
        assert_eq!(back.iter().filter_map(|(_, reported)| *reported).collect::<Vec<_>>(), [false]);
        assert_eq!(back[7].0, Sound::Play);
        // An accident in the middle of plain audio.
        assert_eq!(watch.take(&ENCRYPTED), (Sound::Play, None));
        assert_eq!(watch.take(&[0x78]), (Sound::Play, None));
    }
}
