//! The state of one connection's streams: when a stream of ours is requested, and when the behaviour learns that the
//! connection carries gossipsub or no longer does. It uses no libp2p stream, so that its transitions can be tested.

/// Most streams that we open on one connection. A fifth makes rust-libp2p give up the connection.
const MAX_OPENED: u32 = 4;

/// The state of a connection whose outbound streams are of type `S`.
#[derive(Debug)]
pub(super) struct StreamState<S> {
    outbound: Outbound<S>,
    /// Outbound streams requested so far.
    opened: u32,
    /// Whether the behaviour knows that the connection carries gossipsub.
    established: bool,
}

#[derive(Debug)]
enum Outbound<S> {
    /// A stream is to be requested from the swarm.
    Wanted,
    /// A stream was requested.
    Opening,
    Open(S),
    /// The peer reads one frame of a stream. The next stream is requested when there is something to write.
    OnDemand,
    /// The peer supports none of our protocols. A stream is requested again if the peer opens one itself.
    Unsupported,
    GaveUp,
}

/// What the behaviour must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    None,
    /// The connection carries gossipsub from now on.
    Established,
    /// There is no outbound stream, and there will be none, unless `unsupported` and the peer opens a stream.
    GaveUp {
        unsupported: bool,
    },
}

impl<S> Default for StreamState<S> {
    fn default() -> Self {
        Self { outbound: Outbound::Wanted, opened: 0, established: false }
    }
}

impl<S> StreamState<S> {
    /// Whether an outbound stream is to be requested now. If so, it counts as requested. `has_pending`: whether there is
    /// something to write.
    pub(super) fn take_request(&mut self, has_pending: impl FnOnce() -> bool) -> bool {
        let wanted = match self.outbound {
            Outbound::Wanted => true,
            Outbound::OnDemand => has_pending(),
            _ => false,
        };
        if wanted {
            self.outbound = Outbound::Opening;
            self.opened += 1;
        }
        wanted
    }

    /// Whether the stream that is requested or open is not the first one.
    pub(super) fn is_reopened(&self) -> bool {
        self.opened > 1
    }

    /// The peer opened a stream. `None`: it must not be read, because nothing can be sent to the peer any more.
    pub(super) fn on_inbound(&mut self) -> Option<Change> {
        match self.outbound {
            Outbound::GaveUp => return None,
            Outbound::Unsupported if self.opened >= MAX_OPENED => {
                // The behaviour knows already that there is no stream.
                self.outbound = Outbound::GaveUp;
                return None;
            }
            Outbound::Unsupported => self.outbound = Outbound::Wanted,
            Outbound::Wanted | Outbound::Opening | Outbound::Open(_) | Outbound::OnDemand => {}
        }
        Some(self.establish())
    }

    /// The stream that was requested is open. `None` if none was requested: the stream is dropped.
    pub(super) fn on_outbound(&mut self, stream: impl FnOnce() -> S) -> Option<Change> {
        if !matches!(self.outbound, Outbound::Opening) {
            return None;
        }
        self.outbound = Outbound::Open(stream());
        Some(self.establish())
    }

    /// The stream that was requested could not be opened. `unsupported`: the peer supports none of our protocols, and has
    /// no stream open itself.
    pub(super) fn on_refused(&mut self, unsupported: bool) -> Change {
        match self.outbound {
            Outbound::Opening if unsupported => {
                self.outbound = Outbound::Unsupported;
                self.give_up(true)
            }
            Outbound::Opening => self.reopen(),
            _ => Change::None,
        }
    }

    /// The open stream broke.
    pub(super) fn on_broken(&mut self) -> Change {
        if matches!(self.outbound, Outbound::Open(_)) { self.reopen() } else { Change::None }
    }

    /// The open stream took a frame and has ended, and the peer reads one frame of each. Streams that it read do not count.
    pub(super) fn on_frame_read(&mut self) {
        if matches!(self.outbound, Outbound::Open(_)) {
            self.outbound = Outbound::OnDemand;
            self.opened = 0;
        }
    }

    /// Whether there is no stream because there is nothing to write.
    pub(super) fn is_on_demand(&self) -> bool {
        matches!(self.outbound, Outbound::OnDemand)
    }

    /// The open outbound stream.
    pub(super) fn open_stream(&mut self) -> Option<&mut S> {
        if let Outbound::Open(stream) = &mut self.outbound { Some(stream) } else { None }
    }

    /// Whether an outbound stream is expected, but not open.
    pub(super) fn is_opening(&self) -> bool {
        matches!(self.outbound, Outbound::Wanted | Outbound::Opening)
    }

