//! This module defines the panels about attacks in the dashboard of one node.

use super::model::{Panel, Row};

pub const DEFENCE: Row = Row {
    title: "Defence",
    panels: &[
        Panel::new(
            "Actions on scores",
            "cps",
            "Peers that were graylisted, disconnected or banned because of their scores, per second",
            &[(
                r#"sum by (action) (rate(gossipsub_score_actions_total{instance="$node"}[$__rate_interval]))"#,
                "{{action}}",
            )],
        ),
        Panel::new(
            "Connections refused",
            "cps",
            "Connections and dials that were refused, and connections that were closed, per second, by the limit that was reached",
            &[(
                r#"sum by (reason) (rate(gossipsub_connections_refused_total{instance="$node"}[$__rate_interval]))"#,
                "{{reason}}",
            )],
        ),
        Panel::new(
            "RPCs dropped or cut",
            "cps",
            "RPCs of graylisted peers, entries beyond the limits, frames that were lost with their stream, and streams that were opened again, per second",
            &[
                (
                    r#"rate(gossipsub_rpc_graylisted_total{instance="$node"}[$__rate_interval])"#,
                    "graylisted RPCs",
                ),
                (
                    r#"rate(gossipsub_rpc_entries_ignored_total{instance="$node"}[$__rate_interval])"#,
                    "ignored entries",
                ),
                (
                    r#"rate(gossipsub_rpc_frames_lost_total{instance="$node"}[$__rate_interval])"#,
                    "lost frames",
                ),
                (
                    r#"rate(gossipsub_streams_reopened_total{instance="$node"}[$__rate_interval])"#,
                    "reopened streams",
                ),
            ],
        ),
        Panel::new(
            "Peer exchange",
            "cps",
            "Signed peer records and dials of recommended peers per second, by what became of them",
            &[
                (
                    r#"rate(gossipsub_peer_records_total{instance="$node"}[$__rate_interval])"#,
                    "record: {{outcome}}",
                ),
                (
                    r#"rate(gossipsub_px_dials_total{instance="$node"}[$__rate_interval])"#,
                    "dial: {{outcome}}",
                ),
            ],
        ),
        Panel::new(
            "Signatures verified",
            "cps",
            "Signatures that were verified and are right, per second",
            &[(
                r#"rate(gossipsub_signatures_verified_total{instance="$node"}[$__rate_interval])"#,
                "verified",
            )],
        ),
        Panel::new(
            "Replay check",
            "cps",
            "Authors whose sequence numbers were forgotten to make room for others, per second: their messages can be replayed",
            &[(r#"rate(gossipsub_replay_evictions_total{instance="$node"}[$__rate_interval])"#, "forgotten")],
        ),
        Panel::new(
            "Memory of the transport",
            "bytes",
            "Memory charged for send queues, frames and decoded inputs",
            &[(r#"gossipsub_transport_memory_bytes{instance="$node"}"#, "charged")],
        ),
    ],
};
