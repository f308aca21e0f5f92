//! Serves the claim queue: holds the waiting claims, reads the ready builds from the database, and assigns as many
//! as possible in one transaction.

use std::collections::BTreeSet;
use std::time::Duration;

use buildbtw_model::{Architecture, ClaimId, saturating};
use tokio::time::Instant;

use super::runner::{Actor, Cause, Next};
use crate::db::builds::{self, Candidate};
use crate::db::workers::{self, WORKER_TIMEOUT};
use crate::dispatch::choose::choose;
use crate::dispatch::pair::{Pairs, pair};
use crate::error::Error;
use crate::outage::{Failure, Outage, Pauses};
use crate::service::claim_build::{self, Assigned};
use crate::state::AppState;
use crate::state::claim_queue::{Claimant, Message, Waiter};
use crate::time::{Clock, Jumps, Millis};

/// The pause before a retry after a failure of the database.
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(1);

/// How long an architecture counts as drained. Transitions report new ready builds; this covers a report that was
/// lost.
const DRAINED_TTL: Duration = Duration::from_secs(10);

/// How many candidates are read in addition to one per waiting worker.
const EXTRA_CANDIDATES: usize = 16;

/// The actor that assigns ready builds to waiting workers.
pub(crate) struct Claims {
    state: AppState,
    waiters: Vec<Waiter>,
    /// Architectures without ready builds. New claims for them do not cause a query until a transition reports one.
    drained: BTreeSet<Architecture>,
    /// When a build becomes ready whose retry is delayed, or that is held back for another worker.
    retry_at: Option<Instant>,
    read_at: Instant,
    jumps: Jumps,
}

/// Events of the claim queue.
pub(crate) enum Event {
    /// Builds may have become ready, or the clock has jumped past the end of a backoff.
    Ready,
    /// A worker began to wait, or its token was revoked.
    Message(Message),
}

impl Claims {
    pub(crate) fn new(state: AppState) -> Self {
        Self {
            jumps: state.clock.jumps(),
            state,
            waiters: Vec::new(),
            drained: BTreeSet::new(),
            retry_at: None,
            read_at: Instant::now(),
        }
    }

    pub(crate) fn outage(clock: &Clock) -> Outage {
        Outage::new(
            "cannot assign builds to workers",
            Pauses::constant(PAUSE_AFTER_ERROR),
            clock,
        )
    }

    fn apply_event(&mut self, cause: Cause<Event>) {
        let now = Instant::now();
        match cause {
            Cause::Event(Event::Ready) => self.drained.clear(),
            Cause::Event(Event::Message(message)) => apply_message(&mut self.waiters, message),
            Cause::Start | Cause::Timer => {
                let is_due = self.retry_at.is_some_and(|at| at <= now);
                if is_due || self.read_at + DRAINED_TTL <= now {
                    self.drained.clear();
                }
            }
        }
        while let Some(message) = self.state.claims.try_receive() {
            apply_message(&mut self.waiters, message);
        }
        self.waiters.retain(|waiter| !waiter.reply.is_closed());
    }

    fn may_serve(&self) -> bool {
        let is_drained = |waiter: &Waiter| {
            let mut architectures = waiter.architectures.iter();
            architectures.all(|known| self.drained.contains(known))
        };
        !self.waiters.iter().all(is_drained)
    }

    fn next(&self) -> Next {
        let next_end = self.waiters.iter().map(|waiter| waiter.until).min();
        let read_again = (!self.waiters.is_empty()).then_some(self.read_at + DRAINED_TTL);
        let times = [self.retry_at, next_end, read_again];
        Next::maybe_at(times.into_iter().flatten().min())
    }
}

impl Actor for Claims {
    const NAME: &'static str = "claims";
    type Event = Event;

    async fn event(&mut self) -> Event {
        tokio::select! {
            () = self.state.claims.ready() => Event::Ready,
            () = self.jumps.next() => Event::Ready,
            message = self.state.claims.receive() => Event::Message(message),
        }
    }