    fn establish(&mut self) -> Change {
        if std::mem::replace(&mut self.established, true) { Change::None } else { Change::Established }
    }

    /// Requests an outbound stream again, or gives up.
    fn reopen(&mut self) -> Change {
        if self.opened < MAX_OPENED {
            self.outbound = Outbound::Wanted;
            return Change::None;
        }
        self.outbound = Outbound::GaveUp;
        self.give_up(false)
    }

    fn give_up(&mut self, unsupported: bool) -> Change {
        self.established = false;
        Change::GaveUp { unsupported }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNSUPPORTED: Change = Change::GaveUp { unsupported: true };
    const BROKEN: Change = Change::GaveUp { unsupported: false };

    fn requested() -> StreamState<u32> {
        let mut state = StreamState::default();
        assert!(state.take_request(|| false) && !state.take_request(|| false));
        state
    }

    #[test]
    fn either_stream_establishes_a_connection_once() {
        let mut state = requested();
        assert_eq!(state.on_inbound(), Some(Change::Established));
        assert_eq!((state.on_outbound(|| 1), state.on_inbound()), (Some(Change::None), Some(Change::None)));
        let mut state = requested();
        assert_eq!(state.on_outbound(|| 1), Some(Change::Established));
        assert_eq!((state.on_inbound(), state.open_stream()), (Some(Change::None), Some(&mut 1)));
    }

    #[test]
    fn streams_that_break_are_reopened_and_then_given_up_for_good() {
        let mut state = requested();
        for opened in 1..=MAX_OPENED {
            assert_eq!(state.is_reopened(), opened > 1);
            assert!(state.on_outbound(|| opened).is_some());
            let change = state.on_broken();
            assert_eq!(change, if opened < MAX_OPENED { Change::None } else { BROKEN });
            assert_eq!(state.take_request(|| false), opened < MAX_OPENED);
        }
        // Nothing that happens later reports the peer as up again.
        assert!(matches!(state.outbound, Outbound::GaveUp));
        assert_eq!((state.on_inbound(), state.on_outbound(|| 9)), (None, None));
        assert_eq!((state.on_refused(true), state.on_broken()), (Change::None, Change::None));
        assert!(!state.take_request(|| false) && !state.is_opening() && state.open_stream().is_none());
    }

    #[test]
    fn a_peer_without_our_protocols_is_up_again_once_it_opens_a_stream() {
        let mut state = requested();
        assert_eq!(state.on_refused(true), UNSUPPORTED);
        assert!(!state.take_request(|| false));
        assert_eq!(state.on_inbound(), Some(Change::Established));
        assert!(state.take_request(|| false) && state.is_reopened());
    }

    /// Before, such a peer was reported as up right after it was given up.
    #[test]
    fn a_peer_that_opens_a_stream_when_all_of_ours_are_used_up_is_not_reported_as_up() {
        let mut state = requested();
        for _ in 1..MAX_OPENED {
            assert_eq!(state.on_refused(false), Change::None);
            assert!(state.take_request(|| false));
        }
        assert_eq!(state.on_refused(true), UNSUPPORTED);
        assert_eq!((state.on_inbound(), state.on_inbound()), (None, None));
        assert!(matches!(state.outbound, Outbound::GaveUp) && !state.take_request(|| false));
    }

    #[test]
    fn a_peer_that_reads_one_frame_of_a_stream_gets_one_when_there_is_something_to_write() {
        let mut state = requested();
        assert!(state.on_outbound(|| 0).is_some());
        for stream in 1..3 * MAX_OPENED {
            state.on_frame_read();
            assert!(state.is_on_demand() && !state.take_request(|| false));
            assert!(state.take_request(|| true) && !state.is_reopened());
            assert_eq!(state.on_outbound(|| stream), Some(Change::None));
        }
        // One that reads nothing is given up.
        for _ in 2..=MAX_OPENED {
            assert_eq!(state.on_broken(), Change::None);
            assert!(state.take_request(|| false));
            assert!(state.on_outbound(|| 9).is_some());
        }
        assert_eq!(state.on_broken(), BROKEN);
    }

    #[test]
    fn a_stream_that_nobody_requested_is_dropped() {
        let mut state = StreamState::default();
        assert_eq!(state.on_outbound(|| 1), None);
        assert!(state.take_request(|| false));
        assert_eq!(state.on_outbound(|| 2), Some(Change::Established));
        assert_eq!((state.on_outbound(|| 3), state.open_stream()), (None, Some(&mut 2)));
    }
}
