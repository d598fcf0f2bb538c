//! Networks with protocol ids of their own.

use actix_gossipsub::libp2p::{BehaviourConfig, ProtocolVersion};
use libp2p::gossipsub::{self, ConfigBuilder};

use super::{
    Signing,
    ours::{Ours, Setup},
    theirs::{self, Theirs},
    wait,
};

/// Both sides publish a message over the protocol of this id, which the official peer takes for that of `kind`.
async fn exchange(
    ours: BehaviourConfig,
    theirs: impl FnOnce(&mut ConfigBuilder),
    negotiated: &str,
    kind: &str,
) {
    let mut config = theirs::config(Signing::Strict);
    theirs(&mut config);
    let theirs = Theirs::start("theirs", Signing::Strict, &config).await;
    let ours = Ours::start_with(Setup { gossipsub: ours, ..Setup::new(Signing::Strict) }).await;
    ours.dial(&theirs.address).await;
    wait::meshed(&ours, &[&theirs]).await;
    assert_eq!(ours.protocols_with(&theirs.peer), [negotiated]);
    assert_eq!(theirs.protocol_of(ours.peer).await.as_deref(), Some(kind));
    let (from_us, from_them) =
        (ours.publish(vec![b"ours".to_vec()]), theirs.publish(vec![b"theirs".to_vec()]).await);
    wait::delivered(&ours, 1, &[(&theirs, 1)]).await;
    assert_eq!((ours.delivered(), theirs.delivered()), (from_them, from_us));
    ours.stop().await;
}

#[actix_rt::test]
async fn a_prefix_of_our_own_is_negotiated_with_the_latest_version_of_both() {
    let ours = BehaviourConfig::default().protocol_id_prefix("/myapp").unwrap();
    let theirs = |config: &mut ConfigBuilder| {
        config.protocol_id_prefix("/myapp");
    };
    exchange(ours, theirs, "/myapp/1.1.0", "Gossipsubv1_1").await;
}

#[actix_rt::test]
async fn an_id_of_our_own_has_the_version_that_is_configured() {
    let ours = BehaviourConfig::default().protocol_id("/purple", ProtocolVersion::V1_1).unwrap();
    let theirs = |config: &mut ConfigBuilder| {
        config.protocol_id("/purple", gossipsub::Version::V1_1);
    };
    exchange(ours, theirs, "/purple", "Gossipsubv1_1").await;
}
