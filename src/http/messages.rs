//! The messages of the application, for the admin scope: how they are made from contents and read, and the queues of those who
//! read the stream of delivered messages.

use std::{
    borrow::Cow,
    collections::VecDeque,
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

use actix_web::web::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::responses::{Identifier, StreamedMessage};
use crate::{
    Worker,
    http::{Displayable, time::wall_clock_now},
    metrics::StreamItem,
    network::{FullMessage, Network},
};

/// The most publications that are read and routed at the same time.
const MAX_PUBLICATIONS: usize = 16;
/// The most readers of the stream at the same time.
const MAX_READERS: usize = 8;
/// The most unread messages of one reader, and their bytes as they are sent. One that is larger is queued alone.
const MAX_UNREAD: usize = 1_024;
const MAX_UNREAD_BYTES: usize = 4 << 20;
/// The largest content, unless the application says otherwise.
const MAX_CONTENT: usize = 1 << 20;

/// How the contents of messages are made into messages of a network, and read.
pub trait MessageContents<N: Network>: Send + Sync + 'static {
    /// The message to publish with this content, with its id and, where the network has them, its signature.
    ///
    /// # Errors
    /// There is no such message: the content or the topic's name does not fit. The error is a sentence for the operator.
    fn message(&self, topic: N::Topic, content: Vec<u8>) -> Result<FullMessage<N>, String>;

    /// The content of a delivered message, as its publisher gave it.
    fn content<'a>(&self, message: &'a FullMessage<N>) -> Cow<'a, [u8]>;

    /// The peer that published a message, if it is known.
    fn source(&self, message: &N::Message) -> Option<N::Peer> {
        let _ = message;
        None
    }

    /// The largest content that can be published on a topic, in bytes. By default 1 MiB.
    fn max_content(&self, topic: &N::Topic) -> usize {
        let _ = topic;
        MAX_CONTENT
    }
}

#[cfg(feature = "libp2p")]
impl MessageContents<Self> for crate::libp2p::Libp2pNetwork {
    fn message(
        &self,
        topic: crate::libp2p::TopicName,
        content: Vec<u8>,
    ) -> Result<FullMessage<Self>, String> {
        Self::message(self, topic, content).map_err(|error| error.to_string())
    }

    fn content<'a>(&self, message: &'a FullMessage<Self>) -> Cow<'a, [u8]> {
        self.payload(message)
    }

    fn source(&self, message: &crate::libp2p::Message) -> Option<libp2p::PeerId> {
        message.source().copied()
    }

    fn max_content(&self, topic: &crate::libp2p::TopicName) -> usize {
        self.max_payload(topic)
    }
}

/// Lets the admin scope publish messages and stream those that are delivered. Clones are the same. Add it with
/// [`serve_messages`](super::serve_messages), and give it each message of the application's stream, which has one reader:
/// that one calls [`deliver`](Self::deliver).
pub struct Messages<N: Network> {
    shared: Arc<Shared<N>>,
}

impl<N: Network> Clone for Messages<N> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

struct Shared<N: Network> {
    contents: Box<dyn MessageContents<N>>,
    publications: Arc<Semaphore>,
    reader_permits: Arc<Semaphore>,
    readers: Mutex<Vec<Arc<ReaderQueue<N>>>>,
    /// The number of readers: while it is 0, no message is encoded.
    count: AtomicUsize,
    /// Whether the streams end when all is read.
    is_over: AtomicBool,
}

