//! The codecs, as the stack wants to hear of them.

use crate::error::TransportError;
use rtc::peer_connection::configuration::media_engine::{MIME_TYPE_H264, MIME_TYPE_OPUS, MIME_TYPE_RTX, MediaEngine};
use rtc::rtp_transceiver::rtp_sender::{RTCPFeedback, RTCRtpCodec, RTCRtpCodecParameters, RtpCodecKind};

/// Payload type of sent H.264.
pub(crate) const H264_PAYLOAD_TYPE: u8 = 102;
/// Payload type of sent Opus.
pub(crate) const OPUS_PAYLOAD_TYPE: u8 = 111;
/// Payload type of Opus packets with copies of earlier ones in front (RFC 2198).
pub(crate) const RED_PAYLOAD_TYPE: u8 = 63;
/// How the stack calls them.
const MIME_TYPE_RED: &str = "audio/red";
/// Payload types of retransmissions (RFC 4588) are these many above what they repair.
const RTX_OFFSET: u8 = 18;
/// What is sent: Constrained Baseline, level 3.1 as a floor that every receiver may exceed.
const SENT_PROFILE: &str = "42e01f";
/// Also received: Baseline as browsers write it, and the other spelling of Constrained Baseline.
const ALSO_RECEIVED: [(u8, &str); 2] = [(103, "42001f"), (104, "42c01f")];

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

/// The engine for a publisher (`receiving` false: only what is sent is offered) or a subscriber.
pub(crate) fn media_engine(receiving: bool) -> Result<MediaEngine, TransportError> {
    let mut engine = MediaEngine::default();
    let mut register =
        |codec, kind| engine.register_codec(codec, kind).map_err(TransportError::during("registering a codec"));
    register(RTCRtpCodecParameters { rtp_codec: opus(), payload_type: OPUS_PAYLOAD_TYPE }, RtpCodecKind::Audio)?;
    register(RTCRtpCodecParameters { rtp_codec: red(), payload_type: RED_PAYLOAD_TYPE }, RtpCodecKind::Audio)?;
    let also = ALSO_RECEIVED.into_iter().filter(|_| receiving);
    for (payload_type, profile) in std::iter::once((H264_PAYLOAD_TYPE, SENT_PROFILE)).chain(also) {
        register(RTCRtpCodecParameters { rtp_codec: h264(profile), payload_type }, RtpCodecKind::Video)?;
        register(rtx(payload_type), RtpCodecKind::Video)?;
    }
    Ok(engine)
}
