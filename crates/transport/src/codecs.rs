//! Codecs and header extensions, as the stack registers them.

use crate::config::Role;
use crate::error::TransportError;
use crate::orientation;
use crate::payload::VideoCodec;
use rtc::peer_connection::configuration::media_engine::{
    MIME_TYPE_H264, MIME_TYPE_OPUS, MIME_TYPE_RTX, MIME_TYPE_VP8, MediaEngine,
};
use rtc::rtp_transceiver::rtp_sender::{
    RTCPFeedback, RTCRtpCodec, RTCRtpCodecParameters, RTCRtpHeaderExtensionCapability, RtpCodecKind,
};

/// Payload type of sent H.264.
pub(crate) const H264_PAYLOAD_TYPE: u8 = 102;
/// Payload type of sent Opus.
pub(crate) const OPUS_PAYLOAD_TYPE: u8 = 111;
/// Payload type of redundant Opus (RED, RFC 2198).
pub(crate) const RED_PAYLOAD_TYPE: u8 = 63;
/// MIME type of redundant audio.
const MIME_TYPE_RED: &str = "audio/red";
/// Distance from a payload type to that of its retransmissions (RFC 4588).
const RTX_OFFSET: u8 = 18;
/// H.264 profile that is sent: Constrained Baseline, level 3.1.
const SENT_PROFILE: &str = "42e01f";
/// H.264 profiles that are accepted: the one that is sent, Baseline as browsers write it, the other spelling of Constrained
/// Baseline, and Main and High as phones and hardware encoders send them, constrained or not.
pub(crate) const RECEIVED_PROFILES: [&str; 6] = [SENT_PROFILE, "42001f", "42c01f", "4d001f", "64001f", "640c1f"];
/// Payload type of received VP8 in our own descriptions.
const VP8_PAYLOAD_TYPE: u8 = 96;

fn video_feedback() -> Vec<RTCPFeedback> {
    [("nack", ""), ("nack", "pli"), ("ccm", "fir"), ("transport-cc", "")]
        .map(|(typ, parameter)| RTCPFeedback { typ: typ.to_owned(), parameter: parameter.to_owned() })
        .into()
}

fn h264(profile: &str) -> RTCRtpCodec {
    RTCRtpCodec {
        mime_type: MIME_TYPE_H264.to_owned(),
        clock_rate: 90_000,
        channels: 0,
        sdp_fmtp_line: format!("level-asymmetry-allowed=1;packetization-mode=1;profile-level-id={profile}"),
        rtcp_feedback: video_feedback(),
    }
}

fn vp8() -> RTCRtpCodec {
    RTCRtpCodec {
        mime_type: MIME_TYPE_VP8.to_owned(),
        clock_rate: 90_000,
        channels: 0,
        sdp_fmtp_line: String::new(),
        rtcp_feedback: video_feedback(),
    }
}

/// Retransmissions of `repaired`. Without them a server such as str0m's answers no NACK.
fn rtx(repaired: u8) -> RTCRtpCodecParameters {
    let rtp_codec = RTCRtpCodec {
        mime_type: MIME_TYPE_RTX.to_owned(),
        clock_rate: 90_000,
        channels: 0,
        sdp_fmtp_line: format!("apt={repaired}"),
        rtcp_feedback: vec![],
    };
    RTCRtpCodecParameters { rtp_codec, payload_type: repaired + RTX_OFFSET }
}

/// H.264 as it is sent.
pub(crate) fn sent_h264() -> RTCRtpCodec {
    h264(SENT_PROFILE)
}

/// Opus as it is sent and received.
pub(crate) fn opus() -> RTCRtpCodec {
    RTCRtpCodec {
        mime_type: MIME_TYPE_OPUS.to_owned(),
        clock_rate: 48_000,
        channels: 2,
        sdp_fmtp_line: "minptime=10;useinbandfec=1".to_owned(),
        rtcp_feedback: vec![],
    }
}

/// Opus packets with copies of earlier ones in front.
fn red() -> RTCRtpCodec {
    RTCRtpCodec {
        mime_type: MIME_TYPE_RED.to_owned(),
        sdp_fmtp_line: format!("{OPUS_PAYLOAD_TYPE}/{OPUS_PAYLOAD_TYPE}"),
        ..opus()
    }
}

/// The engine for a publisher, which offers only what it sends, or for a subscriber, which takes these video codecs.
pub(crate) fn media_engine(role: Role, received: &[VideoCodec]) -> Result<MediaEngine, TransportError> {
    let mut engine = MediaEngine::default();
    let mut register =
        |codec, kind| engine.register_codec(codec, kind).map_err(TransportError::during("registering a codec"));
    register(RTCRtpCodecParameters { rtp_codec: opus(), payload_type: OPUS_PAYLOAD_TYPE }, RtpCodecKind::Audio)?;
    register(RTCRtpCodecParameters { rtp_codec: red(), payload_type: RED_PAYLOAD_TYPE }, RtpCodecKind::Audio)?;
    let mut video = Vec::new();
    if role == Role::Publisher {
        video.push((H264_PAYLOAD_TYPE, sent_h264()));
    } else {
        for codec in received {
            match codec {
                VideoCodec::H264 => video.extend((H264_PAYLOAD_TYPE..).zip(RECEIVED_PROFILES.map(h264))),
                VideoCodec::Vp8 => video.push((VP8_PAYLOAD_TYPE, vp8())),
            }
        }
    }
    for (payload_type, rtp_codec) in video {
        register(RTCRtpCodecParameters { rtp_codec, payload_type }, RtpCodecKind::Video)?;
        register(rtx(payload_type), RtpCodecKind::Video)?;
    }
    if role == Role::Subscriber {
        let orientation = RTCRtpHeaderExtensionCapability { uri: orientation::URI.to_owned() };
        engine
            .register_header_extension(orientation, RtpCodecKind::Video, None)
            .map_err(TransportError::during("registering the orientation"))?;
    }
    Ok(engine)
}
