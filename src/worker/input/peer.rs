//! The door for what one connected peer says: its connection is looked up once, not at each input. Who is let
//! in, and where it goes, is [`inputs`](crate::worker::input)'.

use std::sync::Arc;

use derive_where::derive_where;

use crate::{
    actors::shared::Shared,
    admission::{CreditOwner, refused::Refused},
    directory::connection::ConnectionRecord,
    network::{Network, P2pMessage},
    worker::input,
};

/// Takes what one peer says: for transports with a task or an actor a connection, which keep it as long as
/// that lives. Made by [`Worker::peer_inputs`](crate::Worker::peer_inputs).
///
/// The same as [`Worker::p2p_input`](crate::Worker::p2p_input) with an
/// [`InMessage`](crate::P2pInput::InMessage) of this peer, for some 200 instructions less. When the connection
/// has ended since, or had not begun, it is looked up each time: nothing is counted on a connection that is gone.
#[derive_where(Clone)]
pub struct PeerInputs<N: Network> {
    shared: Arc<Shared<N>>,
    peer: N::Peer,
    /// The connection that it had when this was made, if it had one.
    record: Option<Arc<ConnectionRecord>>,
}

impl<N: Network> PeerInputs<N> {
    pub(in crate::worker) fn new(shared: Arc<Shared<N>>, peer: N::Peer) -> Self {
        let record = shared.directory.connection(&peer);
        Self { shared, peer, record }
    }

    /// Whose inputs these are.
    pub fn peer(&self) -> &N::Peer {
        &self.peer
    }

    /// Takes what the peer says. Never blocks.
    ///
    /// # Errors
    /// As [`Worker::p2p_input`](crate::Worker::p2p_input).
    pub fn input(&self, message: P2pMessage<N>) -> Result<(), Refused> {
        input::open(&self.shared)?;
        let account = match &self.record {
            Some(record) if record.is_connected() => CreditOwner::Peer(Arc::clone(record)),
            _ => input::account(&self.shared, &self.peer),
        };
        input::in_message(&self.shared, account, &self.peer, message)
    }
}
