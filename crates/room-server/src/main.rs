//! The room server as a program of its own.
#![forbid(unsafe_code)]

fn main() {
    std::process::exit(room_server::run_cli(std::env::args_os()));
}
