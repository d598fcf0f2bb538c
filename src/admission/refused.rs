//! TODO header.

/// Why an input was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// As many inputs of peers wait as may (`bounds.max_input_items`).
    #[error("{waiting} inputs wait already: read less until they are handled")]
    TooManyInputs {
        /// How many.
        waiting: usize,
    },
    /// The inputs of peers that wait hold as many bytes as they may (`bounds.max_input_bytes`).
    #[error("{waiting} bytes wait already: read less until they are handled")]
    TooManyBytes {
        /// How many.
        waiting: usize,
    },
    /// This peer has more than its fair share of what waits, and there is too little room for that:
    /// half of the bounds is kept for those who have less.
    #[error(
        "{waiting} inputs of this peer wait, more than its share: read less from it until they are handled"
    )]
    PeerOverShare {
        /// How many.
        waiting: usize,
    },
    /// The application's stream is full (`bounds.max_output_items`): messages would be lost.
    #[error("{waiting} messages wait for the application: read the application stream")]
    ApplicationBehind {
        /// How many.
        waiting: usize,
    },
    /// The p2p stream is full of control (`bounds.max_output_items`): there would be more of it.
    #[error("{waiting} outputs wait for the p2p layer: read the p2p stream")]
    TransportBehind {
        /// How many.
        waiting: usize,
    },
    /// The engine has ended or is about to.
    #[error("the engine has ended")]
    Stopped,
}

impl Refused {
    /// All reasons.
    pub(crate) const REASONS: [&str; 6] = [
        "too_many_inputs",
        "too_many_bytes",
        "peer_over_share",
        "application_behind",
        "transport_behind",
        "stopped",
    ];

    /// The reason as a word, for labels.
    pub fn reason(self) -> &'static str {
        match self {
            Self::TooManyInputs { .. } => "too_many_inputs",
            Self::TooManyBytes { .. } => "too_many_bytes",
            Self::PeerOverShare { .. } => "peer_over_share",
            Self::ApplicationBehind { .. } => "application_behind",
            Self::TransportBehind { .. } => "transport_behind",
            Self::Stopped => "stopped",
        }
    }

    /// What waits, for the event.
    pub(crate) fn depth(self) -> usize {
        match self {
            Self::TooManyInputs { waiting }
            | Self::TooManyBytes { waiting }
            | Self::PeerOverShare { waiting }
            | Self::TransportBehind { waiting }
            | Self::ApplicationBehind { waiting } => waiting,
            Self::Stopped => 0,
        }
    }
}
