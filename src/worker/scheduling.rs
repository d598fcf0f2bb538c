//! The mailboxes of an engine for a test that decides which actor handles its next items. Behind the feature `simulation`,
//! and not part of the API.

use std::sync::Arc;

use super::Worker;
use crate::{actors::shared::Shared, network::Network};

/// One of the mailboxes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mailbox {
    /// The mailbox of the supervisor.
    Supervisor,
    /// The mailbox of the router.
    Router,
    /// The mailbox of the topics on the arbiter with this index.
    Arbiter(usize),
}

/// The mailboxes of an engine. Their items wait until they are granted.
pub struct Mailboxes<N: Network> {
    shared: Arc<Shared<N>>,
}

impl<N: Network> Worker<N> {
    /// From now on the engine's actors handle only items that the caller grants. Must be called before the first of them
    /// runs.
    #[doc(hidden)]
    pub fn schedule_mailboxes(&self) -> Mailboxes<N> {
        let shared = Arc::clone(&self.shared);
        shared.supervisor.start_scheduling();
        shared.router.start_scheduling();
        shared.mailboxes.iter().for_each(|mailbox| mailbox.inbox.start_scheduling());
        Mailboxes { shared }
    }
}

impl<N: Network> Mailboxes<N> {
    /// All mailboxes with the number of queued items.
    pub fn lengths(&self) -> impl Iterator<Item = (Mailbox, usize)> + '_ {
        let shared = &self.shared;
        let arbiters = shared.mailboxes.iter().enumerate();
        let arbiters = arbiters.map(|(index, mailbox)| (Mailbox::Arbiter(index), mailbox.inbox.len()));
        let others = [(Mailbox::Supervisor, shared.supervisor.len()), (Mailbox::Router, shared.router.len())];
        others.into_iter().chain(arbiters)
    }

    /// Lets the actor of a mailbox handle at most `items` items, and wakes it.
    pub fn grant(&self, mailbox: Mailbox, items: usize) {
        match mailbox {
            Mailbox::Supervisor => self.shared.supervisor.grant(items),
            Mailbox::Router => self.shared.router.grant(items),
            Mailbox::Arbiter(index) => {
                let mailbox = self.shared.mailboxes.iter().nth(index);
                mailbox.into_iter().for_each(|mailbox| mailbox.inbox.grant(items));
            }
        }
    }

    /// Whether no part of the engine is busy.
    pub fn is_idle(&self) -> bool {
        self.shared.busy_count.is_idle()
    }
}
