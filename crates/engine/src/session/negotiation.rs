//! One offer at a time on the publisher connection: says when to offer and which answer counts. Pure.

/// State of the publisher's offer/answer exchange.
#[derive(Debug, Default)]
pub(crate) struct Negotiation {
    last_offer: u32,
    in_flight: bool,
    again: bool,
}

impl Negotiation {
    /// Something has changed that needs an offer. True: create it now; otherwise it follows the pending answer.
    pub(crate) fn request(&mut self) -> bool {
        if self.in_flight {
            self.again = true;
        }
        !self.in_flight
    }

    /// Number of the offer that is about to be sent.
    pub(crate) fn offer(&mut self) -> u32 {
        self.last_offer = self.last_offer.wrapping_add(1);
        self.in_flight = true;
        self.again = false;
        self.last_offer
    }

    /// Whether this answer belongs to the offer in flight. Servers without ids answer with 0.
    pub(crate) fn accepts(&self, id: u32) -> bool {
        self.in_flight && (id == 0 || id == self.last_offer)
    }

    /// The answer was applied. True: an offer is due at once.
    pub(crate) fn answered(&mut self) -> bool {
        self.in_flight = false;
        std::mem::take(&mut self.again)
    }

    /// The signalling connection is new: the pending offer will not be answered.
    pub(crate) fn start_over(&mut self) {
        self.in_flight = false;
        self.again = false;
    }

    /// Number of the offer that was answered last or is in flight.
    pub(crate) fn last_offer(&self) -> u32 {
        self.last_offer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_during_an_exchange_make_one_more_offer_after_it() {
        let mut negotiation = Negotiation::default();
        assert!(negotiation.request());
        let id = negotiation.offer();
        assert!(!negotiation.request());
        assert!(!negotiation.request());
        assert!(negotiation.accepts(id));
        assert!(negotiation.answered());
        negotiation.offer();
        assert!(!negotiation.answered());
    }

    #[test]
    fn after_a_new_signalling_connection_the_next_offer_need_not_wait_for_the_lost_answer() {
        let mut negotiation = Negotiation::default();
        let lost = negotiation.offer();
        assert!(!negotiation.request());
        negotiation.start_over();
        assert!(!negotiation.accepts(lost));
        assert!(negotiation.request());
        assert!(negotiation.offer() > lost);
    }

    #[test]
    fn an_answer_to_an_older_offer_is_ignored() {
        let mut negotiation = Negotiation::default();
        let old = negotiation.offer();
        negotiation.answered();
        negotiation.offer();
        assert!(!negotiation.accepts(old));
        assert!(negotiation.accepts(0));
    }
}
