//! What the room server needs of a WebRTC engine: one peer connection as a state machine without clock or socket.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use rtp::VideoFormat;
use thiserror::Error;

use super::datagram::Datagram;

/// Longest identifier that fits, in bytes. SDP allows more; clients use one to three characters.
const MAX_SMALL_ID_BYTES: usize = 16;

/// A short identifier out of an SDP that is copied with every packet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SmallId {
    bytes: [u8; MAX_SMALL_ID_BYTES],
    length: u8,
}

/// Identifies a media line of one peer connection (`a=mid`).
pub type Mid = SmallId;
/// Identifies a simulcast layer of a line (`a=rid`).
pub type LayerId = SmallId;

impl SmallId {
    /// The identifier, or `None` if it is too long to be one of ours.
    pub fn new(text: &str) -> Option<Self> {
        let mut bytes = [0; MAX_SMALL_ID_BYTES];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(Self { bytes, length: u8::try_from(text.len()).ok()? })
    }

    /// The identifier as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.length)]).unwrap_or_default()
    }
}

impl Hash for SmallId {
    /// In two words instead of byte by byte: lines are looked up with every packet.
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u128(u128::from_le_bytes(self.bytes));
    }
}

impl fmt::Debug for SmallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for SmallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Audio or video.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MediaKind {
    /// Audio.
    Audio,
    /// Video.
    Video,
}

/// Codec of a packet, with everything that decides whether a receiver accepts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// Opus, 48 kHz.
    Opus,
    /// Opus with copies of earlier packets in front (RFC 2198).
    RedundantOpus,
    /// VP8.
    Vp8,
    /// VP9.
    Vp9 {
        /// `profile-id`.
        profile: u8,
    },
    /// AV1, profile 0.
    Av1,
    /// H.264 with its `profile-level-id` and `packetization-mode`.
    H264 {
        /// Profile, constraints and level, three bytes.
        profile_level_id: u32,
        /// 0 or 1 (RFC 6184, section 6).
        packetization_mode: u8,
    },
}

impl Codec {
    /// Ticks of the RTP clock per second.
    pub fn clock_rate(self) -> u32 {
        match self {
            Self::Opus | Self::RedundantOpus => 48_000,
            Self::Vp8 | Self::Vp9 { .. } | Self::Av1 | Self::H264 { .. } => 90_000,
        }
    }

    /// The payload format whose key frames are recognised; `None` for audio.
    pub fn video_format(self) -> Option<VideoFormat> {
        match self {
            Self::Opus | Self::RedundantOpus => None,
            Self::Vp8 => Some(VideoFormat::Vp8),
            Self::Vp9 { .. } => Some(VideoFormat::Vp9),
            Self::Av1 => Some(VideoFormat::Av1),
            Self::H264 { .. } => Some(VideoFormat::H264),
        }
    }

    /// Audio or video.
    pub fn kind(self) -> MediaKind {
        match self {
            Self::Opus | Self::RedundantOpus => MediaKind::Audio,
            Self::Vp8 | Self::Vp9 { .. } | Self::Av1 | Self::H264 { .. } => MediaKind::Video,
        }
    }
}

/// Which data channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DataKind {
    /// Ordered, repeated until it arrives.
    Reliable,
    /// Unordered, sent once.
    Lossy,
}

/// Side information of a packet that is forwarded with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PacketExtensions {
    /// Loudness in dB below full scale, negative (RFC 6464).
    pub audio_level: Option<i8>,
    /// Whether the encoder detected speech (RFC 6464).
    pub voice_activity: Option<bool>,
    /// The two rotation bits of the header extension (3GPP TS 26.114), 0 to 3, as they arrived.
    pub orientation: Option<u8>,
}

