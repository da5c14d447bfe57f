//! Names of cameras, microphones and speakers, and the settings of fake ones.

use std::collections::BTreeMap;

/// A camera, microphone or speaker as the application sees it in a device list.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct DeviceInfo {
    /// Stable within one machine; the argument of `useVideoDevice` and `useAudioDevice`.
    #[serde(rename = "deviceID")]
    pub id: String,
    /// For people.
    #[serde(rename = "deviceName")]
    pub name: String,
}

/// Fake devices for machines without any, for tests and for demos.
///
/// Each value is that of the variable: a keyword (`pattern`, `tone`, `null`) or a file's path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FakeDevices {
    /// `ZEGO_FAKE_CAMERA`: `pattern`, FILE.y4m or FILE.mjpeg; `strip:FILE` draws the strip of the pattern over a file.
    pub camera: Option<String>,
    /// `ZEGO_FAKE_MICROPHONE`: `tone` or FILE.wav.
    pub microphone: Option<String>,
    /// `ZEGO_FAKE_SPEAKER`: `null`, or FILE.wav that records what would have been played.
    pub speaker: Option<String>,
}

impl FakeDevices {
    /// Reads the environment and the application's `advancedConfig`; the latter wins.
    pub fn from_env_and(advanced: &BTreeMap<String, String>) -> Self {
        Self::read(advanced, |name| std::env::var(name).ok())
    }

    fn read(advanced: &BTreeMap<String, String>, env: impl Fn(&str) -> Option<String>) -> Self {
        let value = |name: &str| {
            let set = advanced.get(&name.to_ascii_lowercase()).cloned().or_else(|| env(name));
            set.filter(|value| !value.is_empty())
        };
        Self {
            camera: value("ZEGO_FAKE_CAMERA"),
            microphone: value("ZEGO_FAKE_MICROPHONE"),
            speaker: value("ZEGO_FAKE_SPEAKER"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advanced_config_wins_over_the_environment() {
        let advanced = BTreeMap::from([("zego_fake_camera".to_owned(), "clip.y4m".to_owned())]);
        let fakes = FakeDevices::read(&advanced, |name| (name != "ZEGO_FAKE_SPEAKER").then(|| "pattern".to_owned()));
        assert_eq!(fakes.camera.as_deref(), Some("clip.y4m"));
        assert_eq!(fakes.microphone.as_deref(), Some("pattern"));
        assert_eq!(fakes.speaker, None);
    }

    #[test]
    fn an_empty_value_means_no_fake_device() {
        let fakes = FakeDevices::read(&BTreeMap::new(), |_| Some(String::new()));
        assert_eq!(fakes, FakeDevices::default());
    }
}
