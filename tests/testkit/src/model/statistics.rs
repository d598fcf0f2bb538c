//! Recounts the statistics from outcomes and outputs.

use actix_gossipsub::{
    P2pMessage, P2pOutput,
    protocol::{GraftOutcome, IHaveOutcome, IWantAnswer, IWantOutcome, PruneOutcome, ReceiveOutcome, Stats},
};
use proptest::prelude::*;

use super::{
    Checked,
    driver::{Outcome, Step},
    network::{Ids, Net},
    op::Op,
};

#[derive(Debug, Default)]
pub struct Statistics(Stats);

impl Statistics {
    pub fn count<I: Ids>(&mut self, step: &Step<'_, I>) {
        for output in &step.drained.p2p {
            let P2pOutput::OutMessage { message, .. } = output else { continue };
            match message {
                P2pMessage::FullMessage(_) => self.0.count_sent_app_messages += 1,
                P2pMessage::Graft { .. } => self.0.count_sent_grafts += 1,
                P2pMessage::Prune { .. } => self.0.count_sent_prunes += 1,
                P2pMessage::IHave { .. } => self.0.count_sent_ihaves += 1,
                P2pMessage::IWant { .. } => self.0.count_sent_iwants += 1,
                _ => {}
            }
        }
        self.0.count_recv_valid_app_messages += step.drained.app.len() as u64;
        self.count_outcome(&step.outcome);
    }

    fn count_outcome<I: Ids>(&mut self, outcome: &Outcome<I>) {
        use GraftOutcome::{Grafted, MeshFull};
        use PruneOutcome::{Graylisted, NotInMesh, TopicNotTracked};
        match outcome {
            Outcome::Graft(Grafted | MeshFull) => self.0.count_recv_grafts += 1,
            Outcome::Prune(TopicNotTracked | NotInMesh | Graylisted) => {}
            Outcome::Prune(_) => self.0.count_recv_prunes += 1,
            Outcome::IHave(IHaveOutcome::Requested { ids }) => self.0.count_recv_ihaves += ids.len() as u64,
            Outcome::IWant(IWantOutcome::Answered { ids }) => {
                let messages = ids.values().filter(|answer| matches!(answer, IWantAnswer::Message(_)));
                self.0.count_recv_iwants += messages.count() as u64;
            }
            Outcome::Receive(outcome) => self.count_verdict::<I>(outcome),
            Outcome::Batch(results) => {
                results.iter().for_each(|(_, outcome)| self.count_verdict::<I>(outcome));
            }
            _ => {}
        }
    }

    fn count_verdict<I: Ids>(&mut self, outcome: &ReceiveOutcome<Net<I>>) {
        match outcome {
            ReceiveOutcome::Invalid | ReceiveOutcome::TooLarge => self.0.count_recv_invalid_app_messages += 1,
            ReceiveOutcome::Unknown => self.0.count_recv_unknown_validity_app_messages += 1,
            ReceiveOutcome::Outdated => self.0.count_recv_outdated_app_messages += 1,
            _ => {}
        }
    }

    /// The outcomes of parked messages and pending batches are not returned: where these are validated, the counters may
    /// increase.
    pub fn check<I: Ids>(&mut self, step: &Step<'_, I>, stats: Stats) -> Checked {
        if matches!(step.op, Op::CheckParked | Op::ProcessBatch) {
            let (mine, theirs) = (&mut self.0, &stats);
            prop_assert!(mine.count_recv_invalid_app_messages <= theirs.count_recv_invalid_app_messages);
            mine.count_recv_invalid_app_messages = theirs.count_recv_invalid_app_messages;
            mine.count_recv_outdated_app_messages = theirs.count_recv_outdated_app_messages;
            let unknown = theirs.count_recv_unknown_validity_app_messages;
            prop_assert!(mine.count_recv_unknown_validity_app_messages <= unknown);
            mine.count_recv_unknown_validity_app_messages = unknown;
        }
        let Stats { count_topics, count_connections, count_bootstrap_connections, .. } = stats;
        let mine = Stats { count_topics, count_connections, count_bootstrap_connections, ..self.0 };
        prop_assert_eq!(mine, stats);
        Ok(())
    }
}
