//! Settings for which a preset or a default is unsuitable. They violate no rule, but the node works worse than expected.

use actix_gossipsub::{Limits, libp2p::TopicName};

use super::settings::{MessageFormat, Sections};

/// The longest frame that rust-libp2p reads with its defaults, in bytes.
const RUST_MAX_FRAME: usize = 65_536;
/// The longest frame that go- and js-libp2p read with their defaults, in bytes.
const GO_MAX_FRAME: usize = 1 << 20;

/// Each misfit as a sentence that names the keys.
pub fn unfit(sections: &Sections, limits: &Limits<TopicName>) -> Vec<String> {
    let mut warnings = Vec::new();
    let topics = sections.topics.join.len();
    let most = limits.max_topics_per_peer;
    if topics > most {
        warnings.push(format!(
            "topics.join has {topics} topics, and limits.max_topics_per_peer is {most}: peers with this limit ignore \
             {} of our subscriptions, except to topics that they have joined; raise it on all nodes, or use a preset with more (tezos-dal)",
            topics - most
        ));
    }
    let network = &sections.network;
    let max_out = network.max_frame_out;
    // All nodes of a network with a format of its own read the same frames.
    let is_mixed = network.message_format == MessageFormat::Default;
    if is_mixed && max_out > GO_MAX_FRAME {
        warnings.push(format!(
            "network.max_frame_out is {max_out}: go-, js- and rust-libp2p close the stream of a larger frame than \
             1048576 or 65536 bytes unless they are configured otherwise"
        ));
    } else if is_mixed && max_out > RUST_MAX_FRAME {
        warnings.push(format!(
            "network.max_frame_out is {max_out}: rust-libp2p closes the stream of a larger frame than 65536 bytes \
             unless it is configured otherwise (max_transmit_size)"
        ));
    }
    if network.max_frame_in < max_out {
        warnings.push(format!(
            "network.max_frame_in is {}, and network.max_frame_out {max_out}: nodes with this configuration do not read \
             the largest messages of each other",
            network.max_frame_in
        ));
    }
    let largest = limits.extensions.max_message_size;
    if largest > max_out {
        warnings.push(format!(
            "limits.extensions.max_message_size is {largest}, and network.max_frame_out {max_out}: a message above \
             some {max_out} bytes is accepted and can't be forwarded"
        ));
    }
    let http = &sections.http;
    match http.listen.filter(|_| http.admin_token_file.is_some()) {
        None if http.admin_token_file.is_some() => {
            warnings.push("http.admin_token_file is set, and http.listen is not: nothing is served".to_owned());
        }
        Some(address) if !address.ip().is_loopback() => warnings.push(format!(
            "http.admin_token_file is set, and http.listen is {address}: the token is sent without encryption; put a proxy \
             with TLS before a loopback address"
        )),
        _ => {}
    }
    let factor = limits.gossip_factor;
    if !(0.0..=1.0).contains(&factor) {
        warnings.push(format!(
            "limits.gossip_factor is {factor}: it is a fraction, and counts as {}",
            factor.clamp(0.0, 1.0)
        ));
    }
    let ihaves = limits.max_recv_ihave_per_heartbeat as usize;
    if topics > ihaves {
        warnings.push(format!(
            "topics.join has {topics} topics, and limits.max_recv_ihave_per_heartbeat is {ihaves}: gossip of the other \
             topics is ignored within a heartbeat"
        ));
    }
    warnings
}
