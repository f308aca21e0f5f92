//! How background tasks learn of work. Senders never wait. Work that a task has not taken stays queued
//! while the task backs off or restarts after a panic.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, mpsc};

/// Wakes one task. Carries no data: the task reads the database, so a missed or spurious wake-up does no
/// harm. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Waker(Arc<Notify>);

impl Waker {
    /// Wakes the task; if it is not waiting, its next wait returns immediately.
    pub fn wake(&self) {
        self.0.notify_one();
    }

    /// Waits for the next call of [`Waker::wake`].
    pub(crate) async fn woken(&self) {
        self.0.notified().await;
    }
}

/// Wakes one task and collects the changed items, without duplicates. Cheap to clone.
#[derive(Debug)]
pub struct Pending<T> {
    items: Arc<Mutex<BTreeSet<T>>>,
    waker: Waker,
}

impl<T> Default for Pending<T> {
    fn default() -> Self {
        Self {
            items: Arc::default(),
            waker: Waker::default(),
        }
    }
}

impl<T> Clone for Pending<T> {
    fn clone(&self) -> Self {
        Self {
            items: Arc::clone(&self.items),
            waker: self.waker.clone(),
        }
    }
}

impl<T: Ord> Pending<T> {
    /// Adds items and wakes the task.
    pub fn add(&self, items: impl IntoIterator<Item = T>) {
        self.lock().extend(items);
        self.waker.wake();
    }

    /// Adds items that were taken and not processed, without waking the task, which retries by itself.
    pub(crate) fn put_back(&self, items: BTreeSet<T>) {
        self.lock().extend(items);
    }

    /// Wakes the task without new items.
    pub fn wake(&self) {
        self.waker.wake();
    }

    /// Waits until the task is woken.
    pub(crate) async fn woken(&self) {
        self.waker.woken().await;
    }

    /// Takes all added items.
    pub(crate) fn take(&self) -> BTreeSet<T> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<T>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An unbounded queue of messages to one task. Cheap to clone.
#[derive(Debug)]
pub struct Inbox<T> {
    sender: mpsc::UnboundedSender<T>,
    receiver: Arc<tokio::sync::Mutex<mpsc::UnboundedReceiver<T>>>,
}

impl<T> Default for Inbox<T> {
    fn default() -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        Self {
            sender,
            receiver: Arc::new(tokio::sync::Mutex::new(receiver)),
        }
    }
}

impl<T> Clone for Inbox<T> {
    fn clone(&self) -> Self {
        Self {
            sender: self.sender.clone(),
            receiver: Arc::clone(&self.receiver),
        }
    }
}

impl<T> Inbox<T> {
    /// Sends a message.
    pub fn send(&self, item: T) {
        // Never closed: the inbox holds its receiver.
        let _ = self.sender.send(item);
    }

    /// Returns a sender without access to the receiving end.
    #[must_use]
    pub fn sender(&self) -> mpsc::UnboundedSender<T> {
        self.sender.clone()
    }

    /// Waits for the next message. Cancel-safe: dropping the wait loses no message.
    pub(crate) async fn receive(&self) -> T {
        match self.receiver.lock().await.recv().await {
            Some(item) => item,
            // The inbox holds a sender.
            None => std::future::pending().await,
        }
    }

    /// Returns the next message, if there is one.
    pub(crate) fn try_receive(&self) -> Option<T> {
        self.receiver.try_lock().ok()?.try_recv().ok()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn keeps_a_wake_up_that_came_before_the_wait() {
        let waker = Waker::default();
        waker.wake();
        waker.wake();
        waker.woken().await;
        assert!(waker.woken().now_or_never().is_none());
    }

    #[tokio::test]
    async fn returns_each_pending_item_once() {
        let pending = Pending::default();
        pending.add([1, 2]);
        pending.add([2]);
        pending.woken().await;
        assert_eq!(pending.take(), [1, 2].into());
        assert!(pending.take().is_empty());
    }

    #[tokio::test]
    async fn keeps_messages_when_a_wait_is_dropped() {
        let inbox = Inbox::default();
        assert!(inbox.receive().now_or_never().is_none());
        inbox.send(1);
        inbox.send(2);
        assert_eq!(inbox.receive().await, 1);
        assert_eq!(inbox.try_receive(), Some(2));
        assert_eq!(inbox.try_receive(), None);
    }
}
