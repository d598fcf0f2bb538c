//! Behaviour that goes beyond the reference implementation. Each field has a value that disables it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::score::optional_number;

/// Behaviour that the reference implementation does not have. The default enables all of it but flood publishing.
/// [`Extensions::none`] disables all of it, for the Tezos preset and the replay of the recorded traces.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Extensions {
    /// HeartbeatInitialDelay: the time after which the timer of the heartbeat starts. The first heartbeat comes one interval
    /// later. 0, the value of the reference: it starts with the engine.
    #[serde(with = "humantime_serde")]
    pub heartbeat_initial_delay: Duration,
    /// Whether D_score + D_out may be larger than D, as in the specification and in go-libp2p: the peers with the highest
    /// scores that a prune keeps may be outbound ones. D_out must then be below D_lo, or 0. Without this D_score + D_out is at
    /// most D, and D_out at most D_lo.
    pub degree_score_and_out_may_overlap: bool,
    /// BackoffSlack, in ticks: the time after the end of a backoff in which this node does not graft the peer yet, whose clock
    /// may be late, or whose last GRAFT may be on its way. GRAFTs of the peer are accepted meanwhile. It ends at the next
    /// removal of expired backoffs ([`backoff_cleanup_ticks`](super::LimitsConfig::backoff_cleanup_ticks)). The reference
    /// and go-libp2p have 2, rust-libp2p 1.
    pub backoff_slack_ticks: u32,
    /// Whether the peers that a PRUNE recommends (px) are connected to, if its sender has a score of at least
    /// [`accept_px_threshold`](super::LimitsConfig::accept_px_threshold). The reference accepts them. `false`: no PRUNE makes
    /// this node dial anyone, for networks that find their peers in another way.
    /// [`do_px`](super::LimitsConfig::do_px) says whether our own PRUNEs recommend peers.
    pub accept_px: bool,
    /// Whether a PRUNE from a connected peer outside our mesh sets its backoff too. A peer that leaves a topic sends
    /// UNSUBSCRIBE before PRUNE, so that the PRUNE finds it outside the mesh. Without this we may graft it within its
    /// backoff.
    pub late_prune_sets_backoff: bool,
    /// Whether a GRAFT on a topic that we have not joined is ignored (v1.1 "spam protection measures"). Without this it sets
    /// a backoff and is answered by a PRUNE, so that a few bytes about a topic that the peer invents cost memory and an
    /// answer.
    pub ignore_unknown_grafts: bool,
    /// Whether the refused GRAFTs of one peer on one topic that we have joined are answered by at most one PRUNE in a
    /// heartbeat, and those of unconnected peers not at all. The penalties are the same. Without this each is answered.
    pub one_prune_per_heartbeat: bool,
    /// Whether the heartbeat prunes a mesh of exactly `degree_high` peers too. Without this such a mesh stays as it is, and
    /// refuses the GRAFTs of all inbound peers, so that the `degree_high` peers that come first stay in it.
    pub prune_at_degree_high: bool,
    /// Whether a full mesh accepts the GRAFT of an inbound peer with a positive score that is one of the `degree_score`
    /// best, up to `degree_high` + `degree_score` peers. The next heartbeat prunes the mesh and keeps it. Without this, peers
    /// that deliver nothing and graft at the right moments can keep out those that deliver messages by gossip.
    pub full_mesh_accepts_best: bool,
    /// Whether a peer that subscribes to a joined topic is grafted at once if the mesh has fewer than `degree_optimal` peers,
    /// and not at the next heartbeat. It must be neither direct nor backed off, and its score not negative. Each connection
    /// is grafted so once within one heartbeat.
    pub graft_on_subscribe: bool,
    /// Whether a message that we publish is sent to further subscribers if there are fewer than `degree_optimal` peers in the
    /// mesh or fanout, up to that number. If there are not as many subscribers, it is offered by IHAVE to those that subscribe
    /// within `history_gossip_length` heartbeats. Without this, what we publish before the mesh is built is lost.
    pub publish_reaches_degree_optimal: bool,
    /// Flood publishing (v1.1): what we publish is sent to all subscribers whose score is not below `publish_threshold`, as long
    /// as one topic sends beyond its mesh or fanout no more than this number of bytes per second, counted for each
    /// heartbeat. Which subscribers are left out then is random. An attacker that has the whole mesh can't withhold what we
    /// publish. 0, the default, disables it.
    ///
    /// If the publishers of a network flood, their neighbours get messages from them first and not from the mesh. So the peers
    /// of the mesh have lower scores (P2), and `opportunistic_graft_threshold` must be lower too: with the default one a
    /// healthy mesh is changed at each check.
    pub flood_publish_bytes_per_second: usize,
    /// IWantFollowupTime (v1.1 "broken promises"): the time within which a message that we requested must arrive, from
    /// any peer. If it does not, the peer that offered it misbehaved once (P7). One message of each IWANT, chosen at
    /// random, is tracked. 0 disables it.
    #[serde(with = "humantime_serde")]
    pub iwant_followup_time: Duration,
    /// Whether a message is requested by IWANT from one peer at a time. Up to four other peers that offer it are remembered, and
    /// at the heartbeat after [`iwant_followup_time`](Self::iwant_followup_time), or after the peer has disconnected, one of
    /// them is asked, which does not count for `max_sent_iwant_per_heartbeat`. This saves the copies that each offerer would send. A silent peer delays a message by that time. A quarter
    /// of `max_promises_per_topic` messages are tracked in a topic; of further ones each peer is asked. Without this, or with a time of 0, each peer that offers a
    /// message is asked for it.
    pub iwant_from_one_peer: bool,
    /// Whether the ids of an IHAVE are judged only until as many are found as may still be requested from the peer in this
    /// heartbeat (`max_sent_iwant_per_heartbeat`). Without this all are judged, and an invalid one among those that would
    /// not be requested is penalised too.
    pub ihave_stops_at_quota: bool,
    /// The number of ticks for which an invalid message is remembered, and an ignored one without
    /// [`remember_ignored`](Self::remember_ignored). Its id is not requested by IWANT, and a copy of an invalid message is
    /// penalised (P4) without another validation. 0 disables it.
    pub invalid_memory_ticks: usize,
    /// Whether a message that its validation ignores ([`Validity::Outdated`](crate::Validity::Outdated)) is remembered for
    /// [`seen_history_length`](super::LimitsConfig::seen_history_length) ticks, in the seen cache and within its limits, of
    /// which the peer that delivered it first is charged. Messages with its id are dropped and not validated, and the id is
    /// not requested by IWANT. Only a publication of the application passes. Without this each copy is validated again.
    ///
    /// The message is known by its id. If others can forge a message with the id of a true one, and the validator may ignore
    /// such a message in place of rejecting it, disable this.
    pub remember_ignored: bool,
    /// Whether IWANT skips the ids of messages that await a verdict: those under asynchronous validation, in a batch, or
    /// parked. Without this a message is requested again from each peer that offers it meanwhile.
    pub iwant_skips_undecided: bool,
    /// Whether the score of a disconnected peer decays while it is retained, as that of a connected one does. go-libp2p and
    /// rust-libp2p retain it as it was. Then a peer whose score is below
    /// [`disconnect_threshold`](Self::disconnect_threshold) is disconnected again whenever it returns, until it was away for
    /// [`retain_duration`](super::LimitsConfig::retain_duration). A positive score is never retained.
    pub retained_scores_decay: bool,
    /// Whether several copies of one message from one peer count once as mesh message deliveries (P3).
    pub credit_duplicates_once: bool,
    /// The P7 increment when the transport reports a slow peer. At least 0. 0 disables it.
    pub slow_peer_penalty: f64,
    /// Whether the misbehaviour (P7) of a peer whose score is positive is kept for
    /// [`retain_duration`](super::LimitsConfig::retain_duration) when it disconnects; the rest of such a score is forgotten.
    /// Without this a peer that has been in a mesh for a while (P1) loses its misbehaviour by connecting again: one that is
    /// disconnected each time that it stops reading is taken into the mesh forever.
    pub retain_misbehaviour: bool,
    /// The P7 increment when a peer broke the protocol: the transport reports bytes that are no RPC, or it sent a message that
    /// [is a violation](crate::Network::is_violation) on a topic that we have not joined. (On a joined topic that is an invalid
    /// message, P4.) At least 0. 0 disables it.
    pub protocol_violation_penalty: f64,
    /// GraylistThreshold (v1.1): nothing is handled that a peer with a lower score sends, its subscriptions included, before a
    /// signature is checked or an id is made. Direct peers are excepted. At most 0, and at most `gossip_threshold` and
    /// `publish_threshold`. `None`, in a file `"none"`, disables it.
    ///
    /// It is compared with each new score of the peer. What a graylisted peer subscribed to is unknown once its score has
    /// recovered, until it connects again: so disconnect such peers
    /// ([`disconnect_threshold`](Self::disconnect_threshold)).
    #[serde(with = "optional_number")]
    pub graylist_threshold: Option<f64>,
    /// A heartbeat that finds a connected peer with a lower score asks the p2p layer to disconnect it, until it is
    /// disconnected. Direct peers are excepted. At most 0, and at most `gossip_threshold` and `publish_threshold`. Below
    /// `graylist_threshold` a score seldom falls any further. `None`, in a file `"none"`, disables it.
    #[serde(with = "optional_number")]
    pub disconnect_threshold: Option<f64>,
    /// The time for which the p2p layer refuses the connections of a peer that it disconnected because of
    /// `disconnect_threshold` ([`P2pOutput::Kick`](crate::P2pOutput::Kick)). 0: the peer may return at once
    /// ([`P2pOutput::Disconnect`](crate::P2pOutput::Disconnect)), with the score that it had.
    #[serde(with = "humantime_serde")]
    pub ban_duration: Duration,
    /// Whether a message of which this node is the source ([`Network::source`](crate::Network::source)) is refused if it is
    /// not a duplicate: it was published before the seen cache, or the node, began anew. Its sender is not penalised: it may
    /// have taken the message for a new one.
    pub refuse_own_messages: bool,
    /// Whether a message is not forwarded to its source ([`Network::source`](crate::Network::source)), as in go- and
    /// rust-libp2p. Without this it gets a copy of its own message from each mesh peer that another peer was faster to send it to.
    pub skip_author: bool,
    /// Whether the subscriptions of a peer to topics that we have joined are kept, and do not count for `max_topics_per_peer`.
    /// Without this two nodes that join more topics than that keep different ones, and most of their meshes are never built.
    pub keep_joined_subscriptions: bool,
    /// The number of authors whose highest sequence number is stored: a message whose number is not above it is ignored. 0
    /// disables it. The transport for libp2p does so
    /// ([`Libp2pNetworkBuilder::refuse_replays`](crate::libp2p::Libp2pNetworkBuilder::refuse_replays)) unless it is given a
    /// network of your own; the engine does not read it. It demands a `seen_history_length` of at least `history_length`.
    pub replay_check_authors: usize,
    /// Whether a message of a batch is a duplicate if its id was accepted while its verdict was awaited: because this node
    /// published it, or because another content had the same id. Without this it is delivered and forwarded again.
    pub recheck_seen_after_batch: bool,
    /// Whether a parked message (of unknown validity) waits only for those of its own topic. Without this it waits for all
    /// parked messages with smaller ids.
    pub parked_topics_are_independent: bool,
    /// The number of heartbeats after which a message that is still of unknown validity is dropped. 0 disables it.
    pub parked_ticks: u64,
    /// IDontWantMessageThreshold (v1.2), in bytes of
    /// [`Network::message_size`](crate::Network::message_size). For messages of at least this size, the engine sends
    /// IDONTWANT to the mesh on the first copy, and does not send the message to peers that sent IDONTWANT. A smaller
    /// message costs less than the IDONTWANT. 0 disables both.
    ///
    /// IDONTWANT is sent before the message has a verdict. If others can forge a message with the id of a true one, a
    /// forged first copy makes the mesh withhold the true message for [`idontwant_ticks`](Self::idontwant_ticks); it can
    /// still be requested by IWANT. So set 0 unless ids follow from the content, or the transport checks signatures before
    /// it passes messages on, as the libp2p transport does with `StrictSign`.
    pub idontwant_message_size: usize,
    /// Whether IDONTWANT is sent for large messages of our own too, before the messages. A mesh peer that has such a message from
    /// another one, and has not received ours, does not send it back then. The default is that of rust-libp2p: false.
    pub idontwant_on_publish: bool,
    /// The number of ids that are accepted from the IDONTWANTs of one peer within one heartbeat, and that one topic
    /// sends. 0 disables both.
    pub max_idontwant_per_heartbeat: usize,
    /// The number of ticks for which an IDONTWANT of a peer applies. 0 disables it.
    pub idontwant_ticks: usize,
    /// The number of message ids that are stored for one connected peer because it was not sent the messages: an output
    /// queue was full, or the peer read too slowly. When there is room again, those that are still in the message cache
    /// are offered to it by IHAVE, also to mesh peers. The oldest id is dropped for a new one, and counted as a dropped
    /// output of the gossip lane. 0 disables it.
    pub max_missed_ids_per_peer: usize,
    /// Size of the messages that are sent to one peer within one heartbeat because it requested them by IWANT. The first one
    /// is sent whatever its size; the requests of further ones count but are not answered. 0 disables it.
    pub max_iwant_bytes_per_heartbeat: usize,
    /// The size, in bytes of [`Network::encoded_size`](crate::Network::encoded_size), above which a message of a peer is
    /// refused before its validation and counts as an invalid message (P4), as in rust-libp2p, and a publication is refused.
    /// Over libp2p that is the encoded message with its topic and signature, as rust-libp2p measures it. All nodes of a network
    /// must have the same value, which may differ by topic ([`LimitsConfig::topics`](super::LimitsConfig::topics)). 0 disables
    /// it.
    pub max_message_size: usize,
}

