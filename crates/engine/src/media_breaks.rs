//! When a played stream stands still, and when it goes on: `onPlayerMediaEvent`. No clock and no I/O.

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
    /// What had come at the last look.
    count: u64,
    is_broken: bool,
}

impl Flow {
    /// Takes how much has come by now. `is_due` says whether more should have. Gives whether a break began or ended.
    fn look(&mut self, count: u64, is_due: bool) -> Option<bool> {
        let came = std::mem::replace(&mut self.count, count) != count;
        // What never began cannot break, and what is not due may stand still.
        let is_broken = if came { false } else { self.is_broken || (is_due && count > 0) };
        (std::mem::replace(&mut self.is_broken, is_broken) != is_broken).then_some(is_broken)
    }
}

/// Watches one played stream.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BreakWatch {
    audio: Flow,
    video: Flow,
}

impl BreakWatch {
    /// The look of this second: sound and pictures that have come, and whether each should still come.
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
    fn a_break_is_told_once_and_so_is_its_end() {
        let mut watch = BreakWatch::default();
        let mut look = |audio, video| watch.look((audio, true), (video, true));
        assert_eq!(look(0, 0), [], "it has not begun");
        assert_eq!(look(50, 15), []);
        assert_eq!(look(100, 15), [VideoBreakOccur]);
        assert_eq!(look(100, 15), [AudioBreakOccur]);
        assert_eq!(look(100, 15), []);
        assert_eq!(look(150, 30), [AudioBreakResume, VideoBreakResume]);
    }

    #[test]
    fn a_stream_that_is_muted_or_rests_does_not_break() {
        let mut watch = BreakWatch::default();
        assert_eq!(watch.look((50, true), (15, true)), []);
        assert_eq!(watch.look((50, false), (15, false)), []);
        assert_eq!(watch.look((50, false), (15, false)), []);
        assert_eq!(watch.look((60, true), (20, true)), []);
    }
}
