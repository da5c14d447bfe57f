//! The device's realtime thread: moves samples through a ring, and nothing else. No locks, no allocation, no logs.

use std::sync::Arc;

use cpal::{FromSample, Sample, SizedSample};

use super::stream::{CHANNELS, StreamStatus};

/// Writes a microphone's samples into a ring, as stereo.
pub(crate) struct IntoRing {
    pub(crate) samples: rtrb::Producer<f32>,
    /// Of the device.
    pub(crate) channels: usize,
    pub(crate) status: Arc<StreamStatus>,
}

impl IntoRing {
    /// Writes the samples of one callback. Samples that do not fit are dropped and counted.
    pub(crate) fn take<T: SizedSample>(&mut self, data: &[T])
    where
        f32: FromSample<T>,
    {
        let channels = self.channels.max(1);
        let frames = data.len() / channels;
        let room = frames.min(self.samples.slots() / CHANNELS);
        // Only the first two channels: the others of large interfaces are seldom microphones.
        let right = usize::from(channels > 1);
        if let Ok(chunk) = self.samples.write_chunk_uninit(room * CHANNELS) {
            let pair = |frame: &[T]| [f32::from_sample(frame[0]), f32::from_sample(frame[right])];
            chunk.fill_from_iter(data.chunks_exact(channels).flat_map(pair));
        }
        self.status.on_callback(frames, frames - room);
    }
}

/// Feeds a speaker from a ring: left and right on the first two channels, their mean on all others and on a single one.
pub(crate) struct FromRing {
    pub(crate) samples: rtrb::Consumer<f32>,
    /// Of the device.
    pub(crate) channels: usize,
    pub(crate) status: Arc<StreamStatus>,
}

impl FromRing {
    /// Fills the buffer of one callback. Missing samples are silence, and counted.
    pub(crate) fn give<T: SizedSample + FromSample<f32>>(&mut self, data: &mut [T]) {
        let channels = self.channels.max(1);
        let frames = data.len() / channels;
        let ready = frames.min(self.samples.slots() / CHANNELS);
        let (filled, rest) = data.split_at_mut(ready * channels);
        if let Ok(chunk) = self.samples.read_chunk(ready * CHANNELS) {
            let mut samples = chunk.into_iter();
            for frame in filled.chunks_exact_mut(channels) {
                let (left, right) = (samples.next().unwrap_or(0.0), samples.next().unwrap_or(0.0));
                frame.fill(T::from_sample((left + right) / 2.0));
                if let [first, second, ..] = frame {
                    (*first, *second) = (T::from_sample(left), T::from_sample(right));
                }
            }
        }
        rest.fill(T::EQUILIBRIUM);
        self.status.on_callback(frames, frames - ready);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use assert_no_alloc::{assert_no_alloc, violation_count};

    use super::*;

    fn microphone(room: usize, channels: usize) -> (IntoRing, rtrb::Consumer<f32>) {
        let (samples, reader) = rtrb::RingBuffer::new(room);
        (IntoRing { samples, channels, status: Arc::default() }, reader)
    }

    fn speaker(waiting: &[f32], channels: usize) -> FromRing {
        let (mut writer, samples) = rtrb::RingBuffer::new(1024);
        let (_, rest) = writer.push_partial_slice(waiting);
        assert!(rest.is_empty());
        FromRing { samples, channels, status: Arc::default() }
    }

    #[test]
    fn the_first_two_channels_of_a_microphone_are_taken() {
        let (mut callback, mut reader) = microphone(8, 4);
        callback.take(&[0.2f32, 0.4, 9.0, 9.0, -0.2, 0.0, 9.0, 9.0]);
        let heard: Vec<f32> = std::iter::from_fn(|| reader.pop().ok()).collect();
        assert_eq!(heard, [0.2, 0.4, -0.2, 0.0]);
    }

    #[test]
    fn a_microphone_with_one_channel_is_heard_on_both_sides() {
        let (mut callback, mut reader) = microphone(8, 1);
        callback.take(&[0.5f32, -0.5]);
        let heard: Vec<f32> = std::iter::from_fn(|| reader.pop().ok()).collect();
        assert_eq!(heard, [0.5, 0.5, -0.5, -0.5]);
    }

    #[test]
    fn a_speaker_with_one_channel_plays_both_sides_and_one_with_many_the_first_two_apart() {
        let mut one = [7.0f32; 1];
        speaker(&[0.5, 0.25], 1).give(&mut one);
        assert_eq!(one, [0.375]);
        let mut four = [7.0f32; 4];
        speaker(&[0.5, 0.25], 4).give(&mut four);
        assert_eq!(four, [0.5, 0.25, 0.375, 0.375]);
    }

    #[test]
    fn what_a_full_ring_cannot_take_is_counted() {
        let (mut callback, _reader) = microphone(6, 1);
        callback.take(&[1i16; 5]);
        assert_eq!(callback.status.missed_frames.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_speaker_that_asks_for_more_than_there_is_gets_silence() {
        let mut callback = speaker(&[0.5, 0.5, 0.25, 0.25], 2);
        let mut data = [7.0f32; 8];
        callback.give(&mut data);
        assert_eq!(data, [0.5, 0.5, 0.25, 0.25, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(callback.status.missed_frames.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_callback_of_any_length_does_not_panic() {
        let (mut microphone, _reader) = microphone(16, 2);
        let mut speaker = speaker(&[0.5; 20], 3);
        for length in 0..40 {
            microphone.take(&vec![u16::MAX; length]);
            speaker.give(&mut vec![0u8; length]);
        }
    }

    #[test]
    fn the_realtime_threads_neither_allocate_nor_free() {
        let (mut microphone, mut reader) = microphone(2048, 2);
        let mut speaker = speaker(&[0.5; 700], 2);
        let (brought, mut asked) = ([0.1f32; 960], [0i16; 960]);
        assert_no_alloc(|| {
            for _ in 0..10 {
                microphone.take(&brought);
                speaker.give(&mut asked);
                while reader.pop().is_ok() {}
            }
        });
        assert_eq!(violation_count(), 0);
        // So that the guard is known to work.
        assert_no_alloc(|| drop(std::hint::black_box(Vec::<u8>::with_capacity(1))));
        assert!(violation_count() > 0);
    }
}
