//! This module has the comparison rule of each answer, as FORMAT.md, 4 to 6, specifies.

use super::canonical::{
    Field,
    Presence::{AbsentIfEmpty, Optional, Required},
    Rule::{
        self, Exact, List, Map, Multiset, NonZero, Nullable, Number, Object, Origin, P2p, Set, Tagged, Tuple,
    },
};

type Variant = (&'static str, &'static [Field]);

const fn field(key: &'static str, rule: Rule) -> Field {
    Field { key, rule, presence: Required }
}

const fn optional(key: &'static str, rule: Rule) -> Field {
    Field { key, rule, presence: Optional }
}

/// Any answer.
pub const ANSWER: Rule = Tagged("out", ANSWERS);

const ANSWERS: &[Variant] = &[
    ("ok", OUTPUTS),
    ("assert_failure", &[]),
    ("view", VIEW),
    // Automaton.
    ("peer_added", &[]),
    ("peer_already_known", &[]),
    ("removing_peer", &[]),
    ("subscribed", &[]),
    ("subscribe_to_unknown_peer", &[]),
    ("subscribe_ignored_topic_limit_exceeded", &[]),
    ("unsubscribed", &[]),
    ("unsubscribe_from_unknown_peer", &[]),
    ("grafting_successfully", &[]),
    ("peer_filtered", &[]),
    ("unsubscribed_topic", &[]),
    ("peer_already_in_mesh", &[]),
    ("unexpected_grafting_peer", &[]),
    ("grafting_direct_peer", &[]),
    ("peer_backed_off", &[]),
    ("grafting_peer_with_negative_score", &[]),
    ("mesh_full", &[]),
    ("prune_topic_not_tracked", &[]),
    ("peer_not_in_mesh", &[]),
    ("ignore_px_score_too_low", &[field("score", Number)]),
    ("no_px", &[]),
    ("px", &[field("peers", Set)]),
    ("ihave_from_peer_with_low_score", SCORE_AND_THRESHOLD),
    ("too_many_recv_ihave_messages", COUNT_AND_MAX),
    ("too_many_sent_iwant_messages", COUNT_AND_MAX),
    ("message_topic_not_tracked", &[]),
    ("invalid_message_id", &[]),
    ("message_requested_message_ids", &[field("message_ids", Multiset(&Exact))]),
    ("iwant_from_peer_with_low_score", SCORE_AND_THRESHOLD),
    ("on_iwant_messages_to_route", &[field("routed", Set)]),
    ("route_message", &[field("to_route", Set)]),
    ("already_received", &[]),
    ("not_subscribed", &[]),
    ("invalid_message", &[]),
    ("unknown_validity", &[]),
    ("outdated", &[]),
    ("to_include_in_batch", BATCH_ENTRY),
    ("batch_result", &[field("results", List(&Object(BATCH_RESULT)))]),
    ("publish_message", &[field("to_publish", Set)]),
    ("already_published", &[]),
    ("joining_topic", &[field("to_graft", Set)]),
    ("already_joined", &[]),
    ("leaving_topic", &[field("to_prune", Set), field("no_px_peers", Set)]),
    ("not_joined", &[]),
    ("heartbeat", &[field("to_graft", Map(&Set)), field("to_prune", Map(&Set)), field("no_px_peers", Set)]),
    ("set_application_score", &[]),
    ("px_peers", &[field("peers", Set)]),
    ("gossip_messages", &[field("messages", Multiset(&Object(GOSSIP)))]),
    // Worker.
    ("stats", STATS),
    ("is_subscribed", &[field("value", Exact)]),
    ("reconnection_delays", &[field("points", List(&Exact))]),
    ("input_queue_length", &[field("value", Exact)]),
];

const SCORE_AND_THRESHOLD: &[Field] = &[field("score", Number), field("threshold", Number)];
const COUNT_AND_MAX: &[Field] = &[field("count", Exact), field("max", Exact)];

const BATCH_ENTRY: &[Field] = &[
    field("sender", Exact),
    field("topic", Exact),
    field("message_id", Exact),
    field("message", Exact),
    field("co_senders", Set),
];

const BATCH_RESULT: &[Field] = &[
    field("sender", Exact),
    field("topic", Exact),
    field("message_id", Exact),
    field("message", Exact),
    field("output", Tagged("out", VERDICTS)),
];

