//! Opus (RFC 6716), 48 kHz mono.

use super::SAMPLE_RATE;

/// Samples of one packet that we send: 20 ms.
pub const PACKET_SAMPLES: usize = 960;

/// Longest packet that Opus allows: 120 ms.
pub const MAX_PACKET_SAMPLES: usize = 5760;

/// Largest payload that is worth looking at, bytes; real ones stay under 1276 per frame.
pub const MAX_PAYLOAD_BYTES: usize = 4000;

/// Why libopus refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// Not an Opus packet.
    #[error("malformed Opus packet")]
    Malformed,
    /// The library reported an error.
    #[error("opus: {0}")]
    Library(String),
}

impl From<opus::Error> for CodecError {
    fn from(error: opus::Error) -> Self {
        match error.code() {
            opus::ErrorCode::InvalidPacket => Self::Malformed,
            _ => Self::Library(error.to_string()),
        }
    }
}

/// Encoder of one outgoing stream: in-band FEC on, DTX off.
pub struct OpusEncoder {
    inner: opus::Encoder,
}

impl OpusEncoder {
    /// Makes an encoder of `bitrate_bps` (6000..=510000), prepared for `expected_loss_percent` (0..=100) of lost packets.
    pub fn new(bitrate_bps: u32, expected_loss_percent: u8, dtx: bool) -> Result<Self, CodecError> {
        let mut inner = opus::Encoder::new(SAMPLE_RATE, opus::Channels::Mono, opus::Application::Voip)?;
        inner.set_inband_fec(true)?;
        let mut encoder = Self { inner };
        encoder.configure(bitrate_bps, expected_loss_percent, dtx)?;
        Ok(encoder)
    }

    /// Changes the settings between two packets; out-of-range values are brought into range.
    pub fn configure(&mut self, bitrate_bps: u32, expected_loss_percent: u8, dtx: bool) -> Result<(), CodecError> {
        let bitrate = i32::try_from(bitrate_bps.clamp(6_000, 510_000)).unwrap_or(48_000);
        self.inner.set_bitrate(opus::Bitrate::Bits(bitrate))?;
        self.inner.set_packet_loss_perc(i32::from(expected_loss_percent.min(100)))?;
        self.inner.set_dtx(dtx)?;
        Ok(())
    }

    /// Encodes 20 ms.
    pub fn encode(&mut self, samples: &[f32; PACKET_SAMPLES]) -> Result<bytes::Bytes, CodecError> {
        let mut out = [0u8; 1276];
        let length = self.inner.encode_float(samples, &mut out)?;
        Ok(bytes::Bytes::copy_from_slice(&out[..length.min(out.len())]))
    }
}

/// Decoder of one incoming stream. Stereo streams come out as mono.
pub struct OpusDecoder {
    inner: opus::Decoder,
}

impl OpusDecoder {
    /// Makes a decoder.
    pub fn new() -> Result<Self, CodecError> {
        Ok(Self { inner: opus::Decoder::new(SAMPLE_RATE, opus::Channels::Mono)? })
    }

    /// Decodes a packet into `out` (at least its [`packet_samples`]); gives the number of samples.
    pub fn decode(&mut self, payload: &[u8], out: &mut [f32]) -> Result<usize, CodecError> {
        // An empty payload would mean "lost" to libopus.
        if payload.is_empty() || payload.len() > MAX_PAYLOAD_BYTES {
            return Err(CodecError::Malformed);
        }
        Ok(self.inner.decode_float(payload, out, false)?.min(out.len()))
    }

    /// Decodes what `next` (the packet after the lost one) carries of the lost one; fills all of `out`, which is as long as
    /// the lost packet. Without redundancy inside, libopus conceals instead.
    pub fn recover(&mut self, next: &[u8], out: &mut [f32]) -> Result<(), CodecError> {
        if next.is_empty() || next.len() > MAX_PAYLOAD_BYTES {
            return Err(CodecError::Malformed);
        }
        self.inner.decode_float(next, out, true)?;
        Ok(())
    }

