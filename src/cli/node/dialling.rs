//! Reports of configured peers that can't be reached: at once, and then ever less often.

use std::{
    collections::HashMap,
    io,
    time::{Duration, Instant},
};

use libp2p::{Multiaddr, PeerId, TransportError, multiaddr::Protocol, swarm::DialError};

use crate::cli::failure::with_causes;

/// Time from the first report of an address to the second. It doubles up to [`MAX_INTERVAL`].
const FIRST_INTERVAL: Duration = Duration::from_secs(10);
const MAX_INTERVAL: Duration = Duration::from_secs(3_600);

/// The configured addresses, and when each is reported next. Dials of other peers fail all the time and are not reported.
pub struct DialFailures(HashMap<Multiaddr, NextReport>);

struct NextReport {
    at: Option<Instant>,
    interval: Duration,
}

impl DialFailures {
    pub fn new(dialled: &[Multiaddr]) -> Self {
        let next = |address| (without_peer(address), NextReport { at: None, interval: FIRST_INTERVAL });
        Self(dialled.iter().map(next).collect())
    }

    /// Logs a failure if it is time to.
    pub fn report(&mut self, error: &DialError, now: Instant) {
        for (address, cause) in self.due(error, now) {
            tracing::warn!("can't connect to {address}: {cause}; it is dialled again");
        }
    }

    /// The addresses to report, with the cause of each.
    fn due(&mut self, error: &DialError, now: Instant) -> Vec<(Multiaddr, String)> {
        let mut failures = failures(error);
        failures.retain(|(address, _)| {
            self.0.get_mut(&without_peer(address)).is_some_and(|next| next.is_due(now))
        });
        failures
    }
}

impl NextReport {
    fn is_due(&mut self, now: Instant) -> bool {
        if self.at.is_some_and(|at| now < at) {
            return false;
        }
        self.at = Some(now + self.interval);
        self.interval = (self.interval * 2).min(MAX_INTERVAL);
        true
    }
}

/// The error at each address.
fn failures(error: &DialError) -> Vec<(Multiaddr, String)> {
    match error {
        DialError::Transport(errors) => {
            errors.iter().map(|(address, error)| (address.clone(), cause(error))).collect()
        }
        DialError::LocalPeerId { address } => {
            vec![(
                address.clone(),
                "this is the node itself: remove the address from network.dial".to_owned(),
            )]
        }
        DialError::WrongPeerId { obtained, address } => {
            vec![(address.clone(), format!("there is another peer at this address, {obtained}"))]
        }
        _ => Vec::new(),
    }
}

fn cause(error: &TransportError<io::Error>) -> String {
    let cause = with_causes(error);
    // The transports wrap this error in their own, whose types differ with the features.
    if cause.contains("Unsupported resolved address")
        || matches!(error, TransportError::MultiaddrNotSupported(_))
    {
        return "this binary can't dial such an address: it knows tcp, dns and, with the feature `quic`, quic-v1".to_owned();
    }
    cause
}

/// Whether dialling `address` would be dialling the node `local`, which listens on `listen`.
pub fn is_own(address: &Multiaddr, local: PeerId, listen: &[Multiaddr]) -> bool {
    match address.iter().last() {
        Some(Protocol::P2p(peer)) => peer == local,
        _ => listen.contains(address),
    }
}

fn without_peer(address: &Multiaddr) -> Multiaddr {
    address.iter().filter(|part| !matches!(part, Protocol::P2p(_))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreachable_peer_is_reported_at_once_and_then_ever_less_often() {
        let address: Multiaddr = "/ip4/127.0.0.1/tcp/1".parse().unwrap();
        let mut failures = DialFailures::new(std::slice::from_ref(&address));
        let mut reports = |address: &Multiaddr, seconds: std::ops::Range<u64>| {
            let start = Instant::now();
            let refused = || TransportError::Other(io::Error::from(io::ErrorKind::ConnectionRefused));
            let error = |_| DialError::Transport(vec![(address.clone(), refused())]);
            let due = |second| failures.due(&error(second), start + Duration::from_secs(second)).len();
            seconds.map(due).sum::<usize>()
        };
        let unknown = "/ip4/10.0.0.1/tcp/1".parse().unwrap();
        assert_eq!(reports(&unknown, 0..100), 0);
        // After 0, 10, 30, 70 and 150 s.
        assert_eq!(reports(&address, 0..200), 5);
    }
}
