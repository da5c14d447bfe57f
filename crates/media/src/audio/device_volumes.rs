//! The volume of each microphone and speaker for this application, and which ones are used.
//!
//! The audio system's own mixer is not touched: these volumes are gains at the ends of the audio path, from silence to the
//! device's own level.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;

use super::DeviceKind;

/// Percent.
const FULL: u32 = 100;

#[derive(Clone, Copy, Debug)]
struct Setting {
    volume: u32,
    in_app: u32,
    muted: bool,
}

impl Default for Setting {
    fn default() -> Self {
        Self { volume: FULL, in_app: FULL, muted: false }
    }
}

#[derive(Debug, Default)]
struct State {
    current: [Option<String>; 2],
    settings: [BTreeMap<String, Setting>; 2],
}

/// The settings of all devices, by their ids; any thread may ask, and the audio threads never wait.
#[derive(Debug)]
pub struct DeviceVolumes {
    state: Mutex<State>,
    /// Gains of the devices in use, as bits.
    gains: [AtomicU32; 2],
}

impl Default for DeviceVolumes {
    fn default() -> Self {
        let full = || AtomicU32::new(1.0f32.to_bits());
        Self { state: Mutex::default(), gains: [full(), full()] }
    }
}

fn index(kind: DeviceKind) -> usize {
    match kind {
        DeviceKind::Microphone => 0,
        DeviceKind::Speaker => 1,
    }
}

impl DeviceVolumes {
    /// From now on this device is in use.
    pub fn select(&self, kind: DeviceKind, id: &str) {
        let mut state = self.state.lock();
        state.current[index(kind)] = Some(id.to_owned());
        self.apply(&state, kind);
    }

    /// The device in use; `None` before the first [`select`](Self::select).
    pub fn selected(&self, kind: DeviceKind) -> Option<String> {
        self.state.lock().current[index(kind)].clone()
    }

    /// Whether something was set for this device, or it is in use.
    pub fn knows(&self, kind: DeviceKind, id: &str) -> bool {
        let state = self.state.lock();
        state.current[index(kind)].as_deref() == Some(id) || state.settings[index(kind)].contains_key(id)
    }

    /// Sets a device's volume, 0..=100 percent; more counts as 100. Returns whether it has changed.
    pub fn set_volume(&self, kind: DeviceKind, id: &str, percent: u32) -> bool {
        self.change(kind, id, |setting| std::mem::replace(&mut setting.volume, percent.min(FULL)) != percent.min(FULL))
    }

    /// A device's volume, percent; 100 at first.
    pub fn volume(&self, kind: DeviceKind, id: &str) -> u32 {
        self.setting(kind, id).volume
    }

    /// Sets a second volume of a speaker, by which the first is multiplied, 0..=100 percent.
    pub fn set_in_app(&self, id: &str, percent: u32) {
        self.change(DeviceKind::Speaker, id, |setting| setting.in_app = percent.min(FULL));
    }

    /// That volume, percent; 100 at first.
    pub fn in_app(&self, id: &str) -> u32 {
        self.setting(DeviceKind::Speaker, id).in_app
    }

    /// Silences a device, or not.
    pub fn set_muted(&self, kind: DeviceKind, id: &str, muted: bool) {
        self.change(kind, id, |setting| setting.muted = muted);
    }

    /// Gain of the device in use, 0 to 1.
    pub(crate) fn gain(&self, kind: DeviceKind) -> f32 {
        f32::from_bits(self.gains[index(kind)].load(Ordering::Relaxed))
    }

    fn setting(&self, kind: DeviceKind, id: &str) -> Setting {
        self.state.lock().settings[index(kind)].get(id).copied().unwrap_or_default()
    }

    fn change<T>(&self, kind: DeviceKind, id: &str, change: impl FnOnce(&mut Setting) -> T) -> T {
        let mut state = self.state.lock();
        let result = change(state.settings[index(kind)].entry(id.to_owned()).or_default());
        self.apply(&state, kind);
        result
    }

    fn apply(&self, state: &State, kind: DeviceKind) {
        let current = state.current[index(kind)].as_deref().unwrap_or_default();
        let Setting { volume, in_app, muted } = state.settings[index(kind)].get(current).copied().unwrap_or_default();
        let gain = if muted { 0.0 } else { (volume * in_app) as f32 / (FULL * FULL) as f32 };
        self.gains[index(kind)].store(gain.to_bits(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::DeviceKind::{Microphone, Speaker};
    use super::*;

    #[test]
    fn a_volume_counts_while_its_device_is_in_use() {
        let devices = DeviceVolumes::default();
        devices.select(Speaker, "a");
        assert!(devices.set_volume(Speaker, "b", 20));
        assert_eq!(devices.gain(Speaker), 1.0);
        devices.select(Speaker, "b");
        assert_eq!(devices.gain(Speaker), 0.2);
        assert_eq!(devices.gain(Microphone), 1.0);
        assert_eq!((devices.volume(Speaker, "a"), devices.volume(Speaker, "b")), (100, 20));
    }

    #[test]
    fn both_volumes_of_a_speaker_work_together() {
        let devices = DeviceVolumes::default();
        devices.select(Speaker, "a");
        devices.set_volume(Speaker, "a", 50);
        devices.set_in_app("a", 50);
        assert_eq!(devices.gain(Speaker), 0.25);
        assert_eq!(devices.in_app("a"), 50);
    }

    #[test]
    fn a_mute_keeps_the_volume() {
        let devices = DeviceVolumes::default();
        devices.select(Microphone, "m");
        devices.set_volume(Microphone, "m", 60);
        devices.set_muted(Microphone, "m", true);
        assert_eq!((devices.gain(Microphone), devices.volume(Microphone, "m")), (0.0, 60));
        devices.set_muted(Microphone, "m", false);
        assert_eq!(devices.gain(Microphone), 0.6);
    }

    #[test]
    fn the_same_volume_again_is_no_change_and_too_much_is_full() {
        let devices = DeviceVolumes::default();
        assert!(!devices.set_volume(Speaker, "a", 100));
        assert!(!devices.set_volume(Speaker, "a", 900));
        assert_eq!(devices.volume(Speaker, "a"), 100);
        assert!(devices.knows(Speaker, "a") && !devices.knows(Microphone, "a"));
    }
}
