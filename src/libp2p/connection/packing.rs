//! Fragments as frames, the most urgent first. It never merges what a receiver would read in another order than ours, and
//! never writes a frame that the limits forbid.

use super::lanes::{Item, Waiting};
use crate::libp2p::codec::{
    encode::{Fragment, Kind, OVERHEAD, put_varint},
    frame::WireLimits,
};

/// Takes from `waiting`, the most urgent first, what goes into one RPC, and appends it to `out` as a
/// frame, and to `taken` as it is. Returns the bytes taken: none if nothing waits.
pub(in crate::libp2p) fn pack(
    waiting: &mut Waiting,
    limits: &WireLimits,
    out: &mut Vec<u8>,
    taken: &mut Vec<Item>,
) -> usize {
    let (count, size) = fill(waiting, limits);
    if count == 0 {
        return 0;
    }
    let before = taken.len();
    taken.extend(std::iter::from_fn(|| waiting.pop()).take(count));
    put_frame(&taken[before..], size, out);
    size
}

/// The RPC of these items, of ascending kind and `size` bytes together, as a frame.
fn put_frame(items: &[Item], size: usize, out: &mut Vec<u8>) {
    let first_control = items.partition_point(|item| item.fragment.kind <= Kind::Message);
    let (plain, control) = items.split_at(first_control);
    let control_size = control.iter().map(|item| item.fragment.bytes.len()).sum::<usize>() as u64;
    let mut head = Vec::new();
    if !control.is_empty() {
        put_varint(&mut head, 3 << 3 | 2);
        put_varint(&mut head, control_size);
    }
    put_varint(out, (size + head.len()) as u64);
    plain.iter().for_each(|item| out.extend_from_slice(&item.fragment.bytes));
    out.extend_from_slice(&head);
    control.iter().for_each(|item| out.extend_from_slice(&item.fragment.bytes));
}

