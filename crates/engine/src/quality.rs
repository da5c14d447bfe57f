//! The numbers of `onPublisherQualityUpdate` and `onPlayerQualityUpdate`: differences of counters over an interval.

use serde::Serialize;

/// `ZegoVideoCodecID.Default`: H.264.
const CODEC_H264: i32 = 0;
/// `ZegoStreamQualityLevel`.
const LEVEL_EXCELLENT: i32 = 0;
const LEVEL_BAD: i32 = 3;
const LEVEL_DIE: i32 = 4;
/// Mean opinion score without any media.
const MIN_MOS: f64 = 1.0;
/// Fixed share of the R factor that delay does not touch (ITU-T G.107, default values).
const R_BASE: f64 = 93.2;

/// `ZegoStreamQualityLevel`, by loss and round trip.
pub(crate) fn level(rtt_ms: f64, loss: f64) -> i32 {
    const LIMITS: [(f64, f64); 4] = [(150.0, 0.02), (300.0, 0.05), (500.0, 0.1), (1000.0, 0.3)];
    let level = LIMITS.iter().position(|(rtt, lost)| rtt_ms <= *rtt && loss <= *lost).unwrap_or(LIMITS.len());
    i32::try_from(level).unwrap_or(0)
}

/// Mean opinion score 1.0 to 4.5 from the E-model (ITU-T G.107, simplified for Opus with loss concealment).
///
/// `delay_ms` is one way, mouth to ear; `loss` is the share concealed, 0 to 1.
pub(crate) fn mos(delay_ms: f64, loss: f64) -> f64 {
    let delay_impairment = 0.024 * delay_ms + if delay_ms > 177.3 { 0.11 * (delay_ms - 177.3) } else { 0.0 };
    let loss_impairment = 95.0 * loss / (loss + 0.1);
    let r = (R_BASE - delay_impairment - loss_impairment).clamp(0.0, 100.0);
    (1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6).clamp(1.0, 4.5)
}

/// Counter readings of a publisher at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PublisherReading {
    pub(crate) captured: u64,
    pub(crate) encoded: u64,
    pub(crate) sent: u64,
    pub(crate) video_bytes: u64,
    pub(crate) audio_packets: u64,
    pub(crate) audio_bytes: u64,
    /// Packets of the whole connection with known outcome, and how many of them were lost.
    pub(crate) path_packets: u64,
    pub(crate) path_lost: u64,
}

impl PublisherReading {
    /// Share of the packets lost on the path since another reading; `None` without reports.
    fn loss_since(&self, before: &Self) -> Option<f64> {
        share(self.path_lost.saturating_sub(before.path_lost), self.path_packets.saturating_sub(before.path_packets))
    }
}

/// A part of a whole, 0 to 1; `None` where there is no whole.
pub(crate) fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| (part as f64 / whole as f64).min(1.0))
}

/// `ZegoPublishStreamQuality`. Rates per second, kbit/s, milliseconds, shares 0 to 1.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct PublishStreamQuality {
    #[serde(rename = "videoCaptureFPS")]
    video_capture_fps: f64,
    #[serde(rename = "videoEncodeFPS")]
    video_encode_fps: f64,
    #[serde(rename = "videoSendFPS")]
    video_send_fps: f64,
    #[serde(rename = "videoKBPS")]
    video_kbps: f64,
    #[serde(rename = "audioCaptureFPS")]
    audio_capture_fps: f64,
    #[serde(rename = "audioSendFPS")]
    audio_send_fps: f64,
    #[serde(rename = "audioKBPS")]
    audio_kbps: f64,
    rtt: i64,
    #[serde(rename = "packetLostRate")]
    packet_lost_rate: f64,
    level: i32,
    #[serde(rename = "isHardwareEncode")]
    is_hardware_encode: bool,
    #[serde(rename = "videoCodecID")]
    video_codec_id: i32,
    #[serde(rename = "totalSendBytes")]
    total_send_bytes: u64,
    #[serde(rename = "audioSendBytes")]
    audio_send_bytes: u64,
    #[serde(rename = "videoSendBytes")]
    video_send_bytes: u64,
}

