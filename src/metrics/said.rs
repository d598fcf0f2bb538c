//! What a burst of outputs says, by kind. Looks at outputs; changes none.

use super::engine::rpc;
use crate::{
    network::{Network, P2pMessage, P2pOutput},
    protocol::output::{Lane, pending::PendingOutput},
};

/// Sums over outputs, one a recipient.
#[derive(Debug, Default)]
pub(crate) struct Said {
    /// By type.
    pub(super) rpcs: [u64; 9],
    /// Of IHAVEs, IWANTs and IDONTWANTs.
    pub(super) ids: [u64; 3],
    /// Full messages: published, forwarded, answered.
    pub(super) messages: [u64; 3],
    /// Those of full messages.
    pub(super) bytes: u64,
}

impl Said {
    pub(crate) fn of<N: Network>(outputs: &[PendingOutput<N>], network: &N) -> Self {
        let mut said = Self::default();
        for output in outputs {
            match output {
                PendingOutput::Broadcast { to, message, lane } => {
                    said.message(to.len() as u64, *lane, network.message_size(&message.message));
                }
                PendingOutput::Gossip { to, message } => said.other(to.len() as u64, message),
                PendingOutput::Output(P2pOutput::OutMessage { message, .. }) => match message {
                    P2pMessage::FullMessage(full) => {
                        said.message(1, output.lane(), network.message_size(&full.message));
                    }
                    message => said.other(1, message),
                },
                PendingOutput::Output(_) => {}
            }
        }
        said
    }

    fn message(&mut self, recipients: u64, lane: Lane, bytes: usize) {
        self.rpcs[0] += recipients;
        self.bytes += recipients * bytes as u64;
        let path = match lane {
            Lane::Publish => 0,
            Lane::Control | Lane::Forward | Lane::Gossip => 1,
            Lane::Answer => 2,
        };
        self.messages[path] += recipients;
    }

    fn other<N: Network>(&mut self, recipients: u64, message: &P2pMessage<N>) {
        self.rpcs[rpc(message)] += recipients;
        match message {
            P2pMessage::IHave { message_ids, .. } => self.ids[0] += recipients * message_ids.len() as u64,
            P2pMessage::IWant { message_ids } => self.ids[1] += recipients * message_ids.len() as u64,
            P2pMessage::IDontWant { message_ids } => self.ids[2] += recipients * message_ids.len() as u64,
            _ => {}
        }
    }
}
