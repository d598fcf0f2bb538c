//! Why an engine does not start, and how it ends.

/// Why an engine could not start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The operating system refused a thread.
    #[error("the threads of the engine can't be started: the operating system refuses another thread")]
    Threads,
}

/// The engine has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the engine has ended")]
pub struct EngineStopped;

/// Why an engine ended without a shutdown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The actor that owns peers and scores panicked.
    #[error("the supervisor panicked: peers and scores are lost; start a new engine")]
    SupervisorPanicked,
    /// The actor that merges outputs panicked.
    #[error("the router panicked: outputs are lost; start a new engine")]
    RouterPanicked,
    /// The actor that runs the topics of an arbiter panicked.
    #[error("the actor of an arbiter's topics panicked: these topics are lost; start a new engine")]
    ArbiterPanicked,
    /// The actor that starts heartbeats panicked.
    #[error("the heartbeat panicked: no more heartbeats; start a new engine")]
    HeartbeatPanicked,
    /// An arbiter on which the engine ran has stopped. All arbiters stop with their actix system.
    #[error(
        "an arbiter of the engine stopped, as all do when their actix system stops: shut the engine down before"
    )]
    ArbiterStopped,
}
