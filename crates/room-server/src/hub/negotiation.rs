//! Offers to a subscriber: at most one is pending, later changes go into the next one.

use crate::forwarding::core::{MediaKind, Mid};

/// The state of one subscriber's negotiation.
#[derive(Debug, Default)]
pub struct Negotiation {
    /// The offer on its way.
    pub pending: Option<PendingOffer>,
    /// Whether something changed since the last offer.
    pub is_dirty: bool,
    /// m-lines that are not used any more.
    pub to_stop: Vec<Mid>,
    /// All lines that our offers had and that the client answered, in their order.
    lines: Vec<(Mid, MediaKind)>,
    /// Whether the next offer has to start the transport over.
    pub ice_restart: bool,
    last_offer_id: u32,
}

/// An offer without an answer.
#[derive(Debug)]
pub struct PendingOffer {
    /// Its number, which the answer repeats.
    pub id: u32,
    /// Tracks that it adds, with their lines.
    pub added: Vec<PlacedTrack>,
    /// Lines that it stops.
    pub stopped: Vec<Mid>,
}

/// A track on a line that the client has not agreed to yet.
#[derive(Clone, Debug)]
pub struct PlacedTrack {
    /// The track.
    pub track_sid: String,
    /// Audio or video.
    pub kind: MediaKind,
    /// The line.
    pub line: Mid,
}

impl Negotiation {
    /// A number for the next offer.
    pub fn next_offer_id(&mut self) -> u32 {
        self.last_offer_id = self.last_offer_id.wrapping_add(1);
        self.last_offer_id
    }

    /// Drops a pending offer that will not be answered.
    pub fn roll_back(&mut self) {
        let Some(pending) = self.pending.take() else { return };
        self.is_dirty = true;
        // The client may have seen it or not. So a line is free again only after an offer that closes it.
        self.to_stop.extend(pending.stopped);
        let reused = pending.added.iter().filter(|placed| self.lines.iter().any(|(line, _)| *line == placed.line));
        self.to_stop.extend(reused.map(|placed| placed.line));
    }

    /// The client answered: from now on the lines of the offer can be used again when their tracks end.
    pub fn answered(&mut self, added: &[PlacedTrack]) {
        for placed in added {
            if self.lines.iter().all(|(line, _)| *line != placed.line) {
                self.lines.push((placed.line, placed.kind));
            }
        }
    }

    /// Lines that the client has seen closed, except those that `is_used`.
    pub fn free_lines(&self, is_used: impl Fn(Mid) -> bool) -> Vec<(Mid, MediaKind)> {
        let mut free = self.lines.clone();
        free.retain(|(line, _)| !is_used(*line) && !self.to_stop.contains(line));
        free
    }
}
