//! The queue of plans. A plan takes a processor, for seconds if thousands of packages form a cycle. So the
//! number of concurrent plans is limited, each caller has one at a time, plans have a time limit, and a
//! plan is cancelled if its caller disconnects.

use std::cell::Cell;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use buildbtw_model::api::ProblemKind;
use buildbtw_planner::{TimedOut, Until};
use buildbtw_telemetry::spawn_blocking_named;
use prometheus_client::metrics::histogram::Histogram;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::db::TokenId;
use crate::error::{Error, Refusal};

/// Maximum number of queued and running plans per caller.
const MAX_PER_CALLER: usize = 8;
/// Time limit of plans without a token.
const ANONYMOUS_LIMIT: Duration = Duration::from_secs(5);
/// The `Retry-After` of a caller with too many plans.
const PAUSE: Duration = Duration::from_secs(5);
/// The budget reads the clock once per this many checks.
const CHECKS_PER_CLOCK_READ: u32 = 64;

/// The caller of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Caller {
    /// A client with a token.
    Token(TokenId),
    /// A client without a token.
    Address(IpAddr),
    /// The server, after sources changed.
    Server,
}

/// The budget of a plan, which the planner checks.
pub type PlanBudget = Until<Box<dyn Fn() -> bool>>;

/// The queue of plans. Cheap to clone.
#[derive(Clone, Debug)]
pub struct PlanQueue {
    free: Arc<Semaphore>,
    /// The slot of plans without a token; plans with a token do not wait for it.
    public: Arc<Semaphore>,
    callers: Arc<Mutex<HashMap<Caller, Waiting>>>,
    /// Time limit of a plan.
    limit: Duration,
    /// Time limit of a plan without a token.
    public_limit: Duration,
    /// Records how long plans take.
    seconds: Histogram,
    shutdown: CancellationToken,
}

#[derive(Debug)]
struct Waiting {
    turn: Arc<Semaphore>,
    count: usize,
}

/// A caller's entry in the queue; removed when dropped.
struct QueueEntry {
    callers: Arc<Mutex<HashMap<Caller, Waiting>>>,
    caller: Caller,
}

impl Drop for QueueEntry {
    fn drop(&mut self) {
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiting) = callers.get_mut(&self.caller) {
            waiting.count -= 1;
            if waiting.count == 0 {
                callers.remove(&self.caller);
            }
        }
    }
}