    async fn turn(&mut self, cause: Cause<Event>) -> Result<Next, Failure> {
        self.apply_event(cause);
        let mut served = Ok(());
        if self.may_serve() {
            self.read_at = Instant::now();
            match serve(&self.state, &mut self.waiters, &mut self.drained).await {
                Ok(pause) => self.retry_at = pause.map(|pause| Instant::now() + pause),
                Err(error) => {
                    self.retry_at = Some(Instant::now() + PAUSE_AFTER_ERROR);
                    served = Err(error);
                }
            }
        }
        // A claim is served once even if its wait is zero.
        let (now, at) = (Instant::now(), self.state.clock.now());
        self.waiters
            .retain(|waiter| waiter.until > now && !waiter.claimant.is_expired(at));
        if self.waiters.is_empty() {
            self.retry_at = None;
            // The next claim causes a query in any case.
            self.drained.clear();
        }
        served?;
        Ok(self.next())
    }
}

fn apply_message(waiters: &mut Vec<Waiter>, message: Message) {
    match message {
        Message::Wait(waiter) => {
            // A repeated claim replaces the first one, whose connection was lost.
            waiters.retain(|other| other.claimant.claim != waiter.claimant.claim);
            waiters.push(waiter);
        }
        Message::Revoked(token) => waiters.retain(|waiter| waiter.claimant.token != token),
    }
}

/// Assigns builds to waiting claims, and notes the architectures without ready builds. Returns the time until a
/// delayed build becomes ready, if there is one.
async fn serve(
    state: &AppState,
    waiters: &mut Vec<Waiter>,
    drained: &mut BTreeSet<Architecture>,
) -> Result<Option<Duration>, Error> {
    let mut architectures: Vec<Architecture> = waiters
        .iter()
        .flat_map(|waiter| waiter.architectures.iter().cloned())
        .collect();
    architectures.sort_unstable();
    architectures.dedup();
    // An architecture is built either by workers or on GitLab.
    architectures.retain(|architecture| !state.is_built_on_gitlab(architecture));
    let mut held_back: Option<Millis> = None;
    // Both queries use one time, or a pause that ends between them would be in neither result.
    let at = state.clock.now();
    for architecture in architectures {
        let waiting = waiters
            .iter()
            .filter(|waiter| waiter.architectures.contains(&architecture));
        let count = waiting.count();
        if count == 0 {
            continue;
        }
        // Builds that are held back for another worker must not block those behind them.
        let count = count + EXTRA_CANDIDATES;
        let limit = saturating(count);
        let candidates =
            builds::candidates(state.database.read(), &architecture, limit, at).await?;
        let (found, waiting) = (candidates.len(), waiters.len());
        let chosen = choose(candidates, count);
        if !chosen.is_empty() {
            let again_at = assign(state, waiters, &architecture, &chosen).await?;
            held_back = held_back.into_iter().chain(again_at).min();
        }
        if found == waiting - waiters.len() {
            drained.insert(architecture);
        }
    }
    if waiters.is_empty() {
        return Ok(None);
    }
    let pause_end = builds::next_backoff_end(state.database.read(), at).await?;
    let next = pause_end.into_iter().chain(held_back).min();
    Ok(next.map(|at| at.since(state.clock.now()) + Duration::from_millis(1)))
}

/// Assigns builds. Returns when one that is held back for another worker may go to any.
async fn assign(
    state: &AppState,
    waiters: &mut Vec<Waiter>,
    architecture: &Architecture,
    chosen: &[Candidate],
) -> Result<Option<Millis>, Error> {
    let alive = if chosen.iter().any(|build| build.failed_on.is_some()) {
        let since = state.clock.now() - WORKER_TIMEOUT;
        workers::alive(state.database.read(), architecture, since).await?
    } else {
        Vec::new()
    };
    let able: Vec<&Claimant> = waiters
        .iter()
        .filter(|waiter| waiter.architectures.contains(architecture))
        .map(|waiter| &waiter.claimant)
        .collect();
    let names: Vec<_> = able.iter().map(|claimant| &claimant.worker).collect();
    let Pairs { pairs, again_at } = pair(chosen, &names, &alive, state.clock.now());
    let pairs: Vec<_> = pairs
        .into_iter()
        .map(|(place, build)| (able[place].clone(), build))
        .collect();
    let Assigned {
        assigned,
        repeated,
        refused,
    } = claim_build::assign(
        &state.database,
        state.announcer(),
        state.config.lease,
        &pairs,
    )
    .await?;
    let dismissed: Vec<ClaimId> = repeated.into_iter().chain(refused).collect();
    let again_at = again_at
        .into_iter()
        .chain((!dismissed.is_empty()).then(|| state.clock.now()))
        .min();
    for claim in dismissed {
        // Its worker claims again, and gets its earlier assignment, or an error if its token is invalid.
        take(waiters, claim);
    }
    for (claim, assignment) in assigned {
        if let Some(waiter) = take(waiters, claim) {
            // If its connection was lost, the worker claims again with the same ID.
            let _ = waiter.reply.send(assignment);
        }
    }
    Ok(again_at)
}

