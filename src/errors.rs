//! Errors of the engine as JS errors whose `code` is the documented number.

use engine::EngineError;
use napi::bindgen_prelude::JsObjectValue;
use napi::{Env, Error, JsValue, Status};

/// Code of a call without an engine.
const ENGINE_NOT_CREATED: i32 = 1_000_001;
/// Code of an invalid argument.
const ILLEGAL_PARAM: i32 = 1_000_017;

/// A JS error with a message and a numeric `code`.
fn js_error(env: &Env, code: i32, message: &str) -> Error {
    let plain = || Error::new(Status::GenericFailure, message);
    let Ok(mut error) = env.create_error(plain()) else { return plain() };
    match error.set_named_property("code", code) {
        Ok(()) => Error::from(error.to_unknown()),
        Err(_) => plain(),
    }
}

/// Converts an error of the engine.
pub fn engine_error(env: &Env, error: &EngineError) -> Error {
    js_error(env, error.code, &error.message)
}

/// The error of a call without an engine.
pub fn without_engine(env: &Env) -> Error {
    js_error(env, ENGINE_NOT_CREATED, "there is no engine")
}

/// The error of an argument that cannot be used.
pub fn illegal_param(env: &Env, message: &str) -> Error {
    js_error(env, ILLEGAL_PARAM, message)
}
