//! This module runs a worker trace on the replay of recordings (`actix_gossipsub::recording`). Each input is written as
//! a line of a recording and performed from there.

use std::sync::Arc;

use actix_gossipsub::{
    AppInput, P2pInput,
    protocol::{Input, Stats, Timestamp, View},
    recording::{Recordable, Replay, Replayed},
};
use serde_json::{Value, json};

use super::{
    TraceNetwork,
    driver::Engine,
    ops::Make,
    outputs::{self, Outputs},
};

pub struct ReplayEngine {
    replay: Replay<TraceNetwork>,
    now: Timestamp,
    outputs: Outputs,
}

impl Engine for ReplayEngine {
    async fn start(make: Make, network: TraceNetwork) -> Result<Self, String> {
        let first = json!({ "op": {
            "op": "make",
            "recorded_by": "the conformance tests",
            "network": TraceNetwork::NAME,
            "seed": 4,
            "self": make.self_peer,
            "topics": make.topics,
            "initial_points": make.initial_points,
            "batching_interval": make.batching_interval.map(outputs::span),
            "limits": make.limits.recorded,
        } });
        let (replay, replayed) =
            Replay::start(|_| network, &first.to_string()).map_err(|error| error.to_string())?;
        Ok(Self { replay, now: Timestamp::ZERO, outputs: outputs_of(replayed) })
    }

    async fn stop(self) -> Result<(), String> {
        assert_eq!(self.replay.lost(), 0);
        Ok(())
    }

    async fn set_clock(&mut self, now: Timestamp) -> Result<(), String> {
        let passed = now.saturating_since(self.now);
        self.now = now;
        let replayed = self.perform(json!({ "op": "advance_time", "ms": outputs::span(passed) }))?;
        assert_eq!(replayed.time, now);
        Ok(())
    }

    fn drain(&mut self) -> Outputs {
        std::mem::take(&mut self.outputs)
    }

    fn pending(&self) -> usize {
        0
    }

    async fn p2p_input(&mut self, input: P2pInput<TraceNetwork>) -> Result<(), String> {
        let input = outputs::p2p_input(&input);
        let (outer, inner) = (input["type"].as_str(), input["p2p_message"]["type"].as_str());
        let kind = match inner.or(outer).unwrap_or_default() {
            "new_connection" => Some(Input::AddPeer),
            "disconnection" => Some(Input::RemovePeer),
            "graft" => Some(Input::Graft),
            "prune" => Some(Input::Prune),
            "ihave" => Some(Input::IHave),
            "iwant" => Some(Input::IWant),
            "subscribe" => Some(Input::Subscribe),
            "unsubscribe" => Some(Input::Unsubscribe),
            "message" => Some(Input::ReceiveMessage),
            "ping" => None,
            other => panic!("{other} is no input"),
        };
        let replayed = self.perform(json!({ "op": "p2p_input", "input": input }))?;
        check_outcome(kind, &replayed);
        Ok(())
    }

    async fn app_input(&mut self, input: AppInput<TraceNetwork>) -> Result<(), String> {
        let kind = match &input {
            AppInput::Publish(_) => Input::Publish,
            AppInput::Join(_) => Input::Join,
            AppInput::Leave(_) => Input::Leave,
            other => panic!("FORMAT.md does not know {other:?}"),
        };
        let input = outputs::app_input(&input);
        let replayed = self.perform(json!({ "op": "app_input", "input": input }))?;
        check_outcome(Some(kind), &replayed);
        Ok(())
    }

    async fn tick(&mut self) -> Result<(), String> {
        self.perform(json!({ "op": "heartbeat" })).map(drop)
    }

    async fn check_parked(&mut self) -> Result<(), String> {
        self.perform(json!({ "op": "check_unknown_messages" })).map(drop)
    }

    async fn batch_deadline(&mut self) -> Result<Option<Timestamp>, String> {
        Ok(self.replay.node().batch_deadline())
    }

    async fn process_batch(&mut self) -> Result<(), String> {
        self.perform(json!({ "op": "process_batch" })).map(drop)
    }

    async fn set_unreachable_point(&mut self, point: i64) -> Result<(), String> {
        self.perform(json!({ "op": "set_unreachable_point", "point": point })).map(drop)
    }

    async fn reconnection_delays(&mut self) -> Result<Vec<(i64, i64)>, String> {
        Ok(self.replay.node().reconnection_delays())
    }

    async fn is_subscribed(&mut self, topic: &Arc<str>) -> bool {
        self.replay.node().is_subscribed(topic)
    }

    async fn stats(&mut self) -> Stats {
        self.replay.node().stats()
    }

    async fn view(&mut self) -> Result<View<TraceNetwork>, String> {
        Ok(self.replay.view())
    }
}

impl ReplayEngine {
    fn perform(&mut self, op: Value) -> Result<Replayed, String> {
        let line = json!({ "op": op });
        let replayed = self.replay.perform(&line.to_string()).map_err(|error| error.to_string())?;
        assert_eq!(replayed.op, line["op"]);
        self.outputs.append(outputs_of(replayed.clone()));
        Ok(replayed)
    }
}

fn outputs_of(replayed: Replayed) -> Outputs {
    Outputs { p2p: replayed.p2p, app: replayed.app, events: replayed.events }
}

/// An input has an outcome, under the name that metrics and logs have for it.
fn check_outcome(kind: Option<Input>, replayed: &Replayed) {
    match kind {
        Some(kind) => {
            let name = replayed.outcome["outcome"].as_str().expect("an input without an outcome");
            assert!(kind.outcomes().contains(&name), "{kind:?}: {name}");
        }
        None => assert_eq!(replayed.outcome, Value::Null),
    }
}