/// Quality over the `seconds` between two readings. `reported_loss` counts where nothing is known of single packets.
pub(crate) fn publish_quality(
    before: &PublisherReading,
    now: &PublisherReading,
    seconds: f64,
    rtt_ms: f64,
    reported_loss: f64,
) -> PublishStreamQuality {
    let loss = now.loss_since(before).unwrap_or(reported_loss);
    let rate = Rate { seconds };
    let audio_fps = rate.of(before.audio_packets, now.audio_packets);
    PublishStreamQuality {
        video_capture_fps: rate.of(before.captured, now.captured),
        video_encode_fps: rate.of(before.encoded, now.encoded),
        video_send_fps: rate.of(before.sent, now.sent),
        video_kbps: rate.kbps(before.video_bytes, now.video_bytes),
        audio_capture_fps: audio_fps,
        audio_send_fps: audio_fps,
        audio_kbps: rate.kbps(before.audio_bytes, now.audio_bytes),
        rtt: rtt_ms.round() as i64,
        packet_lost_rate: loss,
        level: level(rtt_ms, loss),
        is_hardware_encode: false,
        video_codec_id: CODEC_H264,
        total_send_bytes: now.video_bytes + now.audio_bytes,
        audio_send_bytes: now.audio_bytes,
        video_send_bytes: now.video_bytes,
    }
}

/// Counter readings of a player at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PlayerReading {
    pub(crate) received: u64,
    pub(crate) decoded: u64,
    pub(crate) rendered: u64,
    pub(crate) video_bytes: u64,
    pub(crate) audio_packets: u64,
    pub(crate) audio_bytes: u64,
    pub(crate) packets: u64,
    /// Packets that never arrived; the one below counts those that arrived by retransmission.
    pub(crate) lost: u64,
    pub(crate) recovered: u64,
    pub(crate) breaks: u64,
    pub(crate) break_ms: u64,
    /// How long video has been shown, stalls included.
    pub(crate) video_ms: u64,
    /// Number of times that audio was concealed.
    pub(crate) audio_breaks: u64,
    pub(crate) concealed_ms: f64,
    pub(crate) decoded_audio_ms: f64,
    pub(crate) buffer_ms: f64,
    /// How much later than its audio the video is shown; 0 while unknown.
    pub(crate) av_offset_ms: f64,
    pub(crate) muted_video: bool,
    pub(crate) muted_audio: bool,
    /// Whether audio, and whether video cannot be decoded.
    pub(crate) undecodable: (bool, bool),
    /// `ZegoVideoCodecID`.
    pub(crate) video_codec_id: i32,
}

/// `ZegoPlayStreamQuality`. Rates per second, kbit/s, milliseconds, shares 0 to 1 where the name says rate.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct PlayStreamQuality {
    #[serde(rename = "videoRecvFPS")]
    video_recv_fps: f64,
    #[serde(rename = "videoDejitterFPS")]
    video_dejitter_fps: f64,
    #[serde(rename = "videoDecodeFPS")]
    video_decode_fps: f64,
    #[serde(rename = "videoRenderFPS")]
    video_render_fps: f64,
    #[serde(rename = "videoKBPS")]
    video_kbps: f64,
    #[serde(rename = "videoBreakRate")]
    video_break_rate: f64,
    #[serde(rename = "audioRecvFPS")]
    audio_recv_fps: f64,
    #[serde(rename = "audioDejitterFPS")]
    audio_dejitter_fps: f64,
    #[serde(rename = "audioDecodeFPS")]
    audio_decode_fps: f64,
    #[serde(rename = "audioRenderFPS")]
    audio_render_fps: f64,
    #[serde(rename = "audioKBPS")]
    audio_kbps: f64,
    #[serde(rename = "audioBreakRate")]
    audio_break_rate: f64,
    mos: f64,
    rtt: i64,
    #[serde(rename = "packetLostRate")]
    packet_lost_rate: f64,
    #[serde(rename = "peerToPeerDelay")]
    peer_to_peer_delay: i64,
    #[serde(rename = "peerToPeerPacketLostRate")]
    peer_to_peer_packet_lost_rate: f64,
    level: i32,
    delay: i64,
    #[serde(rename = "avTimestampDiff")]
    av_timestamp_diff: i64,
    #[serde(rename = "isHardwareDecode")]
    is_hardware_decode: bool,
    #[serde(rename = "videoCodecID")]
    video_codec_id: i32,
    #[serde(rename = "totalRecvBytes")]
    total_recv_bytes: u64,
    #[serde(rename = "audioRecvBytes")]
    audio_recv_bytes: u64,
    #[serde(rename = "videoRecvBytes")]
    video_recv_bytes: u64,
    #[serde(rename = "audioCumulativeBreakCount")]
    audio_cumulative_break_count: u64,
    #[serde(rename = "audioCumulativeBreakTime")]
    audio_cumulative_break_time: i64,
    /// Percent.
    #[serde(rename = "audioCumulativeBreakRate")]
    audio_cumulative_break_rate: f64,
    #[serde(rename = "audioCumulativeDecodeTime")]
    audio_cumulative_decode_time: i64,
    #[serde(rename = "videoCumulativeBreakCount")]
    video_cumulative_break_count: u64,
    #[serde(rename = "videoCumulativeBreakTime")]
    video_cumulative_break_time: u64,
    #[serde(rename = "videoCumulativeBreakRate")]
    video_cumulative_break_rate: f64,
    #[serde(rename = "videoCumulativeDecodeTime")]
    video_cumulative_decode_time: u64,
    #[serde(rename = "muteVideo")]
    mute_video: i32,
    #[serde(rename = "muteAudio")]
    mute_audio: i32,
}

