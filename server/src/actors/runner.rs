//! The runner of the server's background tasks. It implements once what they have in common: waiting for an event,
//! a time or shutdown, backoff after failures, the outage on pages and in the CLI, the restart after a panic, and
//! metrics.

mod keyed;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use buildbtw_model::BackgroundTask;
use buildbtw_telemetry::spawn_in;
use futures_util::FutureExt as _;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::metrics::actors::ActorMetrics;
use crate::outage::{Failure, Outage, Pauses};
use crate::state::outages::Outages;
use crate::time::Clock;

pub(crate) use keyed::Keyed;

/// A background task. It takes one turn after another, each caused by an event or by a time.
pub(crate) trait Actor: Send {
    /// The task, whose name is in logs, metrics and outages.
    const TASK: BackgroundTask;

    /// Whether events cause turns during the backoff after a failure. Otherwise they wait for its end.
    const TAKES_EVENTS_IN_OUTAGE: bool = true;

    /// Whether shutdown cancels a running turn.
    const IS_INTERRUPTIBLE: bool = false;

    /// Events that cause a turn.
    type Event: Send;

    /// Waits for the next event. The future may be dropped before it completes, and must not lose an event then.
    fn event(&mut self) -> impl Future<Output = Self::Event> + Send;

    /// Does the work that is due.
    fn turn(
        &mut self,
        cause: Cause<Self::Event>,
    ) -> impl Future<Output = Result<Next, Failure>> + Send;

    /// Does the work that must not wait for the next start. Called at shutdown.
    fn stop(&mut self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
}

/// An actor whose outage the runner creates. The outages of the others belong to the state that they share.
pub(crate) trait OwnOutage: Actor {
    /// What the actor cannot do during an outage, in the log, on pages and for clients.
    const TITLE: &'static str;

    /// The pauses after failures.
    const PAUSES: Pauses;
}

/// The cause of a turn.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Cause<E> {
    /// The actor has just started, with the server or after a panic.
    Start,
    /// The time of its next turn has come, or its backoff has ended.
    Timer,
    /// An event.
    Event(E),
}

/// When the next turn is due, unless an event comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Next {
    at: Option<Instant>,
    ends_outage: bool,
    is_ok: bool,
}

impl Next {
    /// Returns a turn after the next event only.
    pub(crate) fn event() -> Self {
        Self::maybe_at(None)
    }

    /// Returns a turn at a time, or after an earlier event.
    pub(crate) fn at(at: Instant) -> Self {
        Self::maybe_at(Some(at))
    }

    /// Returns a turn after a pause, or after an earlier event.
    pub(crate) fn after(pause: Duration) -> Self {
        Self::at(Instant::now() + pause)
    }

    /// Returns a turn at a time, if there is one, or after an event only.
    pub(crate) fn maybe_at(at: Option<Instant>) -> Self {
        Self {
            at,
            ends_outage: true,
            is_ok: true,
        }
    }

    /// Keeps a current outage: the turn did not try what had failed.
    pub(crate) fn keep_outage(self) -> Self {
        Self {
            ends_outage: false,
            ..self
        }
    }

    /// Counts the turn as failed. The actor has noted the failure in its outage and chosen the next time itself.
    pub(crate) fn failed(self) -> Self {
        Self {
            is_ok: false,
            ..self.keep_outage()
        }
    }
}

