//! Runs the background tasks of the server. What they have in common is here, once: the wait for work, for
//! the time of the next turn and for the end of the server, the rest after a failure, the outage that people
//! are shown, the restart after a panic, and what is measured.

#[cfg(test)]
mod tests;

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::outage::{Failure, Outage};

/// A background task: it takes turns, one after the other, whenever something happened or its time has come.
pub(crate) trait Actor: Send {
    /// Its name in the log and in what is measured.
    const NAME: &'static str;

    /// Whether events lead to turns while it rests after a failure. Otherwise they wait for the end of the rest.
    const TAKES_EVENTS_IN_OUTAGE: bool = true;

    /// Whether a turn ends when the server stops, wherever it is.
    const IS_INTERRUPTIBLE: bool = false;

    /// What happens to it besides the passing of time.
    type Event: Send;

    /// Waits for the next event. It is dropped when something else comes first, and must not lose an event then.
    fn event(&mut self) -> impl Future<Output = Self::Event> + Send;

    /// Does what there is to do now.
    fn turn(
        &mut self,
        cause: Cause<Self::Event>,
    ) -> impl Future<Output = Result<Next, Failure>> + Send;

    /// Does what must not wait for the next start of the server, which is stopping.
    fn stop(&mut self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
}

/// Why it is an actor's turn.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Cause<E> {
    /// It has just been started, with the server or after a panic.
    Start,
    /// Its time has come, or its rest is over.
    Timer,
    /// Something happened.
    Event(E),
}

/// When an actor's next turn is, unless something happens before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Next {
    at: Option<Instant>,
    ends_outage: bool,
}

impl Next {
    /// When something happens.
    pub(crate) fn event() -> Self {
        Self::maybe_at(None)
    }

    /// At a time.
    pub(crate) fn at(at: Instant) -> Self {
        Self::maybe_at(Some(at))
    }

    /// After a while.
    pub(crate) fn after(pause: Duration) -> Self {
        Self::at(Instant::now() + pause)
    }

    /// At a time, if there is one.
    pub(crate) fn maybe_at(at: Option<Instant>) -> Self {
        Self {
            at,
            ends_outage: true,
        }
    }

    /// The turn needed nothing of what failed before: an outage goes on.
    pub(crate) fn keep_outage(self) -> Self {
        Self {
            ends_outage: false,
            ..self
        }
    }
}

/// Hears what actors do, for metrics.
pub(crate) trait Observer: Send + Sync {
    /// A turn has ended.
    fn turned(&self, actor: &'static str, took: Duration, is_ok: bool);

    /// An actor has panicked.
    fn panicked(&self, actor: &'static str);
}

/// Writes it to the log of whoever wants to see it.
struct TraceObserver;

impl Observer for TraceObserver {
    fn turned(&self, actor: &'static str, took: Duration, is_ok: bool) {
        tracing::trace!(
            actor.name = actor,
            took_s = took.as_secs_f64(),
            is_ok,
            "a turn ended"
        );
    }

    fn panicked(&self, actor: &'static str) {
        tracing::trace!(actor.name = actor, "a turn panicked");
    }
}

/// Starts actors, and keeps them going until the server stops.
#[derive(Clone)]
pub(crate) struct Runner {
    shutdown: CancellationToken,
    observer: Arc<dyn Observer>,
}

impl Runner {
    /// A runner whose actors stop with the server.
    pub(crate) fn new(shutdown: CancellationToken) -> Self {
        Self {
            shutdown,
            observer: Arc::new(TraceObserver),
        }
    }

    /// Starts an actor as one of `tasks`; each answers with its name when it ends, which it does only when the
    /// server stops. `create` makes it, and makes it again after a panic.
    pub(crate) fn spawn<A: Actor + 'static>(
        &self,
        tasks: &mut JoinSet<&'static str>,
        outage: Outage,
        create: impl FnMut() -> A + Send + 'static,
    ) {
        let runner = self.clone();
        tasks.spawn(async move {
            runner.supervise(&outage, create).await;
            A::NAME
        });
    }

    async fn supervise<A: Actor>(&self, outage: &Outage, mut create: impl FnMut() -> A + Send) {
        loop {
            // It is thrown away after a panic; what others see of it is behind locks that survive one.
            let run = AssertUnwindSafe(async {
                let mut actor = create();
                self.run(&mut actor, outage).await;
            });
            let Err(panic) = run.catch_unwind().await else {
                return;
            };
            self.observer.panicked(A::NAME);
            let pause = outage.panicked(panic_message(panic.as_ref()));
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
            self.observer
                .turned(A::NAME, began.elapsed(), result.is_ok());
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

    /// One turn; nothing when the server stopped in the middle of it.
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

/// Waits for a time; for ever when there is none.
async fn until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// What a panic says.
fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}
