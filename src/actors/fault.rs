//! The ways in which an engine ends.

/// The engine has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the engine has ended")]
pub struct EngineStopped;

/// Why an engine ended though nobody shut it down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The actor that owns peers and scores panicked.
    #[error("the supervisor panicked: peers and scores are lost; start a new engine")]
    SupervisorPanicked,
    /// The actor that merges outputs panicked.
    #[error("the router panicked: outputs are lost; start a new engine")]
    RouterPanicked,
    /// The actor that hands topics what is theirs panicked.
    #[error("the host of an arbiter's topics panicked: they are lost; start a new engine")]
    ArbiterPanicked,
    /// The actor that ticks the others panicked: an observer did.
    #[error("the heartbeat panicked: does the observer? Start a new engine")]
    HeartbeatPanicked,
}