    /// Invents what was lost, fading out over some 100 ms; `out` is a multiple of 2.5 ms.
    pub fn conceal(&mut self, out: &mut [f32]) -> Result<(), CodecError> {
        self.inner.decode_float(&[], out, false)?;
        Ok(())
    }

    /// Forgets the past, for a new stream.
    pub fn reset(&mut self) {
        // Cannot fail on a live decoder; if it did, the old state only costs a click.
        let _ = self.inner.reset_state();
    }
}

/// Samples at 48 kHz that a packet decodes to (120..=5760), read from its table of contents.
pub fn packet_samples(payload: &[u8]) -> Option<usize> {
    if payload.is_empty() || payload.len() > MAX_PAYLOAD_BYTES {
        return None;
    }
    opus::packet::get_nb_samples(payload, SAMPLE_RATE).ok().filter(|n| (120..=MAX_PACKET_SAMPLES).contains(n))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::level::{rms_dbfs, tone_amplitude};
    use super::super::tone;
    use super::*;

    fn hum(packet: u64) -> [f32; PACKET_SAMPLES] {
        let mut samples = [0.0; PACKET_SAMPLES];
        tone::fill(Duration::from_millis(200 + packet * 20), &mut samples);
        samples
    }

    #[test]
    fn a_tone_survives_encoding() {
        let mut encoder = OpusEncoder::new(48_000, 5, false).unwrap();
        let mut decoder = OpusDecoder::new().unwrap();
        let mut heard = Vec::new();
        for packet in 0..30 {
            let data = encoder.encode(&hum(packet)).unwrap();
            assert_eq!(packet_samples(&data), Some(PACKET_SAMPLES));
            let mut out = [0.0; MAX_PACKET_SAMPLES];
            let length = decoder.decode(&data, &mut out).unwrap();
            heard.extend_from_slice(&out[..length]);
        }
        let amplitude = tone_amplitude(&heard[9600..14400], 440.0);
        assert!((0.08..0.12).contains(&amplitude), "{amplitude}");
    }

    /// A voice that says a word of 0.3 s at the end of every 1.21 s.
    fn onset(packet: usize) -> [f32; PACKET_SAMPLES] {
        std::array::from_fn(|index| {
            let at = (packet * PACKET_SAMPLES + index) as f64 / 48_000.0;
            let voice: f64 =
                (1..12).map(|k| (std::f64::consts::TAU * 140.0 * f64::from(k) * at).sin() / f64::from(k)).sum();
            let speaking = at % 1.21 > 1.21 - 0.3;
            if speaking { (0.1 * voice) as f32 } else { 0.0 }
        })
    }

    #[test]
    fn the_beginning_of_a_word_is_recovered_from_the_next_packet() {
        let mut encoder = OpusEncoder::new(48_000, 5, false).unwrap();
        let (mut with, mut without) = (OpusDecoder::new().unwrap(), OpusDecoder::new().unwrap());
        let mut out = [0.0; PACKET_SAMPLES];
        // The first word begins at 0.91 s, in packet 45.
        for packet in 0..=46 {
            let data = encoder.encode(&onset(packet)).unwrap();
            match packet {
                45 => {}
                46 => {
                    with.recover(&data, &mut out).unwrap();
                    let recovered = rms_dbfs(&out);
                    without.conceal(&mut out).unwrap();
                    let concealed = rms_dbfs(&out);
                    assert!(recovered > concealed + 40.0, "{recovered} dBFS, concealed {concealed} dBFS");
                }
                _ => {
                    with.decode(&data, &mut out).unwrap();
                    without.decode(&data, &mut out).unwrap();
                }
            }
        }
    }

    #[test]
    fn an_empty_or_huge_payload_is_malformed() {
        let mut decoder = OpusDecoder::new().unwrap();
        let mut out = [0.0; MAX_PACKET_SAMPLES];
        assert_eq!(decoder.decode(&[], &mut out), Err(CodecError::Malformed));
        assert_eq!(decoder.decode(&[0; MAX_PAYLOAD_BYTES + 1], &mut out), Err(CodecError::Malformed));
        assert_eq!(packet_samples(&[]), None);
    }
}
