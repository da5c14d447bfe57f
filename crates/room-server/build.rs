//! Packs the join page's client library, which npm brings, so that the server needs no files beside it.
//!
//! Without `npm ci` the server builds all the same; its join page then says that the library is missing.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::{env, fs};

use flate2::Compression;
use flate2::write::GzEncoder;

/// Files of the package `livekit-client`, with the names that `src/join_page.rs` includes.
const FILES: [(&str, &str); 2] =
    [("dist/livekit-client.umd.js", "livekit-client.js.gz"), ("LICENSE", "livekit-client.LICENSE.txt.gz")];

fn main() -> io::Result<()> {
    let variable = |name: &str| env::var_os(name).map(PathBuf::from).ok_or(io::ErrorKind::NotFound);
    let package = variable("CARGO_MANIFEST_DIR")?.join("../../node_modules/livekit-client");
    let out = variable("OUT_DIR")?;
    for (from, to) in FILES {
        let from = package.join(from);
        println!("cargo:rerun-if-changed={}", from.display());
        let packed = if from.exists() { pack(&from)? } else { Vec::new() };
        if packed.is_empty() {
            println!("cargo:warning={} is missing (npm ci): the join page will not work", from.display());
        }
        fs::write(out.join(to), packed)?;
    }
    Ok(())
}

fn pack(path: &Path) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&fs::read(path)?)?;
    encoder.finish()
}