impl Extensions {
    /// Applies `change` and returns the result: `Extensions::default().with(|e| e.idontwant_ticks = 3)`.
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// All extensions disabled: the behaviour of the reference implementation.
    pub fn none() -> Self {
        Self {
            heartbeat_initial_delay: Duration::ZERO,
            degree_score_and_out_may_overlap: false,
            backoff_slack_ticks: 2,
            accept_px: true,
            late_prune_sets_backoff: false,
            ignore_unknown_grafts: false,
            one_prune_per_heartbeat: false,
            prune_at_degree_high: false,
            full_mesh_accepts_best: false,
            graft_on_subscribe: false,
            publish_reaches_degree_optimal: false,
            flood_publish_bytes_per_second: 0,
            iwant_followup_time: Duration::ZERO,
            iwant_from_one_peer: false,
            ihave_stops_at_quota: false,
            invalid_memory_ticks: 0,
            remember_ignored: false,
            iwant_skips_undecided: false,
            retained_scores_decay: true,
            credit_duplicates_once: false,
            slow_peer_penalty: 0.0,
            retain_misbehaviour: false,
            protocol_violation_penalty: 0.0,
            graylist_threshold: None,
            disconnect_threshold: None,
            ban_duration: Duration::ZERO,
            refuse_own_messages: false,
            skip_author: false,
            keep_joined_subscriptions: false,
            replay_check_authors: 0,
            recheck_seen_after_batch: false,
            parked_topics_are_independent: false,
            parked_ticks: 0,
            idontwant_message_size: 0,
            idontwant_on_publish: false,
            max_idontwant_per_heartbeat: 0,
            idontwant_ticks: 0,
            max_missed_ids_per_peer: 0,
            max_iwant_bytes_per_heartbeat: 0,
            max_message_size: 0,
        }
    }
}

