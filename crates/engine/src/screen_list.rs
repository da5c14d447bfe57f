//! The list of screens and windows for the application, with thumbnails as PNG in base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use media::video::screen::{self, RgbaImage, ScreenSource};
use png::{BitDepth, ColorType, Compression, EncodingError};
use serde_json::{Value, json};

use crate::engine::Reply;
use crate::error::{EngineError, code};
use crate::runtime::runtime;
use crate::screen_sources::id_and_type;

/// Upper bound of a thumbnail's longer side, in pixels.
const MAX_SIDE: u32 = 4096;

/// Answers `{errorCode, sources}`, or `{errorCode, message}` where nothing can be captured. Sizes in pixels.
pub(crate) fn answer(thumbnail: (u32, u32), icon: (u32, u32), reply: Reply) -> Result<(), EngineError> {
    let sane = |(width, height): (u32, u32)| (width.min(MAX_SIDE), height.min(MAX_SIDE));
    runtime()?.spawn_blocking(move || {
        reply(match screen::list(sane(thumbnail), sane(icon)) {
            Ok(sources) => {
                json!({"errorCode": code::SUCCESS, "sources": sources.iter().map(entry).collect::<Vec<_>>()})
            }
            Err(error) => {
                let error = EngineError::from(error);
                json!({"errorCode": error.code, "message": error.message})
            }
        });
    });
    Ok(())
}

/// `ZegoScreenCaptureSourceInfo`.
fn entry(source: &ScreenSource) -> Value {
    let (id, kind) = id_and_type(source.target);
    json!({
        "sourceType": kind,
        "sourceID": id,
        "sourceName": source.name,
        "thumbnailImage": image(source.thumbnail.as_ref()),
        "iconImage": image(source.icon.as_ref()),
    })
}

/// `ZegoImageBuffer`; empty without an image.
fn image(image: Option<&RgbaImage>) -> Value {
    let file = image.and_then(|image| {
        let file = file(image).inspect_err(|error| tracing::warn!(%error, "a picture became no PNG file")).ok()?;
        Some((STANDARD.encode(file), image.width, image.height))
    });
    let (buffer, width, height) = file.unwrap_or_default();
    json!({"buffer": buffer, "width": width, "height": height})
}

/// PNG (ISO/IEC 15948).
fn file(image: &RgbaImage) -> Result<Vec<u8>, EncodingError> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, image.width, image.height);
    encoder.set_color(ColorType::Rgba);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_compression(Compression::Fast);
    encoder.write_header()?.write_image_data(&image.pixels)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use media::video::screen::ScreenTarget;

    use super::*;

    #[test]
    fn a_window_without_a_thumbnail_has_an_empty_one() {
        let thumbnail = RgbaImage { width: 2, height: 1, pixels: vec![255; 8] };
        let source = ScreenSource {
            target: ScreenTarget::Window(7),
            name: "Editor".to_owned(),
            thumbnail: Some(thumbnail),
            icon: None,
        };
        let entry = entry(&source);
        assert_eq!(
            (&entry["sourceType"], &entry["sourceID"], &entry["sourceName"]),
            (&json!(1), &json!(7), &json!("Editor"))
        );
        assert_eq!(entry["iconImage"], json!({"buffer": "", "width": 0, "height": 0}));
        let thumbnail = &entry["thumbnailImage"];
        assert_eq!((&thumbnail["width"], &thumbnail["height"]), (&json!(2), &json!(1)));
        let file = STANDARD.decode(thumbnail["buffer"].as_str().unwrap()).unwrap();
        assert!(file.starts_with(b"\x89PNG\r\n"));
    }
}
