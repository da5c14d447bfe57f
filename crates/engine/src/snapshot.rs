//! Snapshots for the application, as JPEG.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jpeg_encoder::{ColorType, Encoder};
use media::video::convert;
use media::video::frame::VideoFrame;
use parking_lot::Mutex;
use serde_json::json;
use tokio::sync::oneshot;

use crate::engine::Reply;
use crate::error::code;

/// A source without a frame for this long has none.
const FRAME_TIMEOUT: Duration = Duration::from_secs(1);
/// JPEG quality of 100: visually close to the original.
const JPEG_QUALITY: u8 = 90;

/// Requests for the next frame of a source.
#[derive(Debug, Default)]
pub(crate) struct SnapshotRequests(Mutex<Vec<oneshot::Sender<VideoFrame>>>);

impl SnapshotRequests {
    /// Requests the next frame.
    pub(crate) fn next(&self) -> oneshot::Receiver<VideoFrame> {
        let (sender, receiver) = oneshot::channel();
        let mut wishes = self.0.lock();
        // A source without frames must not collect abandoned requests.
        wishes.retain(|wish| !wish.is_closed());
        wishes.push(sender);
        receiver
    }

    /// Answers all requests with this frame.
    pub(crate) fn answer_all(&self, frame: &VideoFrame) {
        for wish in self.0.lock().drain(..) {
            let _ = wish.send(frame.clone());
        }
    }
}

/// Answers `{errorCode, image}` with the next frame, or `failure` without one. Must be called on the runtime.
pub(crate) fn answer(picture: Option<oneshot::Receiver<VideoFrame>>, failure: i32, reply: Reply) {
    tokio::spawn(async move {
        let image = match picture {
            Some(picture) => match tokio::time::timeout(FRAME_TIMEOUT, picture).await {
                Ok(Ok(frame)) => tokio::task::spawn_blocking(move || jpeg(&frame)).await.ok().flatten(),
                _ => None,
            },
            None => None,
        };
        reply(match image {
            Some(image) => json!({"errorCode": code::SUCCESS, "image": image}),
            None => json!({"errorCode": failure, "image": ""}),
        });
    });
}

/// JPEG (ITU-T T.81, baseline) in base64.
fn jpeg(frame: &VideoFrame) -> Option<String> {
    let (width, height) = (frame.width(), frame.height());
    let mut rgba = vec![0; width as usize * height as usize * 4];
    convert::to_rgba(frame, &mut rgba).ok()?;
    let mut file = Vec::new();
    let size = (u16::try_from(width).ok()?, u16::try_from(height).ok()?);
    Encoder::new(&mut file, JPEG_QUALITY).encode(&rgba, size.0, size.1, ColorType::Rgba).ok()?;
    Some(STANDARD.encode(file))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use media::video::pattern::Pattern;
    use media::video::pool::FramePool;

    use super::*;

    #[test]
    fn a_frame_becomes_a_jpeg_file_of_its_size() {
        let frame = Pattern::new(64, 48).draw(&FramePool::new(), 1, 1, Instant::now());
        let file = STANDARD.decode(jpeg(&frame).unwrap()).unwrap();
        assert!(file.starts_with(&[0xff, 0xd8]) && file.ends_with(&[0xff, 0xd9]));
        // Start of frame: length, precision, height, width.
        let frame = file.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
        assert_eq!(file[frame + 5..frame + 9], [0, 48, 0, 64]);
    }
}
