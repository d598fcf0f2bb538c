//! The way of inputs into the engine, with back-pressure: the inputs of a peer for which the engine has no room wait, and
//! the peer is not read meanwhile.

use std::{
    collections::VecDeque,
    fmt,
    task::{Context, Poll},
};

use ::libp2p::PeerId;

use super::{
    engine::{Engine, RefusedInput},
    pending_inputs::PendingInputs,
};
use crate::{
    libp2p::{
        network::Libp2pNetwork,
        swarm::event::{Event, Inputs, Slowness},
    },
    network::P2pInput,
};

/// What happens to an input.
#[cfg_attr(
    not(feature = "libp2p-node"),
    expect(dead_code, reason = "only the driver of a node observes inputs")
)]
pub(in crate::libp2p) enum InputEvent<'a> {
    /// It is about to be passed to the engine for the first time.
    Input(&'a P2pInput<Libp2pNetwork>),
    /// The engine refused it for good.
    Refused(&'a P2pInput<Libp2pNetwork>, &'a dyn fmt::Debug),
    /// The engine has no room for the inputs of this peer.
    Paused(PeerId, &'a dyn fmt::Debug),
    /// The engine has taken all pending inputs of this peer.
    Resumed(PeerId),
}

pub(in crate::libp2p) type Observe<'a> = dyn FnMut(InputEvent<'_>) + 'a;

/// An engine, and the inputs that wait for it. `observe` of the methods is called for each event that follows.
pub(in crate::libp2p) struct EngineInputs<E> {
    pub(in crate::libp2p) engine: E,
    pending: PendingInputs,
}

impl<E: Engine> EngineInputs<E> {
    pub(in crate::libp2p) fn new(engine: E) -> Self {
        Self { engine, pending: PendingInputs::default() }
    }

    /// Passes inputs to the engine. Messages are queued behind pending inputs of the same peer; a disconnection
    /// overtakes them.
    pub(in crate::libp2p) fn add(&mut self, inputs: Inputs, observe: &mut Observe<'_>) {
        let peer = inputs.peer();
        if !self.pending.contains(&peer) {
            self.pass(peer, [inputs].into(), false, observe);
        } else if matches!(inputs.front(), Some(P2pInput::Disconnection { .. })) {
            self.drop_peer(peer, observe);
            self.pass(peer, [inputs].into(), false, observe);
        } else {
            self.pending.append(inputs);
        }
    }

    /// Passes the pending inputs of a peer for which the engine may have room now.
    pub(in crate::libp2p) fn poll_pending(
        &mut self,
        cx: &mut Context<'_>,
        observe: &mut Observe<'_>,
    ) -> Poll<()> {
        self.pending.poll_ready(cx).map(|(peer, inputs)| self.pass(peer, inputs, true, observe))
    }

    /// Reports to the engine the events of the behaviour that concern it, except inputs.
    pub(in crate::libp2p) fn report(&self, event: &Event) {
        match event {
            Event::Unreachable { point, .. } => self.engine.set_unreachable_point(point.clone()),
            // That memory is scarce is not the fault of this peer.
            Event::SlowPeer { slowness: Slowness::Memory, .. } => {}
            Event::SlowPeer { peer, .. } => self.engine.report_slow_peer(peer),
            Event::InboundFailed { peer, error } if error.is_violation() => {
                self.engine.report_protocol_violation(peer);
            }
            Event::Dropped { reason, lanes, .. } => {
                for (lane, count) in lanes.iter().filter(|(_, count)| *count > 0) {
                    let count = usize::try_from(count).unwrap_or(usize::MAX);
                    self.engine.report_dropped(lane, *reason, count);
                }
            }
            _ => {}
        }
    }

    /// Passes inputs of a peer to the engine and stores those for which it has no room. `retry`: they were stored
    /// before.
    fn pass(&mut self, peer: PeerId, mut inputs: VecDeque<Inputs>, retry: bool, observe: &mut Observe<'_>) {
        let before = count(&inputs);
        let Err(reason) = self.try_pass(&mut inputs, observe) else {
            if retry {
                observe(InputEvent::Resumed(peer));
            }
            return;
        };
        if !retry {
            observe(InputEvent::Paused(peer, &reason));
        }
        // The engine was ready and took nothing: do not try again at once.
        let pause = retry && count(&inputs) == before;
        let ready = match inputs.front().and_then(Inputs::front) {
            Some(refused) => self.engine.p2p_input_ready(refused),
            None => Box::pin(std::future::ready(())),
        };
        self.pending.insert(peer, inputs, ready, pause);
    }

    /// Stops at the first input for which the engine has no room. That one and the later ones stay in `inputs`.
    fn try_pass(
        &mut self,
        inputs: &mut VecDeque<Inputs>,
        observe: &mut Observe<'_>,
    ) -> Result<(), E::Refused> {
        while let Some(batch) = inputs.front_mut() {
            let mut observed = batch.is_observed();
            while let Some(input) = batch.next() {
                if !std::mem::take(&mut observed) {
                    observe(InputEvent::Input(&input));
                }
                match self.engine.p2p_input(input) {
                    Err(RefusedInput { reason, input }) if self.engine.is_temporary(&reason) => {
                        batch.put_back(*input);
                        batch.set_observed();
                        return Err(reason);
                    }
                    Err(RefusedInput { reason, input }) => {
                        observe(InputEvent::Refused(&input, &reason));
                    }
                    Ok(()) => {}
                }
            }
            inputs.pop_front();
        }
        Ok(())
    }

    /// Removes the pending inputs of a peer that disconnects. They are passed to the engine if it has room, and lost
    /// otherwise.
    fn drop_peer(&mut self, peer: PeerId, observe: &mut Observe<'_>) {
        let mut inputs = self.pending.remove(&peer);
        if let Err(reason) = self.try_pass(&mut inputs, observe) {
            for input in inputs.into_iter().flatten() {
                observe(InputEvent::Refused(&input, &reason));
            }
        }
    }
}

fn count(inputs: &VecDeque<Inputs>) -> usize {
    inputs.iter().map(ExactSizeIterator::len).sum()
}
