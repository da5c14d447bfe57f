//! Refuses to build the video codec without its SIMD code.
//!
//! On x86 the codec's own build script leaves the assembler out without a word when `nasm` is missing or disabled, and
//! the result is two to three times slower.
#![allow(clippy::panic, reason = "a panic is how a build script fails")]

use std::process::{Command, Stdio};

fn main() {
    let arch = std::env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    if !matches!(arch.as_str(), "x86" | "x86_64") {
        return;
    }
    if std::env::var_os("OPENH264_NO_ASM").is_some() {
        panic!("OPENH264_NO_ASM is set: the video codec would be built without SIMD. Unset it.");
    }
    let nasm = std::env::var_os("NASM").unwrap_or_else(|| "nasm".into());
    let version = Command::new(&nasm).arg("-v").stdin(Stdio::null()).output();
    if !version.is_ok_and(|output| output.status.success()) {
        panic!(
            "the assembler {nasm:?} does not run: the video codec would be built without SIMD. Install nasm (Debian \
             and Ubuntu: apt install nasm; Fedora: dnf install nasm; macOS: brew install nasm; Windows: winget \
             install NASM.NASM and add it to PATH), then remove what was built without it: cargo clean -p openh264-sys2"
        );
    }
}
