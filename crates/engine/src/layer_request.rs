//! Which layer of a remote video a player requests from the room server.

use media::video::sink::FrameSink;
use protocol::messages::{UpdateTrackSettings, VideoQuality};

/// `ZegoVideoStreamType`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum VideoStreamType {
    /// As the view needs it.
    #[default]
    Default = 0,
    Small = 1,
    Big = 2,
}

impl VideoStreamType {
    pub(crate) fn from_number(kind: u32) -> Option<Self> {
        match kind {
            0 => Some(Self::Default),
            1 => Some(Self::Small),
            2 => Some(Self::Big),
            _ => None,
        }
    }
}

/// The layer that a player requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum LayerRequest {
    /// The server's default.
    #[default]
    Best,
    Smallest,
    /// No video at all.
    Nothing,
    /// The smallest layer that has at least this size.
    Size {
        width: u32,
        height: u32,
    },
}

impl LayerRequest {
    /// The request for the application's choice and the view.
    pub(crate) fn of(kind: VideoStreamType, view: Option<&dyn FrameSink>) -> Self {
        match kind {
            VideoStreamType::Big => Self::Best,
            VideoStreamType::Small => Self::Smallest,
            VideoStreamType::Default => match view.and_then(FrameSink::shown_size) {
                // Hidden: the smallest is there at once when it is shown again.
                Some((0, _) | (_, 0)) => Self::Smallest,
                Some((width, height)) => Self::Size { width, height },
                None => Self::Best,
            },
        }
    }

    /// The message with this request.
    pub(crate) fn settings(self, track_sid: &str) -> UpdateTrackSettings {
        let mut settings = UpdateTrackSettings {
            track_sids: vec![track_sid.to_owned()],
            quality: VideoQuality::High as i32,
            ..UpdateTrackSettings::default()
        };
        match self {
            Self::Best => {}
            Self::Nothing => settings.disabled = true,
            Self::Smallest => settings.quality = VideoQuality::Low as i32,
            Self::Size { width, height } => (settings.width, settings.height) = (width, height),
        }
        settings
    }
}

#[cfg(test)]
mod tests {
    use media::video::frame::VideoFrame;

    use super::*;

    struct Tile(Option<(u32, u32)>);

    impl FrameSink for Tile {
        fn on_frame(&self, _frame: &VideoFrame) {}

        fn shown_size(&self) -> Option<(u32, u32)> {
            self.0
        }
    }

    #[test]
    fn a_view_gets_the_layer_that_fills_it() {
        let of = |shown| LayerRequest::of(VideoStreamType::Default, Some(&Tile(shown)));
        assert_eq!(of(Some((320, 180))), LayerRequest::Size { width: 320, height: 180 });
        assert_eq!(of(Some((0, 0))), LayerRequest::Smallest);
        assert_eq!(of(None), LayerRequest::Best);
        assert_eq!(LayerRequest::of(VideoStreamType::Default, None), LayerRequest::Best);
    }

    #[test]
    fn the_applications_choice_overrides_the_view() {
        let tile = Tile(Some((320, 180)));
        assert_eq!(LayerRequest::of(VideoStreamType::Big, Some(&tile)), LayerRequest::Best);
        assert_eq!(LayerRequest::of(VideoStreamType::Small, None).settings("TR_v").quality, VideoQuality::Low as i32);
    }
}