/// Cancels the planning thread when its caller disconnects.
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl PlanQueue {
    /// Creates a queue with a time limit per plan. Plans are cancelled on `shutdown`.
    #[must_use]
    pub fn new(limit: Duration, seconds: Histogram, shutdown: CancellationToken) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            // One processor is left for everything else.
            free: Arc::new(Semaphore::new(processors.saturating_sub(1).max(1))),
            public: Arc::new(Semaphore::new(1)),
            callers: Arc::default(),
            limit,
            public_limit: limit.min(ANONYMOUS_LIMIT),
            seconds,
            shutdown,
        }
    }

    /// Runs `make` on its own thread when it is the caller's turn. `make` checks the budget.
    ///
    /// # Errors
    /// When the caller has too many plans, the plan exceeds its time limit, or `make` fails.
    pub async fn plan<T: Send + 'static>(
        &self,
        caller: Caller,
        make: impl FnOnce(&PlanBudget) -> Result<T, PlanError> + Send + 'static,
    ) -> Result<T, Error> {
        let (place, turn) = self.enter(caller)?;
        let turn = acquire(turn).await?;
        let (free, limit) = match caller {
            Caller::Address(_) => (&self.public, self.public_limit),
            Caller::Token(_) | Caller::Server => (&self.free, self.limit),
        };
        let free = acquire(Arc::clone(free)).await?;
        let is_abandoned = Arc::new(AtomicBool::new(false));
        let abandon = CancelOnDrop(Arc::clone(&is_abandoned));
        let (seconds, shutdown) = (self.seconds.clone(), self.shutdown.clone());
        let task = spawn_blocking_named("plan", move || {
            // Released when the thread ends, which may be after the caller disconnected.
            let _held = (place, turn, free);
            let began = Instant::now();
            let end = began + limit;
            let left = Cell::new(0);
            let plan = make(&Until(Box::new(move || {
                if let Some(fewer) = u32::checked_sub(left.get(), 1) {
                    left.set(fewer);
                    return false;
                }
                left.set(CHECKS_PER_CLOCK_READ);
                Instant::now() >= end
                    || is_abandoned.load(Ordering::Relaxed)
                    || shutdown.is_cancelled()
            })));
            seconds.observe(began.elapsed().as_secs_f64());
            plan
        });
        let plan = task.await?;
        drop(abandon);
        plan.map_err(|error| match error {
            PlanError::TimedOut if self.shutdown.is_cancelled() => {
                Error::refused(ProblemKind::Unavailable, "the server is shutting down")
                    .hint("try again in a moment")
            }
            PlanError::TimedOut => too_long(limit),
            PlanError::Other(error) => error,
        })
    }

    fn enter(&self, caller: Caller) -> Result<(QueueEntry, Arc<Semaphore>), Error> {
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = callers.entry(caller).or_insert_with(|| Waiting {
            turn: Arc::new(Semaphore::new(1)),
            count: 0,
        });
        if waiting.count >= MAX_PER_CALLER && caller != Caller::Server {
            return Err(Refusal::new(
                ProblemKind::TooManyRequests,
                format!("{MAX_PER_CALLER} of your plans are already running or queued"),
            )
            .hint("plans of one caller run one at a time; wait for one to finish")
            .retry_after(PAUSE)
            .into());
        }
        waiting.count += 1;
        let place = QueueEntry {
            callers: Arc::clone(&self.callers),
            caller,
        };
        Ok((place, Arc::clone(&waiting.turn)))
    }
}

/// Why a plan failed.
#[derive(Debug)]
pub enum PlanError {
    /// It exceeded its time limit.
    TimedOut,
    /// Another error.
    Other(Error),
}

impl From<TimedOut> for PlanError {
    fn from(_: TimedOut) -> Self {
        Self::TimedOut
    }
}