/// Quality over the `seconds` between two readings.
pub(crate) fn play_quality(
    before: &PlayerReading,
    now: &PlayerReading,
    seconds: f64,
    rtt_ms: f64,
) -> PlayStreamQuality {
    let rate = Rate { seconds };
    let since = |of: fn(&PlayerReading) -> u64| of(now).saturating_sub(of(before));
    // What arrived by retransmission was lost on the path all the same.
    let lost = since(|reading| reading.lost + reading.recovered);
    let missing = since(|reading| reading.lost);
    let packets = since(|reading| reading.packets);
    let loss = share(lost, packets + missing).unwrap_or(0.0);
    // To the end, repairs included.
    let end_to_end_loss = share(missing, packets + missing).unwrap_or(0.0);
    let concealed = (now.concealed_ms - before.concealed_ms).max(0.0) / (seconds * 1000.0);
    let delay = rtt_ms / 2.0 + now.buffer_ms;
    let audio_fps = rate.of(before.audio_packets, now.audio_packets);
    PlayStreamQuality {
        video_recv_fps: rate.of(before.received, now.received),
        video_dejitter_fps: rate.of(before.received, now.received),
        video_decode_fps: rate.of(before.decoded, now.decoded),
        video_render_fps: rate.of(before.rendered, now.rendered),
        video_kbps: rate.kbps(before.video_bytes, now.video_bytes),
        video_break_rate: now.break_ms.saturating_sub(before.break_ms) as f64 / (seconds * 1000.0),
        audio_recv_fps: audio_fps,
        audio_dejitter_fps: audio_fps,
        audio_decode_fps: audio_fps,
        audio_render_fps: audio_fps,
        audio_kbps: rate.kbps(before.audio_bytes, now.audio_bytes),
        audio_break_rate: concealed,
        mos: if now.undecodable.0 { MIN_MOS } else { mos(delay, concealed.min(1.0)) },
        rtt: rtt_ms.round() as i64,
        packet_lost_rate: loss,
        peer_to_peer_delay: delay.round() as i64,
        peer_to_peer_packet_lost_rate: end_to_end_loss,
        level: level(rtt_ms, loss).max(undecodable_level(now)),
        delay: now.buffer_ms.round() as i64,
        av_timestamp_diff: now.av_offset_ms.round() as i64,
        is_hardware_decode: false,
        video_codec_id: now.video_codec_id,
        total_recv_bytes: now.video_bytes + now.audio_bytes,
        audio_recv_bytes: now.audio_bytes,
        video_recv_bytes: now.video_bytes,
        video_cumulative_break_count: now.breaks,
        video_cumulative_break_time: now.break_ms,
        video_cumulative_break_rate: share(now.break_ms, now.video_ms).unwrap_or(0.0),
        video_cumulative_decode_time: now.video_ms,
        audio_cumulative_break_rate: if now.decoded_audio_ms > 0.0 {
            100.0 * now.concealed_ms / (now.concealed_ms + now.decoded_audio_ms)
        } else {
            0.0
        },
        audio_cumulative_break_count: now.audio_breaks,
        audio_cumulative_break_time: now.concealed_ms.round() as i64,
        audio_cumulative_decode_time: now.decoded_audio_ms.round() as i64,
        mute_video: i32::from(now.muted_video),
        mute_audio: i32::from(now.muted_audio),
    }
}

