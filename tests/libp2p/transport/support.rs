//! This module builds the swarms of this crate for the tests, and runs them with others.

use std::time::Duration;

use actix_gossipsub::libp2p::{
    BehaviourConfig, Event, Libp2pNetwork, Libp2pNetworkBuilder, SignaturePolicy, TransportBehaviour,
    TransportBehaviourEvent, TransportConfig,
};
use actix_gossipsub::{P2pInput, P2pMessage, P2pOutput};
use futures::StreamExt;
use libp2p::{
    PeerId, Swarm,
    identity::Keypair,
    swarm::{NetworkBehaviour, SwarmEvent},
};
pub use testkit::swarms::{Raw, Reads, listen, other, socket_address, specified_id};

pub type Net = Libp2pNetwork;
pub type NetMessage = P2pMessage<Net>;
pub type Input = P2pInput<Net>;
pub type Ours = Swarm<TransportBehaviour>;

pub fn settings(key: &Keypair) -> Libp2pNetworkBuilder {
    Libp2pNetwork::builder(SignaturePolicy::StrictSign(Box::new(key.clone())))
}

/// A swarm of this crate and its network. Its connections run on the thread of the test, so that nothing is written or read
/// between two steps of the test.
pub fn ours(gossipsub: BehaviourConfig) -> (Ours, Net) {
    ours_with(&TransportConfig::default().with(|c| (c.gossipsub, c.connection_threads) = (gossipsub, 0)))
}

/// A swarm of this crate and its network.
pub fn ours_with(config: &TransportConfig) -> (Ours, Net) {
    let key = Keypair::generate_ed25519();
    let network = settings(&key).build();
    (actix_gossipsub::libp2p::swarm(key, network.clone(), config).unwrap(), network)
}

/// Runs both swarms until `pick` returns `Some` for a gossipsub event of `left`.
pub async fn until<B: NetworkBehaviour, T>(
    left: &mut Ours,
    right: &mut Swarm<B>,
    mut pick: impl FnMut(Event) -> Option<T>,
) -> T {
    both(left, right, |event| pick(event?), |_| None).await
}

/// Runs both swarms until one of the two closures returns `Some`. The first is called with `None` for each event of
/// `left` that is not an event of gossipsub.
pub async fn both<B: NetworkBehaviour, T>(
    left: &mut Ours,
    right: &mut Swarm<B>,
    mut pick: impl FnMut(Option<Event>) -> Option<T>,
    mut pick_right: impl FnMut(SwarmEvent<B::ToSwarm>) -> Option<T>,
) -> T {
    let work = async {
        loop {
            let found = tokio::select! {
                event = left.select_next_some() => match event {
                    SwarmEvent::Behaviour(TransportBehaviourEvent::Gossipsub(event)) => pick(Some(event)),
                    _ => pick(None),
                },
                event = right.select_next_some() => pick_right(event),
            };
            if let Some(found) = found {
                return found;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), work).await.expect("the expected event occurs within 20 s")
}

/// Runs two swarms until each has reported the other as connected and has established `connections` gossipsub
/// connections. Returns the inputs of each engine.
pub async fn meet(left: &mut Ours, right: &mut Ours, connections: usize) -> (Vec<Input>, Vec<Input>) {
    let ((mut l, mut r), (mut l_established, mut r_established)) = ((Vec::new(), Vec::new()), (0, 0));
    while l_established < connections || r_established < connections || l.is_empty() || r.is_empty() {
        let gossipsub = |event| match event {
            SwarmEvent::Behaviour(TransportBehaviourEvent::Gossipsub(event)) => Some((false, event)),
            _ => None,
        };
        let (is_left, event) = both(left, right, |event| event.map(|event| (true, event)), gossipsub).await;
        let (inputs_so_far, established) =
            if is_left { (&mut l, &mut l_established) } else { (&mut r, &mut r_established) };
        *established += usize::from(matches!(event, Event::Established { .. }));
        inputs_so_far.extend(inputs(event));
    }
    (l, r)
}

/// The event, if it is an event of gossipsub.
pub fn gossipsub_event(event: SwarmEvent<TransportBehaviourEvent>) -> Option<Event> {
    match event {
        SwarmEvent::Behaviour(TransportBehaviourEvent::Gossipsub(event)) => Some(event),
        _ => None,
    }
}

/// The inputs in an event, which may be none.
pub fn inputs(event: Event) -> Vec<Input> {
    match event {
        Event::Inputs(inputs) => inputs.collect(),
        _ => Vec::new(),
    }
}

/// The connection among the inputs of an event, if there is one.
pub fn connected(event: Event) -> Option<Input> {
    inputs(event).into_iter().find(|input| matches!(input, P2pInput::NewConnection { .. }))
}

pub fn send_message(swarm: &mut Ours, to_peer: PeerId, message: NetMessage) {
    swarm.behaviour_mut().gossipsub.apply(P2pOutput::OutMessage { to_peer, message });
}
