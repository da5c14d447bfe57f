//! The async runtime of the process. It outlives every engine: the embedded room server must survive a page reload.

use std::sync::OnceLock;

use tokio::runtime::{Builder, Runtime};

use crate::error::{EngineError, code};

/// Two workers carry signalling, packets and the embedded server; encoding and decoding have threads of their own.
const WORKERS: usize = 2;

/// The process's runtime, made on first use.
pub(crate) fn runtime() -> Result<&'static Runtime, EngineError> {
    static RUNTIME: OnceLock<Result<Runtime, String>> = OnceLock::new();
    RUNTIME
        .get_or_init(|| {
            Builder::new_multi_thread()
                .worker_threads(WORKERS)
                .thread_name("zego-io")
                .enable_all()
                .build()
                .map_err(|error| error.to_string())
        })
        .as_ref()
        .map_err(|error| EngineError::new(code::ROOM_INNER_ERROR, format!("no async runtime: {error}")))
}
