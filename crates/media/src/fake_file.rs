//! Files in place of devices: plugged in while the file exists, in use while another process holds it locked.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Why a file cannot serve as a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileFailure {
    /// It is not there.
    Missing,
    /// Another process holds an exclusive lock on it.
    Locked,
    /// The system does not let this process read it.
    NotAllowed,
    /// Not a file with content: a pipe, a folder, a device. Reading a pipe without a writer would wait for ever.
    NotAFile,
    /// Any other error of the system.
    Other,
}

/// An open file, locked for reading.
#[derive(Debug)]
pub(crate) struct FakeFile {
    path: PathBuf,
    file: File,
}

impl FakeFile {
    /// Opens a file. Never waits. The error has a text for people.
    pub(crate) fn open(path: &Path) -> Result<Self, (FileFailure, String)> {
        let failed = |error: std::io::Error| {
            let failure = match error.kind() {
                ErrorKind::NotFound => FileFailure::Missing,
                ErrorKind::PermissionDenied => FileFailure::NotAllowed,
                _ => FileFailure::Other,
            };
            (failure, error.to_string())
        };
        // Before it is opened: opening a pipe waits for the other end.
        if !std::fs::metadata(path).map_err(failed)?.is_file() {
            return Err((FileFailure::NotAFile, "not a regular file".to_owned()));
        }
        let file = File::open(path).map_err(failed)?;
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => Err((FileFailure::Locked, "somebody else has locked it".to_owned())),
            // A file system without locks has no busy files.
            Ok(()) | Err(TryLockError::Error(_)) => Ok(Self { path: path.to_owned(), file }),
        }
    }

    /// For reading it.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// False once the file was removed or renamed.
    pub(crate) fn is_there(&self) -> bool {
        is_there(&self.path)
    }
}

/// Whether there is a file of that name.
pub(crate) fn is_there(path: &Path) -> bool {
    path.is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("media-{}-{name}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        path
    }

    fn failure(path: &Path) -> Option<FileFailure> {
        FakeFile::open(path).err().map(|(failure, _)| failure)
    }

    #[test]
    fn a_file_is_plugged_in_while_it_exists() {
        let path = scratch("plugged");
        assert_eq!(failure(&path), Some(FileFailure::Missing));
        std::fs::write(&path, b"x").unwrap();
        let file = FakeFile::open(&path).unwrap();
        assert!(file.is_there());
        std::fs::remove_file(&path).unwrap();
        assert!(!file.is_there());
    }

    #[test]
    fn a_file_is_busy_while_another_locks_it_and_may_be_read_by_several() {
        let path = scratch("locked");
        let other = File::create(&path).unwrap();
        other.lock().unwrap();
        assert_eq!(failure(&path), Some(FileFailure::Locked));
        other.unlock().unwrap();
        let (_one, _two) = (FakeFile::open(&path).unwrap(), FakeFile::open(&path).unwrap());
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_folder_is_no_device() {
        assert_eq!(failure(&std::env::temp_dir()), Some(FileFailure::NotAFile));
    }

    /// Opening one would wait for a writer.
    #[test]
    #[cfg(unix)]
    fn a_pipe_without_a_writer_is_refused_at_once() {
        let path = scratch("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        assert_eq!(failure(&path), Some(FileFailure::NotAFile));
        std::fs::remove_file(&path).unwrap();
    }
}
