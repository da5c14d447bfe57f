//! Reads pixels from the X server: through a file in shared memory if it offers one, otherwise over the connection.

use std::fs::File;
use std::os::unix::fs::FileExt;

use x11rb::connection::Connection;
use x11rb::errors::ReplyOrIdError;
use x11rb::protocol::shm::{self, ConnectionExt as _};
use x11rb::protocol::xproto::{ConnectionExt as _, Drawable, ImageFormat};
use x11rb::rust_connection::RustConnection;

use super::super::area::Area;
use super::super::pixels::Pixels;
use super::pixel_layout::PixelLayout;

const ALL_PLANES: u32 = !0;

/// Memory that the X server writes frames into. Read like a file: mapping it would need unsafe code, and the copy is needed
/// anyway, to find changes.
struct Segment {
    id: shm::Seg,
    file: File,
    bytes: u32,
    /// A frame whose pixels lie otherwise than ours.
    raw: Vec<u8>,
}

/// Reads rectangles of drawables.
#[derive(Default)]
pub(super) struct ImageReader {
    segment: Option<Segment>,
    /// The server does not share memory: it is elsewhere, or too old.
    sends_only: bool,
}

impl ImageReader {
    /// Reads a rectangle that lies within the drawable. An answer in another pixel format is `Ok(false)`.
    pub(super) fn read(
        &mut self,
        connection: &RustConnection,
        drawable: Drawable,
        area: Area,
        into: &mut Pixels,
    ) -> Result<bool, ReplyOrIdError> {
        let data = into.reset(area.width, area.height);
        let (Ok(x), Ok(y)) = (i16::try_from(area.x), i16::try_from(area.y)) else { return Ok(false) };
        let (Ok(width), Ok(height)) = (u16::try_from(area.width), u16::try_from(area.height)) else {
            return Ok(false);
        };
        if !self.sends_only {
            match self.segment(connection, data.len()) {
                Ok(segment) => {
                    let request = connection.shm_get_image(
                        drawable,
                        x,
                        y,
                        width,
                        height,
                        ALL_PLANES,
                        ImageFormat::Z_PIXMAP.into(),
                        segment.id,
                        0,
                    )?;
                    let reply = request.reply()?;
                    let Some(layout) = PixelLayout::of_depth(connection.setup(), reply.depth) else { return Ok(false) };
                    let len = layout.len(area.width as usize, area.height as usize);
                    if reply.size as usize != len || len > segment.bytes as usize {
                        return Ok(false);
                    }
                    if layout.is_ours() {
                        return Ok(len == data.len() && segment.file.read_exact_at(data, 0).is_ok());
                    }
                    segment.raw.resize(len, 0);
                    let read = segment.file.read_exact_at(&mut segment.raw, 0).is_ok();
                    layout.convert(&segment.raw, area.width as usize, data);
                    return Ok(read);
                }
                Err(error) => {
                    tracing::debug!(%error, "the X server shares no memory");
                    self.sends_only = true;
                }
            }
        }
        let request = connection.get_image(ImageFormat::Z_PIXMAP, drawable, x, y, width, height, ALL_PLANES)?;
        let reply = request.reply()?;
        let Some(layout) = PixelLayout::of_depth(connection.setup(), reply.depth) else { return Ok(false) };
        let fits = reply.data.len() == layout.len(area.width as usize, area.height as usize);
        match fits {
            true if layout.is_ours() => data.copy_from_slice(&reply.data),
            true => layout.convert(&reply.data, area.width as usize, data),
            false => {}
        }
        Ok(fits)
    }

    fn segment(&mut self, connection: &RustConnection, bytes: usize) -> Result<&mut Segment, ReplyOrIdError> {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let segment = match self.segment.take() {
            Some(segment) if segment.bytes >= bytes => segment,
            former => {
                if let Some(former) = former {
                    connection.shm_detach(former.id)?.ignore_error();
                }
                let id = connection.generate_id()?;
                let reply = connection.shm_create_segment(id, bytes, false)?.reply()?;
                Segment { id, file: File::from(reply.shm_fd), bytes, raw: Vec::new() }
            }
        };
        Ok(self.segment.insert(segment))
    }
}