fn take(waiters: &mut Vec<Waiter>, claim: ClaimId) -> Option<Waiter> {
    let place = waiters
        .iter()
        .position(|waiter| waiter.claimant.claim == claim)?;
    Some(waiters.remove(place))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use buildbtw_model::WorkerName;
    use tokio::sync::oneshot::Receiver;
    use tokio::sync::oneshot::error::TryRecvError;

    use super::*;
    use crate::db::TokenId;
    use crate::state::claim_queue::Assignment;
    use crate::testing::{TestState, settable};

    const LONG: Duration = Duration::from_secs(50);

    fn enter(state: &AppState, claim: ClaimId, wait: Duration) -> Receiver<Assignment> {
        enter_until(state, claim, wait, None)
    }

    fn enter_until(
        state: &AppState,
        claim: ClaimId,
        wait: Duration,
        expires_at: Option<Millis>,
    ) -> Receiver<Assignment> {
        let claimant = Claimant {
            claim,
            worker: "worker".parse::<WorkerName>().unwrap(),
            token: TokenId(1),
            expires_at,
            server: state.config.base_url(),
        };
        let architectures = vec!["x86_64".parse().unwrap()];
        state.claims.enter(claimant, architectures, wait)
    }

    async fn turn(claims: &mut Claims) -> Next {
        let event = claims.event().await;
        claims.turn(Cause::Event(event)).await.unwrap()
    }

    #[tokio::test]
    async fn ends_claim_after_its_wait() {
        let state = TestState::new().await;
        let mut claims = Claims::new(state.clone());
        let mut hasty = enter(&state, ClaimId::new(), Duration::ZERO);
        let mut patient = enter(&state, ClaimId::new(), LONG);
        turn(&mut claims).await;
        assert_eq!(hasty.try_recv().err(), Some(TryRecvError::Closed));
        assert_eq!(patient.try_recv().err(), Some(TryRecvError::Empty));
    }

    #[tokio::test]
    async fn replaces_claim_when_it_is_repeated() {
        let state = TestState::new().await;
        let mut claims = Claims::new(state.clone());
        let claim = ClaimId::new();
        let mut first = enter(&state, claim, LONG);
        turn(&mut claims).await;
        let mut second = enter(&state, claim, LONG);
        turn(&mut claims).await;
        assert_eq!(first.try_recv().err(), Some(TryRecvError::Closed));
        assert_eq!(second.try_recv().err(), Some(TryRecvError::Empty));
    }

    #[tokio::test]
    async fn ends_claims_of_tokens_that_expired_in_a_jump_of_the_clock() {
        let (time, clock) = settable();
        let state = TestState::at(clock).await;
        let mut claims = Claims::new(state.clone());
        let expires_at = Some(state.clock.now() + LONG);
        let mut claim = enter_until(&state, ClaimId::new(), LONG, expires_at);
        turn(&mut claims).await;
        assert_eq!(claim.try_recv().err(), Some(TryRecvError::Empty));
        time.fetch_add(50_000, Ordering::Relaxed);
        state.clock.announce_jump();
        assert_eq!(turn(&mut claims).await, Next::event());
        assert_eq!(claim.try_recv().err(), Some(TryRecvError::Closed));
    }

    #[tokio::test]
    async fn ends_claims_of_revoked_tokens() {
        let state = TestState::new().await;
        let mut claims = Claims::new(state.clone());
        let mut claim = enter(&state, ClaimId::new(), LONG);
        turn(&mut claims).await;
        state.claims.revoked(TokenId(1));
        assert_eq!(turn(&mut claims).await, Next::event());
        assert_eq!(claim.try_recv().err(), Some(TryRecvError::Closed));
    }
}
