//! The order of the sends of several messages that are published together.

use std::collections::BTreeMap;

use super::pending::PendingOutput;
use crate::network::Network;

/// Orders the sends so that each message goes to one peer before any message goes to a second one: where the upload is the
/// bottleneck, the network has every message after the time that one copy of each takes. The first copies are spread over
/// the peers, of which each has a connection of its own. A message becomes two outputs at most, since a transport encodes each
/// output once.
pub(crate) fn spread<N: Network>(outputs: Vec<PendingOutput<N>>) -> Vec<PendingOutput<N>> {
    let (mut first, mut further) = (Vec::with_capacity(2 * outputs.len()), Vec::new());
    let mut first_copies = BTreeMap::<N::Peer, usize>::new();
    for output in outputs {
        let PendingOutput::Broadcast { mut to, message, bytes, lane, sent_first, charge } = output else {
            first.push(output);
            continue;
        };
        let copies = |index: &usize| first_copies.get(&to[*index]).copied();
        let Some(index) = (0..to.len()).min_by_key(copies) else { continue };
        let peer = to.remove(index);
        *first_copies.entry(peer.clone()).or_default() += 1;
        let add = |outputs: &mut Vec<_>, to, bytes| {
            let (message, charge) = (message.clone(), charge.clone());
            outputs.push(PendingOutput::Broadcast { to, message, bytes, lane, sent_first, charge });
        };
        if to.is_empty() {
            add(&mut first, vec![peer], bytes);
        } else {
            // The message is in memory once: the later output counts it.
            add(&mut first, vec![peer], size_of::<N::Peer>() + size_of::<PendingOutput<N>>());
            add(&mut further, to, bytes);
        }
    }
    first.append(&mut further);
    first
}
