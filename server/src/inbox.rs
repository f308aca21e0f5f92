//! What a background task is sent: many send, one task receives, and it is started after the parts
//! that send to it were put together.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;

/// An inbox whose receiver is taken once, by the task that serves it. Cheap to clone.
#[derive(Debug)]
pub struct Inbox<T> {
    sender: mpsc::UnboundedSender<T>,
    receiver: Arc<Mutex<Option<mpsc::UnboundedReceiver<T>>>>,
}

impl<T> Default for Inbox<T> {
    fn default() -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        Self {
            sender,
            receiver: Arc::new(Mutex::new(Some(receiver))),
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
    /// Sends without waiting. When the task is gone the server stops, and the next start finds what
    /// is to be done.
    pub fn send(&self, item: T) {
        let _ = self.sender.send(item);
    }

    /// For senders that know nothing of this type.
    #[must_use]
    pub fn sender(&self) -> mpsc::UnboundedSender<T> {
        self.sender.clone()
    }

    /// The receiving end, for the first who asks.
    #[must_use]
    pub fn take(&self) -> Option<mpsc::UnboundedReceiver<T>> {
        let mut receiver = self.receiver.lock().unwrap_or_else(PoisonError::into_inner);
        receiver.take()
    }
}
