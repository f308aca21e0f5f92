//! The queue in which claims of workers wait for builds. The actor for claims serves it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use buildbtw_model::{Architecture, AttemptId, ClaimId, WorkerName};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::address::BaseUrl;
use crate::db::TokenId;
use crate::db::builds::BuildRow;
use crate::time::Millis;
use crate::wakers::{Inbox, Waker};

use super::capability::Capability;

/// A worker that waits for a build.
#[derive(Clone, Debug)]
pub struct Claimant {
    /// Its claim.
    pub claim: ClaimId,
    /// Its name.
    pub worker: WorkerName,
    /// Its token.
    pub token: TokenId,
    /// What it is capable of.
    pub capability: Capability,
    /// When the token expires.
    pub expires_at: Option<Millis>,
    /// The address at which it reaches the server.
    pub server: BaseUrl,
}

impl Claimant {
    /// Returns whether its token has expired at a time.
    #[must_use]
    pub fn is_expired(&self, at: Millis) -> bool {
        self.expires_at.is_some_and(|expires_at| expires_at <= at)
    }
}

/// A build assigned to a claimant.
#[derive(Clone, Debug)]
pub struct Assignment {
    /// The attempt created for it.
    pub attempt: AttemptId,
    /// The build.
    pub build: BuildRow,
    /// How long it was ready.
    pub queued: Duration,
}

/// A message to the actor that serves the queue.
#[derive(Debug)]
pub(crate) enum Message {
    /// A claim waits.
    Wait(Waiter),
    /// A token was revoked: its claims end.
    Revoked(TokenId),
}

/// A claim that waits.
#[derive(Debug)]
pub(crate) struct Waiter {
    pub(crate) claimant: Claimant,
    pub(crate) architectures: Vec<Architecture>,
    /// When it began to wait.
    pub(crate) since: Instant,
    /// When its wait ends. The actor checks this itself, so that it does not assign a build to a claim
    /// whose wait ends at the same moment.
    pub(crate) until: Instant,
    pub(crate) reply: oneshot::Sender<Assignment>,
}

/// Where claims wait for builds. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct ClaimQueue {
    inbox: Inbox<Message>,
    ready: Waker,
    /// What the actor last knew.
    waiting: Arc<Mutex<Waiting>>,
    /// Workers that get no builds, as the database has them.
    drained: Arc<Mutex<BTreeSet<WorkerName>>>,
}

/// The claims that wait.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Their number.
    pub claims: usize,
    /// The architectures that they could build for.
    pub architectures: BTreeSet<Architecture>,
}

impl ClaimQueue {
    /// Notifies the actor that builds may have become ready.
    pub fn wake(&self) {
        self.ready.wake();
    }

    /// Ends the wait of claims with a revoked token.
    pub fn revoked(&self, token: TokenId) {
        self.inbox.send(Message::Revoked(token));
    }

    /// Enqueues a claim for up to `wait`. The sender is dropped if it gets no build.
    #[must_use]
    pub fn enter(
        &self,
        claimant: Claimant,
        architectures: Vec<Architecture>,
        wait: Duration,
    ) -> oneshot::Receiver<Assignment> {
        let (reply, assigned) = oneshot::channel();
        let now = Instant::now();
        self.inbox.send(Message::Wait(Waiter {
            claimant,
            architectures,
            since: now,
            until: now + wait,
            reply,
        }));
        assigned
    }

    /// Returns the claims that wait, as of the actor's last turn.
    #[must_use]
    pub fn waiting(&self) -> Waiting {
        self.lock().clone()
    }

    /// Sets the claims that wait.
    pub(crate) fn set_waiting(&self, waiting: Waiting) {
        *self.lock() = waiting;
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the workers that get no builds.
    pub fn set_drained(&self, workers: BTreeSet<WorkerName>) {
        *self.lock_drained() = workers;
    }

    /// Gives a worker no builds from now on. Call it within the transaction that records it, so that no other one assigns
    /// a build to it afterwards.
    pub fn drain(&self, worker: &WorkerName) {
        self.lock_drained().insert(worker.clone());
    }

    /// Gives a worker builds again.
    pub fn resume(&self, worker: &WorkerName) {
        self.lock_drained().remove(worker);
        self.wake();
    }

    /// Returns whether a worker gets no builds.
    #[must_use]
    pub fn is_drained(&self, worker: &WorkerName) -> bool {
        self.lock_drained().contains(worker)
    }

    /// Returns the workers that get no builds.
    #[must_use]
    pub fn drained(&self) -> BTreeSet<WorkerName> {
        self.lock_drained().clone()
    }

    fn lock_drained(&self) -> MutexGuard<'_, BTreeSet<WorkerName>> {
        self.drained.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until builds may have become ready.
    pub(crate) async fn ready(&self) {
        self.ready.woken().await;
    }

    /// Waits for the next message.
    pub(crate) async fn receive(&self) -> Message {
        self.inbox.receive().await
    }

    /// Returns the next message, if there is one.
    pub(crate) fn try_receive(&self) -> Option<Message> {
        self.inbox.try_receive()
    }
}