impl<N: Displayable> Messages<N> {
    /// Without readers.
    pub fn new(contents: impl MessageContents<N>) -> Self {
        let shared = Shared {
            contents: Box::new(contents),
            publications: Arc::new(Semaphore::new(MAX_PUBLICATIONS)),
            reader_permits: Arc::new(Semaphore::new(MAX_READERS)),
            readers: Mutex::default(),
            count: AtomicUsize::new(0),
            is_over: AtomicBool::new(false),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Queues a delivered message for those who read the stream. Never blocks: a reader whose queue is full does not get it,
    /// and is sent the number of the messages that it has missed.
    pub fn deliver(&self, message: &FullMessage<N>) {
        if self.shared.count.load(Ordering::Acquire) == 0 || self.is_over() {
            return;
        }
        let readers = lock(&self.shared.readers).clone();
        let mut encoded = None;
        for reader in readers.iter().filter(|reader| reader.wants(&message.topic)) {
            reader.push(encoded.get_or_insert_with(|| self.encode(message)));
        }
    }

    /// Ends the stream of each reader: it is sent what is unread, then `end`. Returns when no reader is left; one that reads
    /// nothing stays, so call this with a time limit, before the server is stopped. There are no readers after this.
    ///
    /// Cancel-safe: the streams end if it was polled once. Messages that are delivered later are not sent.
    pub async fn end(&self) {
        self.shared.is_over.store(true, Ordering::Release);
        let wakers: Vec<_> =
            lock(&self.shared.readers).iter().filter_map(|reader| lock(&reader.inner).waker.take()).collect();
        wakers.into_iter().for_each(Waker::wake);
        // The last reader gives back the last permit.
        let _ = self.shared.reader_permits.acquire_many(MAX_READERS as u32).await;
        self.shared.reader_permits.close();
    }

    /// Whether [`end`](Self::end) was called.
    pub(super) fn is_over(&self) -> bool {
        self.shared.is_over.load(Ordering::Acquire)
    }

    pub(super) fn contents(&self) -> &dyn MessageContents<N> {
        &*self.shared.contents
    }

    /// A permit to read and route one publication.
    pub(super) fn publication_permit(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.shared.publications).try_acquire_owned().ok()
    }

    /// The messages from now on, of one topic or of all. `None` if there are as many readers as are allowed.
    pub(super) fn read(&self, worker: &Worker<N>, filter: Filter<N>) -> Option<Reader<N>> {
        let permit = Arc::clone(&self.shared.reader_permits).try_acquire_owned().ok()?;
        let queue = Arc::new(ReaderQueue { filter, inner: Mutex::default(), worker: worker.clone() });
        let mut readers = lock(&self.shared.readers);
        readers.push(Arc::clone(&queue));
        self.shared.count.store(readers.len(), Ordering::Release);
        drop(readers);
        Some(Reader { queue, messages: self.clone(), _permit: permit })
    }

    /// The event of a message, as it is sent to readers.
    fn encode(&self, full: &FullMessage<N>) -> Bytes {
        let FullMessage { topic, message_id, message } = full;
        let source = self.shared.contents.source(message);
        let streamed = StreamedMessage::new(
            wall_clock_now(),
            Identifier::new(topic),
            Identifier::new(message_id),
            source.as_ref().map(Identifier::new),
            &self.shared.contents.content(full),
        );
        super::sse::event("message", &streamed)
    }
}

/// Which messages a reader wants.
pub(super) enum Filter<N: Network> {
    Nothing,
    Topic(N::Topic),
    Everything,
}

/// The unread messages of one reader.
struct ReaderQueue<N: Network> {
    filter: Filter<N>,
    worker: Worker<N>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    unread: VecDeque<ReaderItem>,
    bytes: usize,
    /// The messages that had no room behind the queued ones.
    missed: u64,
    waker: Option<Waker>,
}

/// One item of a reader.
pub(super) enum ReaderItem {
    Message(Bytes),
    /// The number of messages that are missing here.
    Missed(u64),
}

impl<N: Network> ReaderQueue<N> {
    fn wants(&self, topic: &N::Topic) -> bool {
        match &self.filter {
            Filter::Nothing => false,
            Filter::Topic(wanted) => wanted == topic,
            Filter::Everything => true,
        }
    }

    fn push(&self, message: &Bytes) {
        let mut inner = lock(&self.inner);
        let has_room =
            inner.unread.len() < MAX_UNREAD && inner.bytes.saturating_add(message.len()) <= MAX_UNREAD_BYTES;
        if has_room || inner.unread.is_empty() {
            if inner.missed > 0 {
                let missed = mem::take(&mut inner.missed);
                inner.unread.push_back(ReaderItem::Missed(missed));
            }
            inner.bytes += message.len();
            inner.unread.push_back(ReaderItem::Message(message.clone()));
        } else {
            inner.missed += 1;
            self.worker.count_unstreamed(StreamItem::Message, 1);
        }
        let waker = inner.waker.take();
        drop(inner);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// The end of the queue that the stream reads. Dropping it makes room for another reader.
pub(super) struct Reader<N: Displayable> {
    queue: Arc<ReaderQueue<N>>,
    messages: Messages<N>,
    _permit: OwnedSemaphorePermit,
}

impl<N: Displayable> Reader<N> {
    /// Whether the stream ends when all is read.
    pub(super) fn is_over(&self) -> bool {
        self.messages.is_over()
    }

    /// The next message. It registers the waker under the lock under which [`Messages::end`] takes it.
    pub(super) fn poll_next(&self, cx: &Context<'_>) -> Poll<ReaderItem> {
        let mut inner = lock(&self.queue.inner);
        if let Some(next) = inner.unread.pop_front() {
            if let ReaderItem::Message(message) = &next {
                inner.bytes -= message.len();
            }
            return Poll::Ready(next);
        }
        if inner.missed > 0 {
            return Poll::Ready(ReaderItem::Missed(mem::take(&mut inner.missed)));
        }
        inner.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl<N: Displayable> Drop for Reader<N> {
    fn drop(&mut self) {
        let shared = &self.messages.shared;
        let mut readers = lock(&shared.readers);
        readers.retain(|queue| !Arc::ptr_eq(queue, &self.queue));
        shared.count.store(readers.len(), Ordering::Release);
    }
}

/// The data are whole after a panic elsewhere: no code of the application runs under these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
