//! Packs queued fragments into frames, the most urgent first. A frame keeps the limits for writing, and a receiver
//! handles the fragments of all frames in the order in which they were packed.

use super::{
    capabilities::ProtocolVersion,
    lanes::{Item, Lanes},
};
use crate::libp2p::codec::{
    encode::{Fragment, Kind, OVERHEAD},
    limits::WireLimits,
    protobuf::{field, put_length, put_varint},
};

/// Takes the items of one RPC from `pending`, the most urgent first. Appends the frame to `out`, as `version` writes it, and
/// the items to `taken`. Returns the size of the fragments in bytes: 0 if nothing is pending.
pub(in crate::libp2p) fn pack(
    pending: &mut Lanes,
    version: Option<ProtocolVersion>,
    limits: &WireLimits,
    out: &mut Vec<u8>,
    taken: &mut Vec<Item>,
) -> usize {
    let (count, mut size) = count_for_rpc(pending, limits);
    if count == 0 {
        return 0;
    }
    let before = taken.len();
    taken.extend(std::iter::from_fn(|| pending.pop()).take(count));
    if version.is_some_and(|version| version < ProtocolVersion::V1_1) {
        for item in &mut taken[before..] {
            size -= item.fragment.reduce_to_v1_0();
        }
    }
    put_frame(&taken[before..], size, out);
    size
}

/// Writes the RPC of these items as a frame. They ascend in kind and have `size` bytes together.
fn put_frame(items: &[Item], size: usize, out: &mut Vec<u8>) {
    let first_control = items.partition_point(|item| item.fragment.kind <= Kind::Message);
    let (plain, control) = items.split_at(first_control);
    let control_size = control.iter().map(|item| item.fragment.bytes.len()).sum::<usize>();
    let mut head = Vec::new();
    if !control.is_empty() {
        put_length(&mut head, field::rpc::CONTROL, control_size);
    }
    put_varint(out, (size + head.len()) as u64);
    plain.iter().for_each(|item| out.extend_from_slice(&item.fragment.bytes));
    out.extend_from_slice(&head);
    control.iter().for_each(|item| out.extend_from_slice(&item.fragment.bytes));
}

