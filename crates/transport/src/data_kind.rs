//! The two kinds of data channels.

/// Kind of a data channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataKind {
    /// Ordered and reliable. Label `_reliable`.
    Reliable,
    /// Unordered, without retransmission. Label `_lossy`.
    Lossy,
}

impl DataKind {
    /// Both kinds.
    pub(crate) const ALL: [Self; 2] = [Self::Reliable, Self::Lossy];

    /// Label of the data channel.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Reliable => "_reliable",
            Self::Lossy => "_lossy",
        }
    }

    /// The kind with this label.
    pub(crate) fn from_label(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.label() == label)
    }
}