impl Default for Extensions {
    fn default() -> Self {
        Self {
            heartbeat_initial_delay: Duration::ZERO,
            degree_score_and_out_may_overlap: true,
            backoff_slack_ticks: 2,
            accept_px: true,
            late_prune_sets_backoff: true,
            ignore_unknown_grafts: true,
            one_prune_per_heartbeat: true,
            prune_at_degree_high: true,
            full_mesh_accepts_best: true,
            graft_on_subscribe: true,
            publish_reaches_degree_optimal: true,
            flood_publish_bytes_per_second: 0,
            iwant_followup_time: Duration::from_secs(3),
            iwant_from_one_peer: true,
            ihave_stops_at_quota: true,
            invalid_memory_ticks: 10,
            remember_ignored: true,
            iwant_skips_undecided: true,
            retained_scores_decay: true,
            credit_duplicates_once: true,
            slow_peer_penalty: 1.0,
            retain_misbehaviour: true,
            protocol_violation_penalty: 3.0,
            graylist_threshold: Some(-2500.0),
            disconnect_threshold: Some(-2500.0),
            ban_duration: Duration::from_secs(600),
            refuse_own_messages: true,
            skip_author: true,
            keep_joined_subscriptions: true,
            replay_check_authors: 0,
            recheck_seen_after_batch: true,
            parked_topics_are_independent: true,
            parked_ticks: 120,
            idontwant_message_size: 1000,
            idontwant_on_publish: false,
            max_idontwant_per_heartbeat: 3000,
            idontwant_ticks: 3,
            max_missed_ids_per_peer: 5000,
            max_iwant_bytes_per_heartbeat: 16 * 1024 * 1024,
            max_message_size: 0,
        }
    }
}