/// How many fragments, the most urgent first, go into one RPC, and their bytes.
fn fill(waiting: &Waiting, limits: &WireLimits) -> (usize, usize) {
    let (mut size, mut control, mut messages, mut subscriptions) = (0, 0, 0, 0);
    let mut last = Kind::Subscription;
    for (count, item) in waiting.iter().enumerate() {
        let Fragment { kind, bytes } = &item.fragment;
        size += bytes.len();
        messages += usize::from(*kind == Kind::Message);
        subscriptions += usize::from(*kind == Kind::Subscription);
        control += if *kind == Kind::Message { 0 } else { bytes.len() };
        let full = size + OVERHEAD > limits.frame_target
            || control + OVERHEAD > limits.max_control_bytes_out
            || messages > limits.max_messages_out
            || subscriptions > limits.max_subscriptions_out;
        // The first one goes in any case: alone it fits, see `fits`.
        if count > 0 && (full || *kind < last) {
            return (count, size - bytes.len());
        }
        last = *kind;
    }
    (waiting.items(), size)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ::libp2p::{PeerId, identity::Keypair};
    use proptest::prelude::*;

    use super::*;
    use crate::{
        libp2p::{
            codec::{
                decode as inbound,
                encode::{EncodeError, fragments},
                frame::FrameDecoder,
                rpc,
            },
            connection::lanes::Item,
            ids::{MessageId, TopicName},
            network::Libp2pNetwork,
            signature::policy::SignaturePolicy,
        },
        network::{FullMessage, P2pMessage, P2pOutput},
        protocol::{Emission, Lane},
    };

    type Said = P2pMessage<Libp2pNetwork>;

    fn network() -> Libp2pNetwork {
        let key = Keypair::ed25519_from_bytes([7; 32]).unwrap();
        Libp2pNetwork::builder(SignaturePolicy::StrictSign(Box::new(key))).build()
    }

    fn lane(said: &Said) -> Lane {
        let (to_peer, message) = (peer(0), said.clone());
        Emission::Output(P2pOutput::OutMessage { to_peer, message }).lane()
    }

    /// What was said, the most urgent first, and otherwise in its order.
    fn by_lane(mut said: Vec<Said>) -> Vec<Said> {
        said.sort_by_key(|said| lane(said).place(matches!(said, Said::IDontWant { .. })));
        said
    }

    /// What is heard when `said` is queued at once, and the frames that carry it.
    fn heard(network: &Libp2pNetwork, said: &[Said]) -> (Vec<Said>, Vec<Vec<u8>>) {
        let limits = network.limits();
        let mut waiting = Waiting::default();
        for one in said {
            let lane = lane(one);
            for fragment in fragments(one, limits).unwrap() {
                waiting.push(Item { fragment, lane, id: None, receipt: None });
            }
        }
        let mut bytes = Vec::new();
        while pack(&mut waiting, limits, &mut bytes, &mut Vec::new()) > 0 {}
        assert_eq!((waiting.items(), waiting.bytes()), (0, 0));
        let mut decoder = FrameDecoder::new(limits.max_frame_in);
        decoder.extend(&bytes);
        let mut frames = Vec::new();
        while let Some(frame) = decoder.next_frame().unwrap() {
            frames.push(frame.to_vec());
        }
        let heard = frames.iter().flat_map(|frame| inbound::read(frame, network).unwrap()).collect();
        (heard, frames)
    }

    fn said(network: &Libp2pNetwork) -> impl Strategy<Value = Said> + use<> {
        let network = network.clone();
        let topic = prop_oneof!["a", "topic"].prop_map(TopicName::from).boxed();
        let ids = prop::collection::vec(
            prop::collection::vec(any::<u8>(), 0..40).prop_map(MessageId::from),
            1..300,
        );
        let data = prop::collection::vec(any::<u8>(), 0..300);
        let px = prop::collection::vec(any::<u8>().prop_map(peer), 0..16);
        prop_oneof![
            topic.clone().prop_map(|topic| Said::Subscribe { topic }),
            topic.clone().prop_map(|topic| Said::Unsubscribe { topic }),
            topic.clone().prop_map(|topic| Said::Graft { topic }),
            (topic.clone(), px, 0u64..100).prop_map(|(topic, px, seconds)| {
                Said::Prune { topic, px, backoff: Duration::from_secs(seconds) }
            }),
            (topic.clone(), ids.clone()).prop_map(|(topic, message_ids)| Said::IHave { topic, message_ids }),
            ids.clone().prop_map(|message_ids| Said::IWant { message_ids }),
            ids.prop_map(|message_ids| Said::IDontWant { message_ids }),
            (topic, data).prop_map(move |(topic, data)| Said::FullMessage(
                network.message(topic, data).unwrap().into()
            )),
        ]
    }

    fn peer(n: u8) -> PeerId {
        Keypair::ed25519_from_bytes([n; 32]).unwrap().public().to_peer_id()
    }

    /// Ihaves and iwants may be cut: joins what came in pieces.
    fn joined(all: Vec<Said>) -> Vec<Said> {
        all.into_iter().fold(Vec::new(), |mut joined, next| {
            match (joined.last_mut(), next) {
                (
                    Some(Said::IHave { topic, message_ids }),
                    Said::IHave { topic: other, message_ids: more },
                ) if *topic == other => message_ids.extend(more),
                (Some(Said::IWant { message_ids }), Said::IWant { message_ids: more }) => {
                    message_ids.extend(more)
                }
                (Some(Said::IDontWant { message_ids }), Said::IDontWant { message_ids: more }) => {
                    message_ids.extend(more)
                }
                (_, next) => joined.push(next),
            }
            joined
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn each_lane_is_heard_in_the_order_in_which_it_was_said(
            all in prop::collection::vec(said(&network()), 0..40),
        ) {
            let network = network();
            let (heard, frames) = heard(&network, &all);
            prop_assert_eq!(joined(heard), joined(by_lane(all)));
            let limits = network.limits();
            for frame in frames {
                prop_assert!(frame.len() <= limits.frame_target);
                let rpc = rpc::read(&frame, limits).unwrap();
                prop_assert!(rpc.messages.len() <= limits.max_messages_out);
                prop_assert!(rpc.subscriptions.len() <= limits.max_subscriptions_out);
            }
        }
    }

    #[test]
    fn many_entries_are_split_as_the_strictest_peer_wants() {
        let network = network();
        let topics = (0..1_000).map(|n| Said::Subscribe { topic: format!("topic-{n}").into() });
        let messages = (0..1_200).map(|_| Said::FullMessage(network.message("t".into(), []).unwrap().into()));
        let ids = (0..2_000u32).map(|n| vec![n as u8; 46].into()).collect();
        let all: Vec<_> =
            topics.chain(messages).chain([Said::IHave { topic: "t".into(), message_ids: ids }]).collect();
        let (heard, frames) = heard(&network, &all);
        assert_eq!(joined(heard), all);
        let control = |frame: &Vec<u8>| {
            let rpc = rpc::read(frame, network.limits()).unwrap();
            assert!(rpc.subscriptions.len() <= 100 && rpc.messages.len() <= 500);
            if rpc.messages.is_empty() { frame.len() } else { 0 }
        };
        assert!(frames.iter().map(control).max().unwrap() <= 16_384);
    }

    #[test]
    fn what_may_share_a_frame_does_and_a_ping_is_nothing() {
        let network = network();
        let topic = || TopicName::from("t");
        let prune = Said::Prune { topic: topic(), px: vec![], backoff: Duration::from_millis(1_500) };
        let all = [Said::Subscribe { topic: topic() }, Said::Ping, Said::Graft { topic: topic() }];
        assert_eq!(heard(&network, &all).1.len(), 1);
        let (heard, frames) = heard(&network, &[prune, Said::Unsubscribe { topic: topic() }]);
        assert_eq!(frames.len(), 2);
        let backoff = Duration::from_secs(2);
        assert_eq!(heard[0], Said::Prune { topic: topic(), px: vec![], backoff });
    }

    #[test]
    fn what_no_peer_would_read_is_not_written() {
        let network = network();
        assert!(network.message("t".into(), vec![0; 64_000]).is_ok());
        assert!(network.message("t".into(), vec![0; 65_536]).is_err());
        let key = Keypair::generate_ed25519();
        let policy = SignaturePolicy::StrictSign(Box::new(key));
        let message = policy.author(&"t".into(), 1, vec![0; 65_536]).unwrap();
        let full = FullMessage { topic: "t".into(), message_id: vec![1].into(), message };
        let error = fragments(&Said::FullMessage(full.into()), network.limits()).unwrap_err();
        assert!(matches!(error, EncodeError::TooLarge { max: 65_536, .. }));
    }
}