/// An observer of turns, for metrics.
pub(crate) trait Observer: Send + Sync {
    /// Records that an actor was started.
    fn started(&self, actor: &'static str);

    /// Records that a turn has ended.
    fn turned(&self, actor: &'static str, took: Duration, is_ok: bool);

    /// Records that an actor has panicked.
    fn panicked(&self, actor: &'static str);
}

/// Counts turns, and writes them to the trace log.
impl Observer for ActorMetrics {
    fn started(&self, actor: &'static str) {
        self.create(actor);
    }

    fn turned(&self, actor: &'static str, took: Duration, is_ok: bool) {
        tracing::trace!(
            actor.name = actor,
            took_s = took.as_secs_f64(),
            is_ok,
            "a turn ended"
        );
        self.record(actor, took, is_ok);
    }

    fn panicked(&self, actor: &'static str) {
        tracing::trace!(actor.name = actor, "a turn panicked");
        self.record_panic(actor);
    }
}

/// Starts actors, and restarts them until the server stops.
#[derive(Clone)]
pub(crate) struct Runner {
    shutdown: CancellationToken,
    /// Where pages and clients find the outages of the actors.
    outages: Outages,
    observer: Arc<dyn Observer>,
    clock: Clock,
}

impl Runner {
    /// Creates a runner whose actors stop with `shutdown`; it adds their outages to `outages`.
    pub(crate) fn new(
        shutdown: CancellationToken,
        outages: Outages,
        observer: Arc<dyn Observer>,
        clock: Clock,
    ) -> Self {
        Self {
            shutdown,
            outages,
            observer,
            clock,
        }
    }

    /// Starts an actor as one of `tasks`, which returns the actor's name when the server stops. `create` is called
    /// with the actor's outage, at the start and after each panic.
    pub(crate) fn spawn<A: OwnOutage + 'static>(
        &self,
        tasks: &mut JoinSet<&'static str>,
        mut create: impl FnMut(&Outage) -> A + Send + 'static,
    ) {
        let outage = Outage::new(A::TITLE, A::PAUSES, &self.clock);
        let shown = outage.clone();
        self.spawn_with(tasks, outage, move || create(&shown));
    }

    /// Starts an actor like [`Self::spawn`], with an outage that other parts share.
    pub(crate) fn spawn_with<A: Actor + 'static>(
        &self,
        tasks: &mut JoinSet<&'static str>,
        outage: Outage,
        create: impl FnMut() -> A + Send + 'static,
    ) {
        self.outages.add(A::TASK, outage.clone());
        let runner = self.clone();
        self.observer.started(A::TASK.as_str());
        spawn_in(tasks, A::TASK.as_str(), async move {
            runner.supervise(&outage, create).await;
            A::TASK.as_str()
        });
    }

    async fn supervise<A: Actor>(&self, outage: &Outage, mut create: impl FnMut() -> A + Send) {
        loop {
            // The actor is dropped after a panic; the state it shares is behind locks that survive poisoning.
            let run = AssertUnwindSafe(async {
                let mut actor = create();
                self.run(&mut actor, outage).await;
            });
            let Err(panic) = run.catch_unwind().await else {
                return;
            };
            self.observer.panicked(A::TASK.as_str());
            let pause = outage.panicked(&panic_message(panic.as_ref()));
            tokio::select! {
                () = self.shutdown.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn run<A: Actor>(&self, actor: &mut A, outage: &Outage) {
        let mut cause = Cause::Start;
        while !self.shutdown.is_cancelled() {
            let began = Instant::now();
            let Some(result) = self.turn(actor, cause).await else {
                break;
            };
            let is_ok = result.as_ref().is_ok_and(|next| next.is_ok);
            self.observer
                .turned(A::TASK.as_str(), began.elapsed(), is_ok);
            let (next, takes_events) = match result {
                Ok(next) => {
                    if next.ends_outage {
                        outage.recovered();
                    }
                    (next.at, true)
                }
                Err(failure) => {
                    let pause = outage.failed(&failure);
                    (Some(Instant::now() + pause), A::TAKES_EVENTS_IN_OUTAGE)
                }
            };
            cause = tokio::select! {
                () = self.shutdown.cancelled() => break,
                event = actor.event(), if takes_events => Cause::Event(event),
                () = until(next) => Cause::Timer,
            };
        }
        actor.stop().await;
    }

    /// Runs a turn; `None` when shutdown cancelled it.
    async fn turn<A: Actor>(
        &self,
        actor: &mut A,
        cause: Cause<A::Event>,
    ) -> Option<Result<Next, Failure>> {
        let turn = actor.turn(cause);
        if !A::IS_INTERRUPTIBLE {
            return Some(turn.await);
        }
        tokio::select! {
            () = self.shutdown.cancelled() => None,
            result = turn => Some(result),
        }
    }
}

/// Waits until a time, or forever.
async fn until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// Returns the message of a panic.
fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}