/// How many items, the most urgent first, go into one RPC, and the size of their fragments in bytes.
fn count_for_rpc(pending: &Lanes, limits: &WireLimits) -> (usize, usize) {
    let (mut size, mut control, mut messages, mut subscriptions, mut idontwant) = (0, 0, 0, 0, 0);
    let mut last = Kind::Subscription;
    for (count, item) in pending.iter().enumerate() {
        let Fragment { kind, bytes } = &item.fragment;
        size += bytes.len();
        messages += usize::from(*kind == Kind::Message);
        subscriptions += usize::from(*kind == Kind::Subscription);
        idontwant += usize::from(*kind == Kind::IDontWant);
        control += if *kind == Kind::Message { 0 } else { bytes.len() };
        let full = size + OVERHEAD > limits.frame_target
            || control + OVERHEAD > limits.max_control_bytes_out
            || messages > limits.max_messages_out
            || subscriptions > limits.max_subscriptions_out
            || idontwant > limits.max_idontwant_out;
        // A single fragment always fits: the encoder checked its size.
        if count > 0 && (full || *kind < last) {
            return (count, size - bytes.len());
        }
        last = *kind;
    }
    (pending.items(), size)
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
                decode::decode_frame, encode::fragments, encode_error::EncodeError, frame::FrameDecoder,
            },
            connection::lanes::Item,
            ids::{MessageId, TopicName},
            network::Libp2pNetwork,
            signature::policy::SignaturePolicy,
        },
        network::{FullMessage, P2pMessage, P2pOutput, PxPeer},
        protocol::{Lane, OutputBatch},
    };

    type Message = P2pMessage<Libp2pNetwork>;

    fn network() -> Libp2pNetwork {
        let key = Keypair::ed25519_from_bytes([7; 32]).unwrap();
        Libp2pNetwork::builder(SignaturePolicy::StrictSign(Box::new(key))).build()
    }

    fn lane(message: &Message) -> Lane {
        let (to_peer, message) = (peer(0), message.clone());
        OutputBatch::Output(P2pOutput::OutMessage { to_peer, message }).lane()
    }

    /// Sorts messages by lane, the most urgent first, and otherwise keeps their order.
    fn by_lane(mut messages: Vec<Message>) -> Vec<Message> {
        messages.sort_by_key(|message| {
            lane(message).queue_index(matches!(message, Message::IDontWant { .. }), false)
        });
        messages
    }

    /// The messages that a peer receives when `sent` is queued at once, and the frames that carry them.
    fn transmit(network: &Libp2pNetwork, sent: &[Message]) -> (Vec<Message>, Vec<Vec<u8>>) {
        transmit_over(Some(ProtocolVersion::V1_2), network, sent)
    }

    fn transmit_over(
        version: Option<ProtocolVersion>,
        network: &Libp2pNetwork,
        sent: &[Message],
    ) -> (Vec<Message>, Vec<Vec<u8>>) {
        let limits = network.limits();
        let mut pending = Lanes::default();
        for one in sent {
            let lane = lane(one);
            for fragment in fragments(one, limits).unwrap() {
                pending.push(Item::plain(fragment, lane));
            }
        }
        let mut bytes = Vec::new();
        while pack(&mut pending, version, limits, &mut bytes, &mut Vec::new()) > 0 {}
        assert_eq!((pending.items(), pending.bytes()), (0, 0));
        let mut decoder = FrameDecoder::new(limits.max_frame_in);
        decoder.extend(&bytes);
        let mut frames = Vec::new();
        while let Some(frame) = decoder.next_frame().unwrap() {
            frames.push(frame.to_vec());
        }
        let received = frames.iter().flat_map(|frame| decode_frame(frame, network).unwrap().0).collect();
        (received, frames)
    }

    /// The numbers of full messages and of subscriptions in a frame.
    fn counts(frame: &[u8], network: &Libp2pNetwork) -> (usize, usize) {
        let (messages, _) = decode_frame(frame, network).unwrap();
        let is_subscription =
            |message: &&Message| matches!(message, Message::Subscribe { .. } | Message::Unsubscribe { .. });
        let full = messages.iter().filter(|message| matches!(message, Message::FullMessage(_))).count();
        (full, messages.iter().filter(is_subscription).count())
    }

    fn idontwant_ids(frame: &[u8], network: &Libp2pNetwork) -> usize {
        let ids = |message: &Message| match message {
            Message::IDontWant { message_ids } => message_ids.len(),
            _ => 0,
        };
        decode_frame(frame, network).unwrap().0.iter().map(ids).sum()
    }

    fn any_message(network: &Libp2pNetwork) -> impl Strategy<Value = Message> + use<> {
        let network = network.clone();
        let topic = prop_oneof!["a", "topic"].prop_map(TopicName::from).boxed();
        let ids = prop::collection::vec(
            prop::collection::vec(any::<u8>(), 0..40).prop_map(MessageId::from),
            1..300,
        );
        let data = prop::collection::vec(any::<u8>(), 0..300);
        let px = prop::collection::vec(any::<u8>().prop_map(peer), 0..16);
        prop_oneof![
            topic.clone().prop_map(Message::subscribe),
            topic.clone().prop_map(|topic| Message::Unsubscribe { topic }),
            topic.clone().prop_map(|topic| Message::Graft { topic }),
            (topic.clone(), px, 0u64..100).prop_map(|(topic, px, seconds)| {
                let px = px.into_iter().map(PxPeer::new).collect();
                Message::Prune { topic, px, backoff: Duration::from_secs(seconds) }
            }),
            (topic.clone(), ids.clone())
                .prop_map(|(topic, message_ids)| Message::IHave { topic, message_ids }),
            ids.clone().prop_map(|message_ids| Message::IWant { message_ids }),
            ids.prop_map(|message_ids| Message::IDontWant { message_ids }),
            (topic, data).prop_map(move |(topic, data)| Message::FullMessage(
                network.message(topic, data).unwrap().into()
            )),
        ]
    }

    fn peer(n: u8) -> PeerId {
        Keypair::ed25519_from_bytes([n; 32]).unwrap().public().to_peer_id()
    }

    /// The encoder splits long lists of ids: joins them again.
    fn joined(all: Vec<Message>) -> Vec<Message> {
        all.into_iter().fold(Vec::new(), |mut joined, next| {
            match (joined.last_mut(), next) {
                (
                    Some(Message::IHave { topic, message_ids }),
                    Message::IHave { topic: other, message_ids: more },
                ) if *topic == other => message_ids.extend(more),
                (Some(Message::IWant { message_ids }), Message::IWant { message_ids: more }) => {
                    message_ids.extend(more)
                }
                (Some(Message::IDontWant { message_ids }), Message::IDontWant { message_ids: more }) => {
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
        fn each_lane_is_received_in_the_order_in_which_it_was_sent(
            all in prop::collection::vec(any_message(&network()), 0..40),
        ) {
            let network = network();
            let (received, frames) = transmit(&network, &all);
            prop_assert_eq!(joined(received), joined(by_lane(all)));
            let limits = network.limits();
            for frame in frames {
                prop_assert!(frame.len() <= limits.frame_target);
                let (messages, subscriptions) = counts(&frame, &network);
                prop_assert!(messages <= limits.max_messages_out);
                prop_assert!(subscriptions <= limits.max_subscriptions_out);
                prop_assert!(idontwant_ids(&frame, &network) <= limits.max_idontwant_out);
            }
        }
    }

    #[test]
    fn many_entries_are_split_as_the_strictest_peer_demands() {
        let network = network();
        let topics = (0..1_000).map(|n| Message::subscribe(format!("topic-{n}").into()));
        let messages =
            (0..1_200).map(|_| Message::FullMessage(network.message("t".into(), []).unwrap().into()));
        let ids = (0..2_000u32).map(|n| vec![n as u8; 46].into()).collect();
        let all: Vec<_> =
            topics.chain(messages).chain([Message::IHave { topic: "t".into(), message_ids: ids }]).collect();
        let (received, frames) = transmit(&network, &all);
        assert_eq!(joined(received), all);
        let control = |frame: &Vec<u8>| {
            let (messages, subscriptions) = counts(frame, &network);
            assert!(subscriptions <= 100 && messages <= 500);
            if messages == 0 { frame.len() } else { 0 }
        };
        assert!(frames.iter().map(control).max().unwrap() <= 16_384);
    }

    /// Case 7 of field.md, section 5: go-libp2p applies the first 10 ids of an RPC.
    #[test]
    fn an_rpc_has_at_most_ten_ids_in_idontwants() {
        let network = network();
        let ids: Vec<_> = (0..25u8).map(|n| vec![n; 20].into()).collect();
        let one_by_one =
            ids.iter().map(|id: &MessageId| Message::IDontWant { message_ids: vec![id.clone()] });
        for all in [vec![Message::IDontWant { message_ids: ids.clone() }], one_by_one.collect()] {
            let (received, frames) = transmit(&network, &all);
            assert_eq!(joined(received), [Message::IDontWant { message_ids: ids.clone() }]);
            let counts: Vec<_> = frames.iter().map(|frame| idontwant_ids(frame, &network)).collect();
            assert_eq!(counts, [10, 10, 5]);
        }
    }

    /// The receiver of an id that is too long refuses the whole frame.
    #[test]
    fn ids_that_peers_do_not_read_are_left_out() {
        let network = network();
        let longest = network.limits().max_id_length;
        let lists = |lengths: &[usize]| {
            let ids: Vec<MessageId> = lengths.iter().map(|length| vec![7; *length].into()).collect();
            by_lane(vec![
                Message::IHave { topic: "t".into(), message_ids: ids.clone() },
                Message::IWant { message_ids: ids.clone() },
                Message::IDontWant { message_ids: ids },
            ])
        };
        let sent = lists(&[longest + 1, 20, longest, 2 * longest, 7]);
        assert_eq!(joined(transmit(&network, &sent).0), lists(&[20, longest, 7]));
        for list in lists(&[2 * longest, longest + 1]) {
            let error = fragments(&list, network.limits()).unwrap_err();
            assert_eq!(error, EncodeError::LongId { length: longest + 1, max: longest });
        }
    }

    #[test]
    fn entries_share_a_frame_where_their_order_allows_and_a_ping_is_not_sent() {
        let network = network();
        let topic = || TopicName::from("t");
        let prune = Message::Prune { topic: topic(), px: vec![], backoff: Duration::from_millis(1_500) };
        let all = [Message::subscribe(topic()), Message::Ping, Message::Graft { topic: topic() }];
        assert_eq!(transmit(&network, &all).1.len(), 1);
        let (received, frames) = transmit(&network, &[prune, Message::Unsubscribe { topic: topic() }]);
        assert_eq!(frames.len(), 2);
        let backoff = Duration::from_secs(2);
        assert_eq!(received[0], Message::Prune { topic: topic(), px: vec![], backoff });
    }

    /// Case G15 of spam-cases.md. The decoder takes an absent backoff for the default one.
    #[test]
    fn a_prune_of_v1_0_names_its_topic_only() {
        let network = network();
        let topic = || TopicName::from("t");
        let px = (1..4).map(peer).map(|peer| PxPeer { peer, record: Some(vec![7; 100].into()) }).collect();
        let prune = Message::Prune { topic: topic(), px, backoff: Duration::from_secs(7) };
        let all = [Message::Graft { topic: topic() }, prune.clone(), Message::subscribe(topic())];
        let (received, frames) = transmit_over(Some(ProtocolVersion::V1_0), &network, &all);
        let [graft, prune] = [[0x1a, 3, 0x0a, 1, b't'], [0x22, 3, 0x0a, 1, b't']];
        assert_eq!(frames[0], [&[0x1a, 10], &graft[..], &prune].concat());
        assert!(matches!(&received[1], Message::Prune { px, .. } if px.is_empty()), "{received:?}");
        assert_eq!(received.len(), all.len());
        for version in [None, Some(ProtocolVersion::V1_1)] {
            assert_eq!(transmit_over(version, &network, &all).0, all);
        }
    }

    #[test]
    fn a_message_that_no_peer_accepts_is_not_encoded() {
        let network = network();
        assert!(network.message("t".into(), vec![0; 64_000]).is_ok());
        assert!(network.message("t".into(), vec![0; 65_536]).is_err());
        let key = Keypair::generate_ed25519();
        let policy = SignaturePolicy::StrictSign(Box::new(key));
        let message = policy.author(&"t".into(), 1, vec![0; 65_536]).unwrap();
        let full = FullMessage { topic: "t".into(), message_id: vec![1].into(), message };
        let error = fragments(&Message::FullMessage(full.into()), network.limits()).unwrap_err();
        assert!(matches!(error, EncodeError::TooLarge { max: 65_536, .. }));
    }
}
