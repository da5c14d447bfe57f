//! The room server on its own, for `npx zego-room-server`.

use std::ffi::OsString;

use napi_derive::napi;

/// Runs the room server with the arguments of a command line, program name first, until it is told to stop. Blocks.
/// Returns the exit code.
#[napi]
// In unit tests nothing is exported to JS.
#[cfg_attr(test, allow(dead_code))]
pub fn run_room_server(arguments: Vec<String>) -> i32 {
    room_server::run_cli(arguments.into_iter().map(OsString::from))
}
