//! The two output streams. Bounded; what is dropped is counted. Interprets nothing.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use actix::Recipient;
use futures_core::Stream;

use crate::{
    actors::shared::Shared,
    network::{AppOutput, FullMessage, Network, P2pMessage, P2pOutput},
    protocol::Emission,
};

/// What waits for a stream's reader.
pub(crate) struct OutputQueue<T> {
    state: Mutex<State<T>>,
    /// Beyond so many items, what can be spared is dropped.
    bound: usize,
}

struct State<T> {
    entries: VecDeque<T>,
    /// The items that `entries` stand for.
    items: usize,
    reader: Option<Waker>,
    closed: bool,
}

/// Something that a stream carries.
pub(crate) trait Output {
    /// The items it stands for.
    fn items(&self) -> usize;
    /// Whether it may be dropped when the stream is full.
    fn can_be_spared(&self) -> bool;
}

impl<N: Network> Output for Emission<N> {
    fn items(&self) -> usize {
        self.count()
    }

    /// Peers recover lost messages and gossip by themselves; they don't recover from a lost word on
    /// who is in which mesh.
    fn can_be_spared(&self) -> bool {
        match self {
            Self::Broadcast { .. } => true,
            Self::Output(P2pOutput::OutMessage { message, .. }) => {
                matches!(message, P2pMessage::IHave { .. } | P2pMessage::IWant { .. } | P2pMessage::Ping)
            }
            Self::Output(_) => false,
        }
    }
}

impl<N: Network> Output for AppOutput<N> {
    fn items(&self) -> usize {
        1
    }

    /// What was accepted is delivered: admission refuses messages while this stream is full.
    fn can_be_spared(&self) -> bool {
        false
    }
}

impl<T: Output> OutputQueue<T> {
    pub(crate) fn new(bound: usize) -> Self {
        let state = State { entries: VecDeque::new(), items: 0, reader: None, closed: false };
        Self { state: Mutex::new(state), bound }
    }

    /// Adds entries; answers how many items were dropped.
    pub(crate) fn extend(&self, entries: Vec<T>) -> usize {
        let mut dropped = 0;
        let mut state = self.lock();
        for entry in entries {
            let items = entry.items();
            if state.closed || (state.items + items > self.bound && entry.can_be_spared()) {
                dropped += items;
                continue;
            }
            state.items += items;
            state.entries.push_back(entry);
        }
        let reader = if state.entries.is_empty() { None } else { state.reader.take() };
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
        dropped
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().items
    }

