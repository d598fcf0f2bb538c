//! This module defines the panels about connections and about the process in the dashboard of one node.

use super::model::{Panel, Row};

pub const CONNECTIONS: Row = Row {
    title: "Connections and dials",
    panels: &[
        Panel::new(
            "Open connections",
            "short",
            "Open connections by transport and direction; a peer may have several",
            &[(
                r#"gossipsub_transport_connections{instance="$node"} > 0 or on() sum(gossipsub_transport_connections{instance="$node"})"#,
                "{{transport}} {{direction}}",
            )],
        ),
        Panel::new(
            "Connections by version",
            "short",
            "Open connections that carry gossipsub, by its version, or floodsub",
            &[(
                r#"gossipsub_connections_by_protocol{instance="$node"} > 0 or on() sum(gossipsub_connections_by_protocol{instance="$node"})"#,
                "{{protocol}}",
            )],
        ),
        Panel::new(
            "Dials by outcome",
            "cps",
            "Dials of peers and addresses per second, by how they ended",
            &[(
                r#"sum by (outcome) (rate(gossipsub_dials_total{instance="$node"}[$__rate_interval]))"#,
                "{{outcome}}",
            )],
        ),
        Panel::new(
            "Failed connections by cause",
            "cps",
            "Connections that were not established per second, by direction and cause",
            &[(
                r#"sum by (direction, cause) (rate(gossipsub_connections_failed_total{instance="$node"}[$__rate_interval]))"#,
                "{{direction}} {{cause}}",
            )],
        ),
    ],
};

pub const PROCESS: Row = Row {
    title: "Process",
    panels: &[
        Panel::new(
            "CPU of the process",
            "percentunit",
            "Share of one core that the process uses",
            &[(r#"rate(process_cpu_seconds_total{instance="$node"}[$__rate_interval])"#, "cores")],
        ),
        Panel::new(
            "Memory of the process",
            "bytes",
            "Resident memory of the process",
            &[(r#"process_resident_memory_bytes{instance="$node"}"#, "resident")],
        ),
        Panel::new(
            "File descriptors",
            "percentunit",
            "Share of the file descriptors that the process may open",
            &[(r#"process_open_fds{instance="$node"} / process_max_fds{instance="$node"}"#, "open")],
        ),
    ],
};