/// A packet that a publisher sent.
#[derive(Clone, Debug)]
pub struct IncomingPacket {
    /// m-line that it arrived on.
    pub line: Mid,
    /// Simulcast layer, if the line has any.
    pub layer: Option<LayerId>,
    /// Its source, which changes when the publisher starts over.
    pub ssrc: u32,
    /// Sequence number, extended beyond 16 bits.
    pub sequence: u64,
    /// RTP timestamp in the codec's clock.
    pub timestamp: u32,
    /// Marker bit: last packet of a frame, or first of a talk spurt.
    pub marker: bool,
    /// Its codec.
    pub codec: Codec,
    /// Payload without padding; empty when the packet was nothing but padding.
    pub payload: Arc<[u8]>,
    /// Side information.
    pub extensions: PacketExtensions,
    /// When it was captured, if the client's reports say so, otherwise when it arrived.
    pub captured_at: Instant,
}

/// The part of a packet that all subscribers share.
#[derive(Clone, Debug)]
pub struct MediaPacket {
    /// Marker bit.
    pub marker: bool,
    /// Its codec.
    pub codec: Codec,
    /// Payload without padding.
    pub payload: Arc<[u8]>,
    /// Side information.
    pub extensions: PacketExtensions,
    /// The time of the timestamp; only differences between m-lines of one sender matter (lip sync).
    pub wallclock: Instant,
}

impl MediaPacket {
    /// The shared part of a packet.
    pub fn of(packet: &IncomingPacket) -> Self {
        Self {
            marker: packet.marker,
            codec: packet.codec,
            payload: Arc::clone(&packet.payload),
            extensions: packet.extensions,
            wallclock: packet.captured_at,
        }
    }
}

/// A packet for a subscriber.
#[derive(Clone, Debug)]
pub struct OutgoingPacket {
    /// Line to send it on.
    pub line: Mid,
    /// Sequence number, extended beyond 16 bits, below 65 536 for the first packet of a line.
    pub sequence: u64,
    /// RTP timestamp in the codec's clock.
    pub timestamp: u32,
    /// The part that all subscribers share.
    pub media: Arc<MediaPacket>,
}

/// A line that an offer shall add.
#[derive(Clone, Debug)]
pub struct NewLine {
    /// Audio or video.
    pub kind: MediaKind,
    /// Stream part of `a=msid`.
    pub stream_id: String,
    /// Track part of `a=msid`.
    pub track_id: String,
}

/// Changes that an offer shall make.
#[derive(Clone, Debug, Default)]
pub struct OfferChanges {
    /// Lines to add.
    pub add: Vec<NewLine>,
    /// Lines to make inactive.
    pub stop: Vec<Mid>,
    /// Inactive lines that carry another track from now on. They get another source for it, as with
    /// [`PeerConnection::renew_line`]; in the session description they keep the name of their first track.
    pub reuse: Vec<Mid>,
    /// Whether the transport shall start over.
    pub ice_restart: bool,
    /// Whether the data channels shall be opened. Has an effect once.
    pub open_data_channels: bool,
}

/// An offer to be answered by the client.
#[derive(Clone, Debug)]
pub struct LocalOffer {
    /// The session description.
    pub sdp: String,
    /// Ids of the lines added, in the order of [`OfferChanges::add`].
    pub added: Vec<Mid>,
}

/// An event of a connection.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum CoreEvent {
    /// ICE and DTLS are up.
    Connected,
    /// The network path is lost; it may recover.
    Disconnected,
    /// The network path has recovered.
    Reconnected,
    /// The connection is over.
    Closed,
    /// Media from a publisher.
    Packet(IncomingPacket),
    /// A subscriber cannot decode this line without a key frame.
    KeyframeNeeded(Mid),
    /// A data channel message.
    Data(DataKind, Vec<u8>),
    /// The estimate of the downlink in bits per second. Only for clients with transport-wide feedback.
    Estimate(u64),
    /// Share of the packets that were lost lately, 0 to 1, as far as known. Emitted every second or two, in parts.
    Loss {
        /// Of sent packets.
        sent: Option<f32>,
        /// Of packets to be received.
        received: Option<f32>,
    },
}

/// Why a connection refused to do something.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CoreError {
    /// A session description could not be parsed or does not fit.
    #[error("session description refused: {0}")]
    BadDescription(String),
    /// An answer arrived without an offer.
    #[error("there is no offer to answer")]
    NoOfferPending,
}

