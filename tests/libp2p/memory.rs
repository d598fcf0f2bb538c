//! This test checks the bound of an engine's memory for the types of the libp2p transport.

use actix_gossipsub::{
    Limits, LimitsConfig,
    libp2p::{Libp2pNetwork, TopicName},
    protocol::Footprint,
};

#[test]
fn the_default_limits_bound_the_memory_of_a_large_node_below_1_gib() {
    let limits = Limits::<TopicName>::try_from(LimitsConfig::default()).expect("valid limits");
    let most = Footprint::bytes_at_most::<Libp2pNetwork>(&limits, 1024, 100);
    assert!(most.total() <= 1 << 30, "{} bytes: {most:?}", most.total());
}