/// A stream whose audio or video cannot be played is bad; without both it is no call, however good the path is.
fn undecodable_level(now: &PlayerReading) -> i32 {
    match now.undecodable {
        (false, false) => LEVEL_EXCELLENT,
        (true, true) => LEVEL_DIE,
        (true, false) if now.decoded == 0 => LEVEL_DIE,
        (false, true) if now.audio_packets == 0 => LEVEL_DIE,
        _ => LEVEL_BAD,
    }
}

struct Rate {
    seconds: f64,
}

impl Rate {
    fn of(&self, before: u64, now: u64) -> f64 {
        if self.seconds <= 0.0 { 0.0 } else { now.saturating_sub(before) as f64 / self.seconds }
    }

    fn kbps(&self, before: u64, now: u64) -> f64 {
        self.of(before, now) * 8.0 / 1000.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_differences_over_the_interval() {
        let before = PublisherReading { captured: 30, sent: 30, video_bytes: 1000, ..Default::default() };
        let now = PublisherReading { captured: 120, sent: 90, video_bytes: 376_000, ..Default::default() };
        let quality = publish_quality(&before, &now, 3.0, 40.0, 0.0);
        assert_eq!((quality.video_capture_fps, quality.video_send_fps), (30.0, 20.0));
        assert_eq!(quality.video_kbps, 1000.0);
        assert_eq!(quality.level, 0);
    }

    #[test]
    fn a_players_loss_is_a_share_of_the_expected_packets() {
        let now = PlayerReading { packets: 90, lost: 10, ..Default::default() };
        let quality = play_quality(&PlayerReading::default(), &now, 3.0, 400.0);
        assert_eq!(quality.packet_lost_rate, 0.1);
        assert_eq!(quality.level, 2);
    }

    #[test]
    fn a_stream_that_cannot_be_decoded_is_never_excellent() {
        let level = |reading| play_quality(&PlayerReading::default(), &reading, 3.0, 20.0).level;
        let heard = PlayerReading { packets: 90, audio_packets: 90, ..Default::default() };
        assert_eq!(level(heard), 0);
        assert_eq!(level(PlayerReading { undecodable: (false, true), ..heard }), 3);
        assert_eq!(level(PlayerReading { undecodable: (false, true), audio_packets: 0, ..heard }), 4);
        let encrypted = PlayerReading { undecodable: (true, true), ..heard };
        assert_eq!((level(encrypted), play_quality(&heard, &encrypted, 3.0, 20.0).mos), (4, 1.0));
    }

    #[test]
    fn a_retransmitted_packet_counts_as_lost_on_the_path_only() {
        let before = PlayerReading { packets: 90, lost: 10, ..Default::default() };
        let now = PlayerReading { packets: 200, lost: 0, recovered: 20, ..Default::default() };
        let quality = play_quality(&before, &now, 3.0, 40.0);
        assert!((quality.packet_lost_rate - 10.0 / 110.0).abs() < 1e-9);
        assert_eq!(quality.peer_to_peer_packet_lost_rate, 0.0);
    }

    #[test]
    fn transport_wide_feedback_counts_before_receiver_reports() {
        let now = PublisherReading { path_packets: 200, path_lost: 10, ..Default::default() };
        assert_eq!(publish_quality(&PublisherReading::default(), &now, 3.0, 40.0, 0.5).packet_lost_rate, 0.05);
        assert_eq!(publish_quality(&now, &now, 3.0, 40.0, 0.5).packet_lost_rate, 0.5);
    }

    #[test]
    fn a_good_line_scores_high_and_a_lossy_one_low() {
        assert!(mos(60.0, 0.0) > 4.2);
        assert!(mos(60.0, 0.2) < 2.5);
        assert!(mos(600.0, 0.0) < 3.2);
    }
}
