//! Refuses to build the video codec without its SIMD code, and lets libvpx be linked statically.
//!
//! On x86 the codec's own build script leaves the assembler out without a word when `nasm` is missing or disabled, and
//! the result is two to three times slower.
#![allow(clippy::panic, reason = "a panic is how a build script fails")]

use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The linker takes the first libvpx that it finds, and a shared one before a static one in the same folder: a folder that
/// holds nothing but the system's static one comes first. The binding itself links statically only outside of /usr.
fn link_libvpx_statically() {
    let Some(out) = std::env::var_os("OUT_DIR").map(PathBuf::from) else { return };
    // The linker's own folders are known to the compiler; pkg-config names another one on Debian.
    let output = Command::new("cc").arg("-print-file-name=libvpx.a").output();
    let Some(name) = output.ok().and_then(|output| String::from_utf8(output.stdout).ok()) else { return };
    let library = PathBuf::from(name.trim());
    let (own, link) = (out.join("libvpx"), out.join("libvpx").join("libvpx.a"));
    if library.is_file() && std::fs::create_dir_all(&own).is_ok() && std::fs::copy(library, link).is_ok() {
        println!("cargo:rustc-link-search=native={}", own.display());
    }
}

fn main() {
    if std::env::var_os("CARGO_FEATURE_VP8").is_some() {
        link_libvpx_statically();
    }
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
