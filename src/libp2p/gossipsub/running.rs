//! A running engine with its streams, as the behaviour drives it.

use std::{
    collections::VecDeque,
    sync::Arc,
    task::{Context, Poll},
};

use ::libp2p::PeerId;
use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};

use super::{
    config::{Config, Threads},
    error::{BehaviourError, PublishError},
    message::Event,
    peer_events::{PeerEvents, Queued},
};
use crate::{
    libp2p::{
        codec::encode::encoded_length,
        ids::MessageId,
        network::{Libp2pNetwork, Unvalidated},
        node::{engine_inputs::EngineInputs, transfer::poll_transfer},
        swarm::behaviour::Behaviour as Transport,
    },
    limits::Limits,
    network::{AppOutput, FullMessage},
    worker::{AppOutputs, P2pOutputs, PublishReport, PublishTicket, Started, Worker},
};

/// Where messages for the application come from.
enum Messages {
    /// The engine delivers those that it has accepted.
    Accepted(AppOutputs<Libp2pNetwork>),
    /// The application gives a verdict on each.
    Unvalidated(Unvalidated),
}

pub(super) struct Running {
    pub(super) inputs: EngineInputs<Worker<Libp2pNetwork>>,
    outputs: P2pOutputs<Libp2pNetwork>,
    messages: Messages,
    peer_events: Arc<PeerEvents>,
    /// The reports on publications, each when it is final.
    reports: FuturesUnordered<BoxFuture<'static, (MessageId, PublishReport)>>,
}

impl Running {
    /// Starts an engine.
    ///
    /// # Errors
    /// The parameters violate rules, or a thread can't be started.
    pub(super) fn start(
        network: Libp2pNetwork,
        config: &Config,
        self_peer: Option<PeerId>,
    ) -> Result<Self, BehaviourError> {
        let peer_events = Arc::new(PeerEvents::default());
        let listener = Arc::clone(&peer_events);
        let mut builder = Worker::builder(network.clone(), Limits::try_from(config.limits.clone())?)
            .peer_listener(move |event| listener.push(event));
        if let Some(peer) = self_peer {
            builder = builder.self_peer(peer);
        }
        let builder = match &config.threads {
            Threads::Cores => builder,
            Threads::Own(threads) => builder.arbiters(*threads),
            Threads::Arbiters(arbiters) => builder.on_arbiters(arbiters.iter().cloned()),
        };
        let unvalidated = if config.validate_messages { network.unvalidated() } else { None };
        let Started { worker, p2p, app } = builder.start([])?;
        // A stream of accepted messages that is dropped delays none.
        let messages = unvalidated.map_or_else(|| Messages::Accepted(app), Messages::Unvalidated);
        Ok(Self {
            inputs: EngineInputs::new(worker),
            outputs: p2p,
            messages,
            peer_events,
            reports: FuturesUnordered::new(),
        })
    }

    pub(super) fn worker(&self) -> &Worker<Libp2pNetwork> {
        &self.inputs.engine
    }

    /// Compares a message of ours with the limit in force for its topic, which the engine applies too.
    ///
    /// # Errors
    /// The message is too large.
    pub(super) fn check_size(&self, message: &FullMessage<Libp2pNetwork>) -> Result<(), PublishError> {
        let parameters = self.worker().topic_parameters(&message.topic);
        match parameters.is_too_large(|| encoded_length(&message.topic, &message.message)) {
            true => Err(PublishError::MessageTooLarge),
            false => Ok(()),
        }
    }

    /// Reports on a publication when it is done.
    pub(super) fn follow(&mut self, message_id: MessageId, ticket: PublishTicket<Libp2pNetwork>) {
        self.reports.push(async move { (message_id, ticket.completed().await) }.boxed());
    }

    /// The events of peers since the last call.
    pub(super) fn take_peer_events(&self, cx: &Context<'_>) -> Queued {
        self.peer_events.take(cx)
    }

    /// The next message, with the peer that delivered it first.
    pub(super) fn poll_message(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<(PeerId, AppOutput<Libp2pNetwork>)>> {
        match &mut self.messages {
            Messages::Accepted(messages) => messages.poll_next_delivery(cx),
            Messages::Unvalidated(messages) => {
                let next = messages.poll_next_unpin(cx);
                next.map(|next| next.map(|it| (it.propagation_source, it.message)))
            }
        }
    }

    /// Adds the reports on publications that are done.
    pub(super) fn poll_reports(&mut self, cx: &mut Context<'_>, events: &mut VecDeque<Event>) {
        while let Poll::Ready(Some((message_id, report))) = self.reports.poll_next_unpin(cx) {
            let result = PublishError::of_report(&report);
            events.push_back(Event::Published { message_id, report, result });
        }
    }

    /// Transfers inputs and outputs: see [`poll_transfer`].
    pub(super) fn poll_transfer(&mut self, cx: &mut Context<'_>, transport: &mut Transport) -> Poll<bool> {
        poll_transfer(cx, &mut self.inputs, &mut self.outputs, transport, &mut |_| {})
    }

    /// Why the engine has ended.
    pub(super) fn end_reason(&self) -> String {
        match self.worker().wait_for_end().now_or_never() {
            Some(Err(error)) => error.to_string(),
            _ => "it was shut down".to_owned(),
        }
    }
}