const VERDICTS: &[Variant] = &[
    ("route_message", &[field("to_route", Set)]),
    ("outdated", &[]),
    ("unknown_validity", &[]),
    ("invalid_message", &[]),
    ("not_subscribed", &[]),
];

const GOSSIP: &[Field] =
    &[field("peer", Exact), field("topic", Exact), field("message_ids", Multiset(&Exact))];

/// The outputs of an op. They are absent if the op only changes the application.
const OUTPUTS: &[Field] = &[
    optional("p2p", P2p(&Tagged("type", P2P_OUTPUTS))),
    optional("app", List(&Object(FULL_MESSAGE))),
    Field { key: "events", rule: List(&Tagged("type", EVENTS)), presence: AbsentIfEmpty },
];

const FULL_MESSAGE: &[Field] = &[field("topic", Exact), field("message_id", Exact), field("message", Exact)];

const EVENTS: &[Variant] = &[
    ("subscribe_topic_cap_exceeded", &[field("peer", Exact), field("max_topics", Exact)]),
    ("p2p_queue_drop", &[field("depth", Exact)]),
];

const P2P_OUTPUTS: &[Variant] = &[
    ("out_message", &[field("to_peer", Exact), field("p2p_message", Tagged("type", P2P_MESSAGES))]),
    ("connect", &[field("peer", Exact), field("origin", Origin(&Object(&[field("px", Exact)])))]),
    ("connect_point", &[field("point", Exact)]),
    ("forget", &[field("peer", Exact), field("origin", Exact)]),
    ("disconnect", &[field("peer", Exact)]),
    ("kick", &[field("peer", Exact)]),
];

const P2P_MESSAGES: &[Variant] = &[
    ("graft", &[field("topic", Exact)]),
    ("prune", &[field("topic", Exact), field("px", Set), field("backoff", Exact)]),
    ("ihave", &[field("topic", Exact), field("message_ids", Multiset(&Exact))]),
    ("iwant", &[field("message_ids", Multiset(&Exact))]),
    ("subscribe", &[field("topic", Exact)]),
    ("unsubscribe", &[field("topic", Exact)]),
    ("message", FULL_MESSAGE),
    ("ping", &[]),
];

const STATS: &[Field] = &[
    field("count_topics", Exact),
    field("count_connections", Exact),
    field("count_bootstrap_connections", Exact),
    field("count_sent_app_messages", Exact),
    field("count_sent_grafts", Exact),
    field("count_sent_prunes", Exact),
    field("count_sent_ihaves", Exact),
    field("count_sent_iwants", Exact),
    field("count_recv_valid_app_messages", Exact),
    field("count_recv_invalid_app_messages", Exact),
    field("count_recv_unknown_validity_app_messages", Exact),
    field("count_recv_outdated_app_messages", Exact),
    field("count_recv_grafts", Exact),
    field("count_recv_prunes", Exact),
    field("count_recv_ihaves", Exact),
    field("count_recv_iwants", Exact),
];

const VIEW: &[Field] = &[
    field("time", Exact),
    field("heartbeat_ticks", Exact),
    field("connections", Map(&Object(CONNECTION))),
    field("scores", Map(&Object(SCORE))),
    field("mesh", Map(&Set)),
    field("fanout", Map(&Object(&[field("peers", Set), field("last_published", Exact)]))),
    field("backoff", Map(&Map(&Exact))),
    field("ihave", Map(&Exact)),
    field("iwant", Map(&Exact)),
    field("cached", Multiset(&Tuple(&[Exact, Exact, Map(&Exact)]))),
    field("seen", Multiset(&Tuple(&[Exact, Exact, Exact, Set]))),
    field("gossip", Map(&Multiset(&Exact))),
];

const CONNECTION: &[Field] =
    &[field("topics", Set), field("direct", Exact), field("outbound", Exact), field("bootstrap", Exact)];

/// A score. The last three fields are present only with `detail`.
const SCORE: &[Field] = &[
    field("score", Number),
    field("expires", Exact),
    optional("behaviour_penalty", Number),
    optional("application_score", Number),
    optional("topics", NonZero(&Map(&Object(TOPIC_SCORE)))),
];

const TOPIC_SCORE: &[Field] = &[
    field("mesh", Nullable(&Tuple(&[Exact, Exact]))),
    field("first", Number),
    field("active", Exact),
    field("delivered", Number),
    field("failure", Number),
    field("invalid", Number),
];
