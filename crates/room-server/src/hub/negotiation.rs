//! Offers to a subscriber: at most one is on its way, what changes meanwhile goes into the next.

use crate::forwarding::core::LineId;

/// See the module's description.
#[derive(Debug, Default)]
pub struct Negotiation {
    /// The offer on its way.
    pub pending: Option<PendingOffer>,
    /// Whether something changed since the last offer.
    pub is_dirty: bool,
    /// Lines that nobody uses any more.
    pub to_stop: Vec<LineId>,
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
    pub added: Vec<(String, LineId)>,
}

impl Negotiation {
    /// A number for the next offer.
    pub fn next_offer_id(&mut self) -> u32 {
        self.last_offer_id = self.last_offer_id.wrapping_add(1);
        self.last_offer_id
    }

    /// Gives an offer up that will not be answered.
    pub fn roll_back(&mut self) {
        if self.pending.take().is_some() {
            self.is_dirty = true;
        }
    }
}
