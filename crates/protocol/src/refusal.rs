//! Why our room server does not let somebody in: each refusal has a code, by which a client goes.
//!
//! The code travels in an HTTP header of its own, so that nobody has to search the text. An answer without it does not
//! come from our server: it is that of a stock LiveKit server, or of something on the way.

/// Name of the header, in lower case.
pub const HEADER: &str = "x-zego-refusal";

macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident = $code:literal,)*) => {
        /// Why somebody is not let in.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Refusal {
            $($(#[$doc])* $name,)*
        }

        impl Refusal {
            /// All there are.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// What stands in the header. Stable: clients of other versions go by it.
            pub fn code(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)*
                }
            }
        }
    };
}

refusals! {
    /// There is no token.
    NoToken = "no-token",
    /// The token cannot be read.
    TokenMalformed = "token-malformed",
    /// It is a token of a kind that is not known.
    TokenVersion = "token-version",
    /// It is not signed in the one way that is accepted.
    TokenAlgorithm = "token-algorithm",
    /// Nobody here knows its API key.
    TokenKey = "token-key",
    /// The signature does not fit.
    TokenSignature = "token-signature",
    /// Its life is over, by the server's clock.
    TokenExpired = "token-expired",
    /// Its life has not begun, by the server's clock.
    TokenNotYetValid = "token-not-yet-valid",
    /// It is for another app.
    TokenApp = "token-app",
    /// It is for another user.
    TokenUser = "token-user",
    /// It is for another room.
    TokenRoom = "token-room",
    /// It gives no right to join.
    JoinNotAllowed = "join-not-allowed",
    /// It names no room or no user.
    NoName = "no-name",
    /// A name or another text is too long.
    TooLong = "too-long",
    /// The request to join cannot be read.
    JoinRequest = "join-request",
    /// Too many joins from this address; later ones may pass.
    TooManyJoins = "too-many-joins",
    /// What a newer server refuses for; also what any unknown code is read as.
    Other = "other",
}

impl Refusal {
    /// Reads the header's value.
    pub fn of_code(code: &str) -> Self {
        Self::ALL.iter().copied().find(|refusal| refusal.code() == code).unwrap_or(Self::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_leads_back_to_its_reason_and_a_newer_servers_to_other() {
        for refusal in Refusal::ALL {
            assert_eq!(Refusal::of_code(refusal.code()), *refusal);
        }
        assert_eq!(Refusal::of_code("phase-of-the-moon"), Refusal::Other);
    }
}
