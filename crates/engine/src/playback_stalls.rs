//! When a played stream stalls and when it goes on: `onPlayerMediaEvent`. Pure.

/// `ZegoPlayerMediaEvent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MediaEvent {
    AudioBreakOccur = 0,
    AudioBreakResume = 1,
    VideoBreakOccur = 2,
    VideoBreakResume = 3,
}

/// One kind of media of one stream, looked at every second.
#[derive(Clone, Copy, Debug, Default)]
struct Flow {
    /// The count at the last check.
    count: u64,
    is_broken: bool,
}

impl Flow {
    /// Compares the count with that of the last check. `is_due`: more should have arrived. Returns the stall's begin or end.
    fn look(&mut self, count: u64, is_due: bool) -> Option<bool> {
        let came = std::mem::replace(&mut self.count, count) != count;
        // Media that never began cannot stall, and may pause while none is due.
        let is_broken = if came { false } else { self.is_broken || (is_due && count > 0) };
        (std::mem::replace(&mut self.is_broken, is_broken) != is_broken).then_some(is_broken)
    }
}

/// Watches one played stream.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct StallDetector {
    audio: Flow,
    video: Flow,
}

impl StallDetector {
    /// The check of this second: audio and video that have arrived, and whether each should have.
    pub(crate) fn look(&mut self, audio: (u64, bool), video: (u64, bool)) -> Vec<MediaEvent> {
        let audio = self
            .audio
            .look(audio.0, audio.1)
            .map(|is_broken| if is_broken { MediaEvent::AudioBreakOccur } else { MediaEvent::AudioBreakResume });
        let video = self
            .video
            .look(video.0, video.1)
            .map(|is_broken| if is_broken { MediaEvent::VideoBreakOccur } else { MediaEvent::VideoBreakResume });
        audio.into_iter().chain(video).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::MediaEvent::*;
    use super::*;

    #[test]
    fn a_stall_and_its_end_are_reported_once() {
        let mut watch = StallDetector::default();
        let mut look = |audio, video| watch.look((audio, true), (video, true));
        assert_eq!(look(0, 0), [], "it has not begun");
        assert_eq!(look(50, 15), []);
        assert_eq!(look(100, 15), [VideoBreakOccur]);
        assert_eq!(look(100, 15), [AudioBreakOccur]);
        assert_eq!(look(100, 15), []);
        assert_eq!(look(150, 30), [AudioBreakResume, VideoBreakResume]);
    }

    #[test]
    fn a_muted_or_static_stream_does_not_stall() {
        let mut watch = StallDetector::default();
        assert_eq!(watch.look((50, true), (15, true)), []);
        assert_eq!(watch.look((50, false), (15, false)), []);
        assert_eq!(watch.look((50, false), (15, false)), []);
        assert_eq!(watch.look((60, true), (20, true)), []);
    }
}
