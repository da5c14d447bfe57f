//! The log: one subscriber for the process; `setLogConfig` decides about its files.

use std::path::Path;
use std::sync::{LazyLock, OnceLock};

use file_rotate::compression::Compression;
use file_rotate::suffix::AppendCount;
use file_rotate::{ContentLimit, FileRotate};
use parking_lot::Mutex;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::config::LogConfig;

/// Name of the newest log file in the folder that the application named.
const FILE_NAME: &str = "zego-express.log";
/// The default of `ZEGO_LOG`: information of our own crates, warnings of their dependencies.
const DEFAULT_FILTER: &str = "warn,engine=info,room_server=info,media=info,transport=info";

type Files = FileRotate<AppendCount>;

static FILES: Mutex<Option<Files>> = Mutex::new(None);
static TO_STDERR: LazyLock<bool> = LazyLock::new(|| std::env::var_os("ZEGO_LOG").is_some());

/// Turns logging on, once for the process. Without files, `ZEGO_LOG` alone brings it to the standard error output.
pub(crate) fn init() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        let filter = EnvFilter::try_from_env("ZEGO_LOG").unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
        let subscriber =
            tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(Output).finish();
        // A subscriber that the process has already serves as well.
        let _ = tracing::subscriber::set_global_default(subscriber);
    });
}

/// Directs the log to files as configured, or away from them.
pub(crate) fn configure(config: &LogConfig) -> std::io::Result<()> {
    init();
    let files = match &config.path {
        Some(folder) if config.size > 0 => Some(open(folder, config)?),
        _ => None,
    };
    *FILES.lock() = files;
    Ok(())
}

fn open(folder: &Path, config: &LogConfig) -> std::io::Result<Files> {
    std::fs::create_dir_all(folder)?;
    let size = usize::try_from(config.size.clamp(1024 * 1024, 100 * 1024 * 1024)).unwrap_or(usize::MAX);
    let count = config.count.clamp(3, 20) as usize;
    // The newest file counts as one of them.
    let suffix = AppendCount::new(count - 1);
    Ok(FileRotate::new(folder.join(FILE_NAME), suffix, ContentLimit::BytesSurpassed(size), Compression::None, None))
}

struct Output;

impl<'a> MakeWriter<'a> for Output {
    type Writer = LineWriter;

    fn make_writer(&'a self) -> Self::Writer {
        LineWriter
    }
}

struct LineWriter;

impl std::io::Write for LineWriter {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        if let Some(files) = FILES.lock().as_mut() {
            files.write_all(line)?;
        }
        if *TO_STDERR {
            std::io::stderr().write_all(line)?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match FILES.lock().as_mut() {
            Some(files) => files.flush(),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_written_to_the_named_folder() {
        let folder = std::env::temp_dir().join(format!("zego-log-{}", std::process::id()));
        configure(&LogConfig { path: Some(folder.clone()), ..LogConfig::default() }).unwrap();
        tracing::error!("a line to find");
        let text = std::fs::read_to_string(folder.join(FILE_NAME)).unwrap();
        assert!(text.contains("a line to find"));
        configure(&LogConfig::default()).unwrap();
        std::fs::remove_dir_all(folder).unwrap();
    }
}
