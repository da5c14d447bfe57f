//! Active speakers, from the levels in the clients' audio packets (RFC 6464).

use std::collections::HashMap;
use std::time::{Duration, Instant};

use protocol::messages::{Response, SpeakerInfo, SpeakersChanged};

use super::Hub;
use super::ids::RoomKey;
use crate::signalling::encode;

/// Interval of updates.
pub const SPEAKER_INTERVAL: Duration = Duration::from_millis(500);
/// From here on a packet counts as speech, in dB below full scale.
const LOUD_DB: i8 = -35;
/// Minimum share of loud packets of a speaker, in percent. Speech has gaps.
const LOUD_PERCENT: u32 = 40;
/// Number of steps of reported levels, so that small changes cause no message.
const STEPS: f32 = 8.0;

/// Loudness of one participant.
#[derive(Debug, Default)]
pub struct Loudness {
    packets: u32,
    loud: u32,
    sum: f32,
    /// The level that was last sent, 0 for silence.
    last_sent: f32,
}

impl Loudness {
    /// Notes a packet. `level` is in dB below full scale, negative.
    pub fn packet(&mut self, level: i8) {
        self.packets += 1;
        if level >= LOUD_DB {
            self.loud += 1;
            self.sum += 10_f32.powf(f32::from(level.min(0)) / 20.0);
        }
    }

    /// Ends an interval. Returns the level, 0 to 1, if it has changed; 0 means silence.
    fn take_change(&mut self) -> Option<f32> {
        let speaks = self.packets > 0 && self.loud * 100 >= self.packets * LOUD_PERCENT;
        let level = if speaks { ((self.sum / self.loud as f32) * STEPS).ceil() / STEPS } else { 0.0 };
        let changed = level != self.last_sent;
        *self = Self { last_sent: level, ..Self::default() };
        changed.then_some(level)
    }

    /// Whether there is something to check in the next interval.
    fn is_active(&self) -> bool {
        self.last_sent > 0.0
    }
}

impl Hub {
    /// Notifies every room whose speakers have changed.
    pub(super) fn report_speakers(&mut self, now: Instant) {
        self.speakers_at = None;
        let mut changes: HashMap<RoomKey, Vec<SpeakerInfo>> = HashMap::new();
        for participant in self.participants.values_mut().filter(|participant| !participant.permission.hidden) {
            if let Some(level) = participant.loudness.take_change() {
                let speaker = SpeakerInfo { sid: participant.sid.clone(), level, active: level > 0.0 };
                changes.entry(participant.room.clone()).or_default().push(speaker);
            }
            if participant.loudness.is_active() {
                self.speakers_at = Some(now + SPEAKER_INTERVAL);
            }
        }
        for (room, speakers) in changes {
            let message = encode(Response::SpeakersChanged(SpeakersChanged { speakers }));
            for member in self.members_of(&room) {
                self.send_encoded(member, &message);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(loudness: &mut Loudness, levels: &[i8]) -> Option<f32> {
        levels.iter().for_each(|level| loudness.packet(*level));
        loudness.take_change()
    }

    #[test]
    fn a_voice_is_reported_once_and_its_end_once() {
        let mut loudness = Loudness::default();
        assert_eq!(interval(&mut loudness, &[-20; 25]), Some(0.125));
        assert_eq!(interval(&mut loudness, &[-20; 25]), None);
        assert!(loudness.is_active());
        assert_eq!(interval(&mut loudness, &[]), Some(0.0));
        assert_eq!(interval(&mut loudness, &[]), None);
        assert!(!loudness.is_active());
    }

    #[test]
    fn a_louder_voice_is_a_change() {
        let mut loudness = Loudness::default();
        interval(&mut loudness, &[-20; 25]);
        assert_eq!(interval(&mut loudness, &[-6; 25]), Some(0.625));
    }

    #[test]
    fn noise_and_a_single_knock_are_no_voice() {
        let mut loudness = Loudness::default();
        assert_eq!(interval(&mut loudness, &[-60; 25]), None);
        let mut knock = [-60; 25];
        knock[3] = -3;
        assert_eq!(interval(&mut loudness, &knock), None);
    }
}