/// The transport of a client's datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// UDP.
    Udp,
    /// TCP, each datagram after its length (RFC 4571).
    Tcp,
    /// The TURN server in this process (RFC 8656); the client's address is its relayed one.
    Turn,
}

/// Where a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientAddress {
    /// How it is reached.
    pub transport: Transport,
    /// Its address and port.
    pub socket: SocketAddr,
    /// Our address that the client uses, if known: answers have to leave from there.
    pub local: Option<SocketAddr>,
}

/// One peer connection. Every call with `now` may produce events and datagrams; the caller collects both afterwards and
/// calls [`PeerConnection::handle_timeout`] when [`PeerConnection::deadline`] is reached.
pub trait PeerConnection: Send {
    /// Accepts the client's offer and returns the answer.
    ///
    /// # Errors
    /// [`CoreError::BadDescription`]. The connection stays as it was.
    fn accept_offer(&mut self, now: Instant, sdp: &str) -> Result<String, CoreError>;

    /// Makes an offer, or `None` when the changes need no negotiation. An earlier offer without an answer is void.
    fn create_offer(&mut self, now: Instant, changes: &OfferChanges) -> Option<LocalOffer>;

    /// Accepts the answer to the last offer.
    ///
    /// # Errors
    /// [`CoreError::NoOfferPending`], [`CoreError::BadDescription`]. The offer is void then.
    fn accept_answer(&mut self, now: Instant, sdp: &str) -> Result<(), CoreError>;

    /// ICE user name fragment by which the client's first datagrams are recognized. Changes with ICE restarts.
    fn local_ufrag(&mut self) -> String;

    /// Whether a datagram from this address belongs to this connection.
    fn accepts(&self, now: Instant, source: ClientAddress, datagram: &[u8]) -> bool;

    /// Handles a datagram. An invalid one is ignored.
    fn handle_datagram(&mut self, now: Instant, source: ClientAddress, datagram: &[u8]);

    /// Does the work that is due.
    fn handle_timeout(&mut self, now: Instant);

    /// When [`PeerConnection::handle_timeout`] wants to be called.
    fn deadline(&self) -> Instant;

    /// Whether the client accepts this codec on this m-line.
    fn takes(&mut self, line: Mid, codec: Codec) -> bool;

    /// The datagram that carries a packet; `None` when the client did not accept its codec or the m-line is not open.
    /// Datagrams that are polled afterwards follow it.
    fn write_rtp(&mut self, now: Instant, packet: &OutgoingPacket) -> Option<Datagram>;

    /// Gives a closed m-line a new SSRC for its next track. Clients take packets of the old one for those of the track that
    /// ended, and some drop them.
    fn renew_line(&mut self, now: Instant, line: Mid);

    /// Asks the client for a key frame of one of its lines.
    fn request_keyframe(&mut self, now: Instant, line: Mid, layer: Option<LayerId>);

    /// Sets the bitrate that could be sent at most, in bits per second: the estimate is probed up to that.
    fn set_desired_bitrate(&mut self, now: Instant, bps: u64);

    /// Sends a short burst of padding, if it is due, to probe whether the path carries more than is known.
    fn probe(&mut self, now: Instant);

    /// Sends a message on a data channel; false when it was dropped.
    fn send_data(&mut self, now: Instant, kind: DataKind, payload: &[u8]) -> bool;

    /// The next event.
    fn poll_event(&mut self) -> Option<CoreEvent>;

    /// The next datagram to send.
    fn poll_datagram(&mut self) -> Option<Datagram>;

    /// Says good-bye to the client (DTLS close) as far as possible without waiting.
    fn close(&mut self, now: Instant);
}

/// Which way media go on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Direction {
    /// From the client.
    pub receives: bool,
    /// To the client: with bandwidth estimation and retransmission.
    pub sends: bool,
}

/// Makes peer connections.
pub trait PeerFactory: Send {
    /// A connection that is not negotiated yet.
    fn create(&self, now: Instant, purpose: Direction) -> Box<dyn PeerConnection>;

    /// The local ICE user name fragment that a datagram is addressed to, when it is a STUN request.
    fn stun_ufrag(&self, datagram: &[u8]) -> Option<String>;
}
