//! The limits in force, which every thread reads and the application may change.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, Guard};

use crate::limits::Limits;

/// The limits in force. Some of them [change](crate::limits::RuntimeLimits) while the engine runs.
pub(crate) struct CurrentLimits<T> {
    current: ArcSwap<Limits<T>>,
    /// Locked while the limits change, so that of two changes at the same time none is lost.
    change: Mutex<()>,
}

impl<T> CurrentLimits<T> {
    pub(crate) fn new(limits: Limits<T>) -> Self {
        Self { current: ArcSwap::from_pointee(limits), change: Mutex::new(()) }
    }

    /// The limits in force. Read them once for an input, so that it is handled under one set of them. This neither locks nor
    /// writes what other threads read.
    #[inline]
    pub(crate) fn load(&self) -> Guard<Arc<Limits<T>>> {
        self.current.load()
    }

    /// The same, for a longer use.
    pub(crate) fn load_full(&self) -> Arc<Limits<T>> {
        self.current.load_full()
    }

    /// Replaces the limits by what `change` makes of them, and calls `send` with the new ones before another change begins.
    ///
    /// # Errors
    /// The error of `change`. The limits stay as they are then.
    pub(crate) fn change<E>(
        &self,
        change: impl FnOnce(&Limits<T>) -> Result<Limits<T>, E>,
        send: impl FnOnce(Arc<Limits<T>>),
    ) -> Result<(), E> {
        let _changing = self.change.lock().unwrap_or_else(PoisonError::into_inner);
        let new = Arc::new(change(&self.current.load())?);
        self.current.store(Arc::clone(&new));
        send(new);
        Ok(())
    }
}