    /// No more will come: the stream ends when it is read out.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        if let Some(reader) = state.reader.take() {
            drop(state);
            reader.wake();
        }
    }

    fn try_pop(&self) -> Option<T> {
        let mut state = self.lock();
        let entry = state.entries.pop_front()?;
        state.items -= entry.items();
        Some(entry)
    }

    fn poll_pop(&self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut state = self.lock();
        match state.entries.pop_front() {
            Some(entry) => {
                state.items -= entry.items();
                Poll::Ready(Some(entry))
            }
            None if state.closed => Poll::Ready(None),
            None => {
                state.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the p2p layer is to do: a stream, one item a peer, in the order it was decided for that peer.
///
/// Beyond `bounds.max_output_items` unread items, full messages and gossip are dropped and counted;
/// never who is in which topic or mesh.
pub struct P2pOutputs<N: Network> {
    shared: Arc<Shared<N>>,
    /// Of a full message that is being read peer by peer.
    expanded: VecDeque<P2pOutput<N>>,
}

/// The valid messages of the joined topics: a stream. Nothing that was accepted is lost; while it is
/// full, no messages are admitted.
pub struct AppOutputs<N: Network> {
    shared: Arc<Shared<N>>,
}

impl<N: Network> P2pOutputs<N> {
    pub(crate) fn new(shared: Arc<Shared<N>>) -> Self {
        Self { shared, expanded: VecDeque::new() }
    }

    /// The next item; `None` once the engine has ended and all is read.
    pub async fn recv(&mut self) -> Option<P2pOutput<N>> {
        std::future::poll_fn(|cx| self.poll_item(cx)).await
    }

    /// The next item, if there is one.
    pub fn try_recv(&mut self) -> Option<P2pOutput<N>> {
        if self.expanded.is_empty() {
            let emission = self.shared.p2p.try_pop()?;
            self.expand(emission);
        }
        self.expanded.pop_front()
    }

    /// Waits for items and appends at most `limit` of them; answers how many, 0 at the end.
    pub async fn recv_many(&mut self, into: &mut Vec<P2pOutput<N>>, limit: usize) -> usize {
        let before = into.len();
        let wanted = before.saturating_add(limit);
        if limit > 0 {
            into.extend(self.recv().await);
        }
        while into.len() < wanted
            && let Some(output) = self.try_recv()
        {
            into.push(output);
        }
        into.len() - before
    }

    /// The next item with a full message to many peers unexpanded, for transports that encode once.
    pub async fn recv_emission(&mut self) -> Option<Emission<N>> {
        match self.expanded.pop_front() {
            Some(output) => Some(Emission::Output(output)),
            None => std::future::poll_fn(|cx| self.shared.p2p.poll_pop(cx)).await,
        }
    }

    /// How many items wait.
    pub fn len(&self) -> usize {
        self.expanded.len() + self.shared.p2p.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sends every item to an actor instead. Runs until the engine ends.
    pub async fn forward(mut self, recipient: Recipient<P2pOutput<N>>) {
        while let Some(output) = self.recv().await {
            recipient.do_send(output);
        }
    }

    fn poll_item(&mut self, cx: &mut Context<'_>) -> Poll<Option<P2pOutput<N>>> {
        loop {
            if let Some(output) = self.expanded.pop_front() {
                return Poll::Ready(Some(output));
            }
            match std::task::ready!(self.shared.p2p.poll_pop(cx)) {
                Some(emission) => self.expand(emission),
                None => return Poll::Ready(None),
            }
        }
    }

    fn expand(&mut self, emission: Emission<N>) {
        emission.expand(|output| self.expanded.push_back(output));
    }
}

impl<N: Network> Stream for P2pOutputs<N> {
    type Item = P2pOutput<N>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_item(cx)
    }
}

impl<N: Network> AppOutputs<N> {
    pub(crate) fn new(shared: Arc<Shared<N>>) -> Self {
        Self { shared }
    }

    /// The next message; `None` once the engine has ended and all is read.
    pub async fn recv(&mut self) -> Option<AppOutput<N>> {
        std::future::poll_fn(|cx| self.shared.app.poll_pop(cx)).await
    }

    /// The next message, if there is one.
    pub fn try_recv(&mut self) -> Option<AppOutput<N>> {
        self.shared.app.try_pop()
    }

    /// Waits for messages and appends at most `limit` of them; answers how many, 0 at the end.
    pub async fn recv_many(&mut self, into: &mut Vec<AppOutput<N>>, limit: usize) -> usize {
        let before = into.len();
        let wanted = before.saturating_add(limit);
        if limit > 0 {
            into.extend(self.recv().await);
        }
        while into.len() < wanted
            && let Some(output) = self.try_recv()
        {
            into.push(output);
        }
        into.len() - before
    }

    /// How many messages wait.
    pub fn len(&self) -> usize {
        self.shared.app.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sends every message to an actor instead. Runs until the engine ends.
    pub async fn forward(mut self, recipient: Recipient<FullMessage<N>>) {
        while let Some(message) = self.recv().await {
            recipient.do_send(FullMessage::clone(&message));
        }
    }
}

impl<N: Network> Stream for AppOutputs<N> {
    type Item = AppOutput<N>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.shared.app.poll_pop(cx)
    }
}
