//! Decodes one stream of Opus into one channel, or into two from the first packet on that has two.

use super::codec::{CodecError, MAX_PACKET_SAMPLES, OpusDecoder, is_stereo};

/// The last decoded audio is in [`left`](Self::left) and [`right`](Self::right), which are the same while it is mono.
pub(crate) struct StreamDecoder {
    inner: OpusDecoder,
    is_stereo: bool,
    /// As libopus returns two channels.
    interleaved: Vec<f32>,
    left: Vec<f32>,
    right: Vec<f32>,
}

impl StreamDecoder {
    pub(crate) fn new() -> Result<Self, CodecError> {
        Ok(Self {
            inner: OpusDecoder::new()?,
            is_stereo: false,
            interleaved: Vec::new(),
            left: vec![0.0; MAX_PACKET_SAMPLES],
            right: Vec::new(),
        })
    }

    /// Whether there are two channels. Once there are they stay.
    pub(crate) fn is_stereo(&self) -> bool {
        self.is_stereo
    }

    /// Decodes a packet; returns the number of samples.
    pub(crate) fn decode(&mut self, payload: &[u8]) -> Result<usize, CodecError> {
        if is_stereo(payload) && !self.is_stereo {
            self.inner = OpusDecoder::stereo()?;
            self.is_stereo = true;
            self.interleaved = vec![0.0; 2 * MAX_PACKET_SAMPLES];
            self.right = vec![0.0; MAX_PACKET_SAMPLES];
        }
        self.run(MAX_PACKET_SAMPLES, |inner, out| inner.decode(payload, out))
    }

    /// Decodes the in-band copy in `next` of the packet before it, which has `samples`.
    pub(crate) fn recover(&mut self, next: &[u8], samples: usize) -> Result<(), CodecError> {
        self.run(samples, |inner, out| inner.recover(next, out).map(|()| samples)).map(drop)
    }

    /// Conceals a loss; `samples` is a multiple of 2.5 ms. Silence, if that fails.
    pub(crate) fn conceal(&mut self, samples: usize) {
        if self.run(samples, |inner, out| inner.conceal(out).map(|()| samples)).is_err() {
            [&mut self.left, &mut self.right].into_iter().for_each(|side| side.fill(0.0));
        }
    }

    /// Forgets the past, for a new stream.
    pub(crate) fn reset(&mut self) {
        self.inner.reset();
    }

    pub(crate) fn left(&self, samples: usize) -> &[f32] {
        &self.left[..samples.min(self.left.len())]
    }

    pub(crate) fn right(&self, samples: usize) -> &[f32] {
        if self.is_stereo { &self.right[..samples.min(self.right.len())] } else { self.left(samples) }
    }

    /// Lets the decoder write up to `samples` of each channel.
    fn run(
        &mut self,
        samples: usize,
        decode: impl FnOnce(&mut OpusDecoder, &mut [f32]) -> Result<usize, CodecError>,
    ) -> Result<usize, CodecError> {
        let samples = samples.min(MAX_PACKET_SAMPLES);
        if !self.is_stereo {
            return decode(&mut self.inner, &mut self.left[..samples]);
        }
        let decoded = decode(&mut self.inner, &mut self.interleaved[..2 * samples])?;
        for (at, pair) in self.interleaved.chunks_exact(2).take(decoded).enumerate() {
            (self.left[at], self.right[at]) = (pair[0], pair[1]);
        }
        Ok(decoded)
    }
}
