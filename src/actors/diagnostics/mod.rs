//! Reports of an engine about itself, in addition to its metrics: log lines, the log of decisions, the status of the
//! heartbeat and of each topic, sampled latencies and reports of refused inputs.

pub(crate) mod health;
pub(crate) mod journal;
pub(crate) mod log;
pub(crate) mod report_limit;
pub(crate) mod sampler;
pub(crate) mod topic_status;
