//! Memory of a ring: looks up the buffers of three JS arrays and keeps them alive.

use std::ptr;

use napi::bindgen_prelude::Unknown;
use napi::{Env, Error, JsValue, Result, Status, sys};

use crate::frame_ring::{SLOTS, SlotMemory};

/// Three buffers of a ring, and the references that keep them alive.
pub struct RingMemory {
    /// Address and length of each.
    pub slots: [SlotMemory; SLOTS],
    /// Strong references to the buffers.
    pub references: BufferReferences,
}

/// Strong references to array buffers of one environment, released on its thread with [`BufferReferences::release`];
/// an environment that ends releases them itself.
pub struct BufferReferences(Vec<sys::napi_ref>);

// SAFETY: the references are only created and released in functions that JS calls, on the environment's thread.
unsafe impl Send for BufferReferences {}

impl BufferReferences {
    /// Releases the buffers. Only after the ring over them was closed.
    pub fn release(self, env: &Env) {
        for reference in self.0 {
            // SAFETY: created by `ring_memory` in this environment, and released once.
            unsafe { sys::napi_delete_reference(env.raw(), reference) };
        }
    }
}

/// Memory of three `Uint8ClampedArray`s, with references that keep it alive.
pub fn ring_memory(env: &Env, arrays: &[Unknown]) -> Result<RingMemory> {
    if arrays.len() != SLOTS {
        return Err(Error::new(Status::InvalidArg, format!("a ring has {SLOTS} buffers")));
    }
    let mut references = BufferReferences(Vec::with_capacity(SLOTS));
    let mut slots = [SlotMemory { address: ptr::null_mut(), length: 0 }; SLOTS];
    for (slot, array) in slots.iter_mut().zip(arrays) {
        match keep_array(env, array) {
            Ok((memory, reference)) => {
                *slot = memory;
                references.0.push(reference);
            }
            Err(error) => {
                references.release(env);
                return Err(error);
            }
        }
    }
    Ok(RingMemory { slots, references })
}

fn keep_array(env: &Env, array: &Unknown) -> Result<(SlotMemory, sys::napi_ref)> {
    let refused = |what: &str| Error::new(Status::InvalidArg, format!("not a buffer for frames: {what}"));
    let (mut kind, mut length, mut address) = (0, 0, ptr::null_mut());
    let (mut buffer, mut offset) = (ptr::null_mut(), 0);
    // SAFETY: the value is of this environment, and Node answers a value of another type with a status.
    let status = unsafe {
        sys::napi_get_typedarray_info(
            env.raw(),
            array.raw(),
            &mut kind,
            &mut length,
            &mut address,
            &mut buffer,
            &mut offset,
        )
    };
    if status != sys::Status::napi_ok || kind != sys::TypedarrayType::uint8_clamped_array {
        return Err(refused("it is no Uint8ClampedArray"));
    }
    let (mut start, mut room) = (ptr::null_mut(), 0);
    // SAFETY: the array's own buffer, from the call above.
    let status = unsafe { sys::napi_get_arraybuffer_info(env.raw(), buffer, &mut start, &mut room) };
    // Arrays of up to 64 bytes may lie in V8's moving heap; a part of a larger buffer never does.
    if status != sys::Status::napi_ok || address.is_null() || room <= 64 {
        return Err(refused("it is detached or too small"));
    }
    let mut reference = ptr::null_mut();
    // SAFETY: `buffer` is the array's own buffer, given by Node above.
    let status = unsafe { sys::napi_create_reference(env.raw(), buffer, 1, &mut reference) };
    if status != sys::Status::napi_ok {
        return Err(refused("it cannot be kept"));
    }
    Ok((SlotMemory { address: address.cast(), length }, reference))
}
