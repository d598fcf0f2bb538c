//! This module defines the first row in the dashboard of one node: large numbers, and the verdict.

use super::model::{PLAIN, Panel, Row, Stat, VERDICT, ZERO_IS_GOOD};

/// What an operator looks at first.
pub const NOW: Row = Row {
    title: "Now",
    panels: &[
        Panel::new(
            "Verdict",
            "short",
            "By the alerts of dashboards/alerts.yml that fire for this node: failing if one is critical, degraded if one is a warning",
            &[(
                r#"max(2 * ALERTS{alertstate="firing",severity="critical",instance="$node"} or ALERTS{alertstate="firing",severity="warning",instance="$node"}) or vector(0)"#,
                "verdict",
            )],
        )
        .stat(VERDICT),
        Panel::new(
            "Meshes below D_low now",
            "short",
            "Joined topics, of all topics, whose mesh has fewer than D_low peers or that have no peer",
            &[(
                r#"sum(gossipsub_topics_with_problem{instance="$node",problem=~"no_peers|below_d_low"})"#,
                "topics",
            )],
        )
        .stat(ZERO_IS_GOOD),
        Panel::new("Peers", "short", "Connected peers", &[(r#"sum(gossipsub_connections{instance="$node"})"#, "peers")])
            .stat(Stat { thresholds: &[], texts: &[(0, "none")] }),
        Panel::new(
            "Wait in this node, p99",
            "s",
            "Time that messages wait in the queue of inputs and before the application reads them. The time on the network is not known to a node",
            &[(
                r#"histogram_quantile(0.99, sum by (le) (rate(gossipsub_queue_wait_seconds_bucket{instance="$node",queue=~"input|app_output"}[$__rate_interval])))"#,
                "p99",
            )],
        )
        .stat(Stat { thresholds: &[(0.25, "orange"), (1.0, "red")], texts: &[] })
        .idle_until("a sampled message leaves a queue"),
        Panel::new(
            "Drops",
            "cps",
            "Inputs refused, outputs dropped because a queue was full, messages dropped without a verdict or not delivered, per second",
            &[(
                r#"sum(rate(gossipsub_inputs_refused_total{instance="$node",reason!="stopped"}[$__rate_interval])) + sum(rate(gossipsub_outputs_dropped_total{instance="$node",reason=~"output_queue_full|peer_queue_full|transport_memory|too_large"}[$__rate_interval])) + sum(rate(gossipsub_validations_dropped_total{instance="$node"}[$__rate_interval])) + sum(rate(gossipsub_deliveries_dropped_total{instance="$node"}[$__rate_interval]))"#,
                "per second",
            )],
        )
        .stat(ZERO_IS_GOOD),
        Panel::new(
            "Messages delivered",
            "cps",
            "Valid messages delivered to the application per second",
            &[(
                r#"sum(rate(gossipsub_messages_delivered_total{instance="$node"}[$__rate_interval]))"#,
                "per second",
            )],
        )
        .stat(PLAIN),
    ],
};
