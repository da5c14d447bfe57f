//! Detects cameras, microphones and speakers that are plugged in or unplugged.
//!
//! No system reports all of them in one way, so the lists are polled, the cheap signs of a change first.

use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, Sender};
use media::audio::{self, DeviceKind};
use media::video::camera;
use media::{DeviceInfo, FakeDevices};

/// Between two looks at the signs of a change.
const RHYTHM: Duration = Duration::from_secs(1);
/// Sound servers give no such sign: every n-th poll reads the lists of audio devices anyway.
const POLLS_PER_LIST: u32 = 4;

/// Which devices a change is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WatchedKind {
    Camera,
    Audio(DeviceKind),
}

/// Devices that appeared and disappeared since the last poll; not both empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeviceChange {
    pub(crate) kind: WatchedKind,
    pub(crate) added: Vec<DeviceInfo>,
    pub(crate) removed: Vec<DeviceInfo>,
}

/// One list of devices with its state at the last poll.
struct Watched {
    kind: WatchedKind,
    fingerprint: u64,
    devices: Vec<DeviceInfo>,
}

impl Watched {
    fn new(kind: WatchedKind, fakes: &FakeDevices) -> Self {
        Self { kind, fingerprint: fingerprint(kind, fakes), devices: list(kind, fakes) }
    }

    /// The changes since the last poll.
    fn look(&mut self, fakes: &FakeDevices, thoroughly: bool) -> Option<DeviceChange> {
        let before = std::mem::replace(&mut self.fingerprint, fingerprint(self.kind, fakes));
        let must_list = before != self.fingerprint || (thoroughly && self.kind != WatchedKind::Camera);
        must_list.then(|| self.take(list(self.kind, fakes))).flatten()
    }

    fn take(&mut self, now: Vec<DeviceInfo>) -> Option<DeviceChange> {
        let without = |these: &[DeviceInfo], those: &[DeviceInfo]| -> Vec<DeviceInfo> {
            these.iter().filter(|this| those.iter().all(|that| that.id != this.id)).cloned().collect()
        };
        let (added, removed) = (without(&now, &self.devices), without(&self.devices, &now));
        self.devices = now;
        (!added.is_empty() || !removed.is_empty()).then_some(DeviceChange { kind: self.kind, added, removed })
    }
}

fn fingerprint(kind: WatchedKind, fakes: &FakeDevices) -> u64 {
    match kind {
        WatchedKind::Camera => camera::fingerprint(fakes),
        WatchedKind::Audio(kind) => audio::fingerprint(kind, fakes),
    }
}

fn list(kind: WatchedKind, fakes: &FakeDevices) -> Vec<DeviceInfo> {
    match kind {
        WatchedKind::Camera => camera::list(fakes),
        WatchedKind::Audio(kind) => audio::list(kind, fakes),
    }
}

/// Polls until it is dropped, on a thread of its own: reading lists may be slow.
pub(crate) struct DeviceWatch {
    _stop: Sender<()>,
}

impl DeviceWatch {
    /// Starts polling; `on_change` must not block.
    pub(crate) fn start(
        fakes: FakeDevices,
        mut changed: impl FnMut(DeviceChange) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (stop, stopped) = crossbeam_channel::bounded::<()>(0);
        std::thread::Builder::new().name("zego-devices".into()).spawn(move || {
            let kinds = [
                WatchedKind::Camera,
                WatchedKind::Audio(DeviceKind::Microphone),
                WatchedKind::Audio(DeviceKind::Speaker),
            ];
            let mut watched = kinds.map(|kind| Watched::new(kind, &fakes));
            let mut looks = 0u32;
            while stopped.recv_timeout(RHYTHM) == Err(RecvTimeoutError::Timeout) {
                looks = looks.wrapping_add(1);
                let thoroughly = looks.is_multiple_of(POLLS_PER_LIST);
                watched.iter_mut().filter_map(|watched| watched.look(&fakes, thoroughly)).for_each(&mut changed);
            }
        })?;
        Ok(Self { _stop: stop })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(id: &str) -> DeviceInfo {
        DeviceInfo { id: id.to_owned(), name: format!("device {id}") }
    }

    #[test]
    fn changes_are_reported_once() {
        let kind = WatchedKind::Audio(DeviceKind::Microphone);
        let mut watched = Watched { kind, fingerprint: 0, devices: vec![device("a"), device("b")] };
        assert_eq!(watched.take(vec![device("b"), device("a")]), None);
        let change = watched.take(vec![device("b"), device("c")]).unwrap();
        assert_eq!((change.added, change.removed), (vec![device("c")], vec![device("a")]));
        assert_eq!(watched.take(vec![device("b"), device("c")]), None);
    }

    #[test]
    fn a_fake_camera_is_plugged_in_while_its_file_exists() {
        let path = std::env::temp_dir().join(format!("engine-{}-watched.mjpeg", std::process::id()));
        let fakes = FakeDevices { camera: Some(path.display().to_string()), ..FakeDevices::default() };
        let mut watched = Watched::new(WatchedKind::Camera, &fakes);
        assert_eq!(watched.look(&fakes, false), None);
        std::fs::write(&path, b"x").unwrap();
        let change = watched.look(&fakes, false).unwrap();
        assert_eq!((change.added.len(), change.removed.len()), (1, 0));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(watched.look(&fakes, false).unwrap().removed, change.added);
    }
}