impl From<Error> for PlanError {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

async fn acquire(semaphore: Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Error> {
    // The semaphore is never closed.
    Ok(semaphore
        .acquire_owned()
        .await
        .map_err(anyhow::Error::from)?)
}

pub(crate) fn too_long(limit: Duration) -> Error {
    Refusal::new(
        ProblemKind::PlanTooLarge,
        format!("planning timed out after {} s", limit.as_secs()),
    )
    .detail("large dependency cycles take long to order")
    .hint(
        "choose a narrower --scope, --exclude some packages, or raise --plan-seconds of the server",
    )
    .into()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use buildbtw_planner::Budget as _;
    use futures_util::FutureExt as _;

    use super::*;

    const A_DAY: Duration = Duration::from_secs(24 * 3600);

    fn queue(limit: Duration) -> PlanQueue {
        let seconds = buildbtw_metrics::short_histogram();
        PlanQueue::new(limit, seconds, CancellationToken::new())
    }

    /// Plans until it is cancelled.
    fn endless(budget: &PlanBudget) -> Result<(), PlanError> {
        loop {
            budget.check()?;
        }
    }

    fn caller(number: i64) -> Caller {
        Caller::Token(TokenId(number))
    }

    fn kind(result: Result<(), Error>) -> ProblemKind {
        result.unwrap_err().into_problem().kind
    }

    #[tokio::test]
    async fn times_out_long_plans() {
        let queue = queue(Duration::from_millis(1));
        let planned = queue.plan(caller(1), endless);
        assert_eq!(kind(planned.await), ProblemKind::PlanTooLarge);
    }

    #[test]
    fn refusal_of_many_plans_matches_snapshot() {
        let queue = queue(A_DAY);
        let enter = || queue.enter(caller(1));
        let places: Vec<_> = (0..MAX_PER_CALLER).map(|_| enter().unwrap()).collect();
        let text = crate::testing::refusals([("many plans", enter().err().unwrap())]);
        insta::assert_snapshot!(text);
        drop(places);
    }

    #[tokio::test]
    async fn limits_anonymous_plans_in_number_and_time() {
        let stranger = |last: u8| Caller::Address([203, 0, 113, last].into());
        let mut queue = queue(A_DAY);
        assert!(queue.public_limit < A_DAY);
        queue.public_limit = A_DAY;
        let (began, begins) = tokio::sync::oneshot::channel();
        let held = {
            let queue = queue.clone();
            tokio::spawn(async move {
                let make = move |budget: &PlanBudget| {
                    let _ = began.send(());
                    endless(budget)
                };
                queue.plan(stranger(1), make).await
            })
        };
        begins.await.unwrap();
        let mut other = Box::pin(queue.plan(stranger(2), |_| Ok(())));
        assert!(other.as_mut().now_or_never().is_none());
        queue.plan(caller(1), |_| Ok(())).await.unwrap();
        queue.plan(Caller::Server, |_| Ok(())).await.unwrap();
        held.abort();
        other.await.unwrap();
        queue.public_limit = Duration::from_millis(1);
        let planned = queue.plan(stranger(1), endless).await;
        assert_eq!(kind(planned), ProblemKind::PlanTooLarge);
    }

    #[tokio::test]
    async fn cancels_plans_on_shutdown() {
        let queue = queue(A_DAY);
        let (began, begins) = tokio::sync::oneshot::channel();
        let planned = queue.plan(caller(1), move |budget| {
            let _ = began.send(());
            endless(budget)
        });
        let stop = async {
            begins.await.unwrap();
            queue.shutdown.cancel();
        };
        let (planned, ()) = tokio::join!(planned, stop);
        assert_eq!(kind(planned), ProblemKind::Unavailable);
    }

    #[tokio::test]
    async fn cancels_plan_when_its_caller_disconnects() {
        let queue = queue(A_DAY);
        let (began, begins) = tokio::sync::oneshot::channel();
        let (end, ends) = mpsc::channel();
        let planned = queue.plan(caller(1), move |budget| {
            let _ = began.send(());
            let result = endless(budget);
            let _ = end.send(());
            result
        });
        tokio::select! {
            _ = planned => panic!("the plan ended without cancellation"),
            _ = begins => {}
        }
        tokio::task::spawn_blocking(move || ends.recv().unwrap())
            .await
            .unwrap();
        // The next one gets its turn.
        queue.plan(caller(1), |_| Ok(())).await.unwrap();
    }

    #[tokio::test]
    async fn limits_running_and_queued_plans_per_caller() {
        let mut queue = queue(A_DAY);
        queue.free = Arc::new(Semaphore::new(2));
        let (release, released) = mpsc::channel::<()>();
        let (began, begins) = tokio::sync::oneshot::channel();
        let greedy = caller(1);
        let first = {
            let queue = queue.clone();
            tokio::spawn(async move {
                let make = move |_: &PlanBudget| {
                    let _ = began.send(());
                    let _ = released.recv();
                    Ok(())
                };
                queue.plan(greedy, make).await
            })
        };
        begins.await.unwrap();
        let mut waiting: Vec<_> = (1..MAX_PER_CALLER)
            .map(|_| Box::pin(queue.plan(greedy, |_| Ok(()))))
            .collect();
        for plan in &mut waiting {
            assert!(plan.as_mut().now_or_never().is_none());
        }
        let one_more = queue.plan(greedy, |_| Ok(())).await;
        assert_eq!(kind(one_more), ProblemKind::TooManyRequests);
        // Other callers are not blocked by all of these.
        queue.plan(caller(2), |_| Ok(())).await.unwrap();
        queue.plan(Caller::Server, |_| Ok(())).await.unwrap();
        release.send(()).unwrap();
        first.await.unwrap().unwrap();
        for plan in waiting {
            plan.await.unwrap();
        }
        assert!(queue.callers.lock().unwrap().is_empty());
    }
}
