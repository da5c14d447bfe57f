//! Conversions between `str0m`'s types, the wire's names, and those of [`core`](super::core).

use protocol::conventions::{LOSSY_CHANNEL, RELIABLE_CHANNEL};
use str0m::Candidate;
use str0m::error::IceError;
use str0m::format::{Codec as Str0mCodec, CodecSpec, PayloadParams};
use str0m::media::Pt;
use str0m::net::{Protocol, TcpType, Transmit};
use str0m::rtp::{Extension, ExtensionMap};

use super::client_routes::ClientRoutes;
use super::core::{ClientAddress, Codec, CoreError, DataKind, Transport};
use super::datagram::Datagram;
use super::downlink::rtp_header::ExtensionIds;

/// The transport of a client's datagrams.
pub fn protocol_of(transport: Transport) -> Protocol {
    match transport {
        Transport::Udp | Transport::Turn => Protocol::Udp,
        Transport::Tcp => Protocol::Tcp,
    }
}

/// A datagram that the engine wants sent.
pub fn datagram_of(ways: &ClientRoutes, transmit: Transmit) -> Datagram {
    let client = ways.client(transmit.source, transmit.destination, transmit.proto != Protocol::Udp);
    Datagram::of_bytes(client, transmit.contents.into())
}

/// Over TCP it is the client that connects (RFC 6544, section 4.5).
pub fn local_candidate(address: ClientAddress) -> Result<Candidate, IceError> {
    match address.transport {
        Transport::Udp | Transport::Turn => Candidate::builder().udp().host(address.socket).build(),
        Transport::Tcp => Candidate::builder().tcp().host(address.socket).tcptype(TcpType::Passive).build(),
    }
}

/// Why a session description was refused.
pub fn bad_description(error: impl std::fmt::Display) -> CoreError {
    CoreError::BadDescription(error.to_string())
}

/// Removes the client's candidates. Its addresses are learned from the source of its requests; those that it names are of no
/// use, and `str0m` would accumulate those that no candidate of ours reaches.
pub fn without_candidates(sdp: &str) -> String {
    let mut output = String::with_capacity(sdp.len());
    for text in sdp.lines().filter(|text| !text.starts_with("a=candidate:") && *text != "a=end-of-candidates") {
        output.push_str(text);
        output.push_str("\r\n");
    }
    output
}

/// The data channel with this label, if it is one of ours.
pub fn kind_of_label(label: &str) -> Option<DataKind> {
    match label {
        RELIABLE_CHANNEL => Some(DataKind::Reliable),
        LOSSY_CHANNEL => Some(DataKind::Lossy),
        _ => None,
    }
}

/// The codec of a payload type, if it is forwarded.
pub fn codec_of(spec: &CodecSpec) -> Option<Codec> {
    match spec.codec {
        Str0mCodec::Opus => Some(Codec::Opus),
        Str0mCodec::Vp8 => Some(Codec::Vp8),
        Str0mCodec::Vp9 => {
            Some(Codec::Vp9 { profile: spec.format.profile_id.and_then(|id| u8::try_from(id).ok()).unwrap_or(0) })
        }
        Str0mCodec::Av1 => Some(Codec::Av1),
        Str0mCodec::H264 => Some(Codec::H264 {
            // The defaults of RFC 6184, section 8.1, for absent parameters.
            profile_level_id: spec.format.profile_level_id.unwrap_or(0x0042_000a),
            packetization_mode: spec.format.packetization_mode.unwrap_or(0),
        }),
        _ => None,
    }
}

/// The codec of a payload type, if it has these parameters and is forwarded.
pub fn codec_under(params: &PayloadParams, payload_type: Pt) -> Option<Codec> {
    let codec = codec_of(&params.spec())?;
    if params.pt() == payload_type {
        return Some(codec);
    }
    (codec == Codec::Opus && params.red() == Some(payload_type)).then_some(Codec::RedundantOpus)
}

/// Whether a receiver of `offered` is likely to decode `wanted`: the profiles of H.264 that we allow differ only in
/// tools that no encoder uses in a call.
pub fn is_close(offered: Codec, wanted: Codec) -> bool {
    match (offered, wanted) {
        (Codec::H264 { packetization_mode: a, .. }, Codec::H264 { packetization_mode: b, .. }) => a == b,
        _ => false,
    }
}

/// Under which numbers the client wants header extensions.
pub fn extension_ids(map: &ExtensionMap) -> ExtensionIds {
    let ids = ExtensionIds {
        mid: map.id_of(Extension::RtpMid),
        transport_wide: map.id_of(Extension::TransportSequenceNumber),
        audio_level: map.id_of(Extension::AudioLevel),
        orientation: map.id_of(Extension::VideoOrientation),
    };
    ids.expressible()
}

/// Whether a datagram is STUN (RFC 7983, section 7, and RFC 5761, section 4).
pub fn is_stun(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|first| *first < 4)
}

/// Whether a datagram is of a DTLS handshake or of data channels.
pub fn is_dtls(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|first| (20..64).contains(first))
}

/// Whether a datagram is a report (RTCP, encrypted).
pub fn is_rtcp(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|first| (128..192).contains(first))
        && datagram.get(1).is_some_and(|second| (192..224).contains(second))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_the_client_names_are_skipped() {
        let sdp =
            "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=candidate:1 1 udp 1 10.0.0.1 5000 typ host\r\na=mid:0\r\n";
        assert_eq!(without_candidates(sdp), "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n");
    }
}
