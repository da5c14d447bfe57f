//! libvpx's VP8 decoder in safe words. Only the few calls that a decoder without threads needs.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_int};
use std::marker::PhantomData;
use std::ptr::{null, null_mut};

use vpx_sys::{
    VPX_DECODER_ABI_VERSION, vp8_dec_control_id, vpx_codec_control_, vpx_codec_ctx_t, vpx_codec_dec_cfg_t,
    vpx_codec_dec_init_ver, vpx_codec_decode, vpx_codec_destroy, vpx_codec_err_t, vpx_codec_err_to_string,
    vpx_codec_get_frame, vpx_codec_vp8_dx, vpx_img_fmt,
};

/// One decoder.
pub(super) struct Library {
    /// The library keeps pointers into it.
    context: Box<vpx_codec_ctx_t>,
    /// It may move to another thread but is used by one at a time.
    not_shared: PhantomData<*mut ()>,
}

// SAFETY: libvpx has no state of threads; a context may be used by any one thread at a time, and `&mut self` sees to that.
unsafe impl Send for Library {}

/// A decoded frame in the library's memory, until the next call.
pub(super) struct Picture<'a> {
    pub(super) width: u32,
    pub(super) height: u32,
    /// Y, U and V, chroma at half the size (rounded up); the last row of each ends with its last sample.
    pub(super) planes: [&'a [u8]; 3],
    pub(super) strides: [usize; 3],
}

fn check(result: vpx_codec_err_t) -> Result<(), String> {
    if result == vpx_codec_err_t::VPX_CODEC_OK {
        return Ok(());
    }
    // SAFETY: the function takes any code and gives a text that lives as long as the program.
    let text = unsafe { CStr::from_ptr(vpx_codec_err_to_string(result)) };
    Err(text.to_string_lossy().into_owned())
}

impl Library {
    pub(super) fn new() -> Result<Self, String> {
        let config = vpx_codec_dec_cfg_t { threads: 1, w: 0, h: 0 };
        // SAFETY: a context is plain data, and all zeros is how the library wants it before it is set up.
        let mut context: Box<vpx_codec_ctx_t> = Box::new(unsafe { std::mem::zeroed() });
        // SAFETY: both pointers are valid during the call; the library copies the configuration.
        check(unsafe {
            vpx_codec_dec_init_ver(&mut *context, vpx_codec_vp8_dx(), &config, 0, VPX_DECODER_ABI_VERSION as c_int)
        })?;
        Ok(Self { context, not_shared: PhantomData })
    }

    /// Decodes one frame; `None` if it is not to be shown.
    pub(super) fn decode(&mut self, data: &[u8]) -> Result<Option<Picture<'_>>, String> {
        let length = u32::try_from(data.len()).map_err(|_| "too long".to_owned())?;
        // SAFETY: the context is set up, the data is valid during the call, and the library keeps no pointer to it.
        check(unsafe { vpx_codec_decode(&mut *self.context, data.as_ptr(), length, null_mut(), 0) })?;
        let mut corrupted: c_int = 0;
        let question = vp8_dec_control_id::VP8D_GET_FRAME_CORRUPTED as c_int;
        // SAFETY: this question takes a pointer to an int, which is valid during the call.
        check(unsafe { vpx_codec_control_(&mut *self.context, question, &raw mut corrupted) })?;
        if corrupted != 0 {
            return Err("corrupted".to_owned());
        }
        let mut iterator = null();
        // SAFETY: the context is set up; the result is null or an image of the context that is valid until its next use,
        // which `&mut self` keeps away for as long as the frame lives.
        let Some(image) = (unsafe { vpx_codec_get_frame(&mut *self.context, &raw mut iterator).as_ref() }) else {
            return Ok(None);
        };
        if image.fmt != vpx_img_fmt::VPX_IMG_FMT_I420 || image.d_w == 0 || image.d_h == 0 {
            return Err("no I420".to_owned());
        }
        let (width, height) = (image.d_w as usize, image.d_h as usize);
        let sizes = [(width, height), (width.div_ceil(2), height.div_ceil(2)), (width.div_ceil(2), height.div_ceil(2))];
        let (mut planes, mut strides) = ([&[][..]; 3], [0; 3]);
        for (index, (columns, rows)) in sizes.into_iter().enumerate() {
            let stride = usize::try_from(image.stride[index]).ok().filter(|stride| *stride >= columns);
            let stride = stride.filter(|_| !image.planes[index].is_null()).ok_or("no planes")?;
            strides[index] = stride;
            // SAFETY: a plane holds all of its rows, `stride` bytes apart, each with `columns` samples.
            planes[index] = unsafe { std::slice::from_raw_parts(image.planes[index], stride * (rows - 1) + columns) };
        }
        Ok(Some(Picture { width: image.d_w, height: image.d_h, planes, strides }))
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        // SAFETY: it was set up and is not used after this.
        unsafe { vpx_codec_destroy(&mut *self.context) };
    }
}
