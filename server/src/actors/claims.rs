//! Serves the claim queue: collects the claims that wait, and has builds assigned to them when there may be ready ones.

use std::time::Duration;

use buildbtw_model::BackgroundTask;
use tokio::time::Instant;

use super::runner::{Actor, Cause, Next, OwnOutage};
use crate::disk::PAUSE_DURING_SHORTAGE;
use crate::dispatch::claims::WaitingClaims;
use crate::error::Error;
use crate::outage::{Failure, Pauses};
use crate::state::AppState;
use crate::state::claim_queue::Message;
use crate::time::Jumps;

/// How long an architecture counts as drained. Transitions report new ready builds; this covers a report that was
/// lost.
const DRAINED_TTL: Duration = Duration::from_secs(10);

/// The actor that assigns ready builds to waiting workers.
pub(crate) struct Claims {
    state: AppState,
    waiting: WaitingClaims,
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
            waiting: WaitingClaims::default(),
            retry_at: None,
            read_at: Instant::now(),
        }
    }

    fn apply_event(&mut self, cause: Cause<Event>) {
        let now = Instant::now();
        match cause {
            Cause::Event(Event::Ready) => self.waiting.expect_builds(),
            Cause::Event(Event::Message(message)) => self.waiting.apply(message),
            Cause::Start | Cause::Timer => {
                let is_due = self.retry_at.is_some_and(|at| at <= now);
                if is_due || self.read_at + DRAINED_TTL <= now {
                    self.waiting.expect_builds();
                }
            }
        }
        while let Some(message) = self.state.claims.try_receive() {
            self.waiting.apply(message);
        }
        self.waiting.park(&self.state.claims.drained());
        self.waiting.remove_closed();
    }

    /// Serves the waiting claims, unless the disk is below its reserve. Returns the time until another try.
    async fn serve(&mut self) -> Result<Option<Duration>, Error> {
        if self.state.disk.shortage()?.is_some() {
            return Ok(Some(PAUSE_DURING_SHORTAGE));
        }
        self.waiting.serve(self.state.attempt_parts()).await
    }

    fn next(&self) -> Next {
        let read_again = (!self.waiting.is_empty()).then_some(self.read_at + DRAINED_TTL);
        let times = [self.retry_at, self.waiting.next_end(), read_again];
        Next::maybe_at(times.into_iter().flatten().min())
    }
}

impl OwnOutage for Claims {
    const TITLE: &'static str = "cannot assign builds to workers";
    const PAUSES: Pauses = Pauses::constant(Duration::from_secs(1));
}

impl Actor for Claims {
    const TASK: BackgroundTask = BackgroundTask::Claims;
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
        if self.waiting.may_serve() {
            self.read_at = Instant::now();
            match self.serve().await {
                Ok(pause) => self.retry_at = pause.map(|pause| Instant::now() + pause),
                Err(error) => {
                    // The next turn tries again, whatever causes it.
                    self.waiting.expect_builds();
                    served = Err(error);
                }
            }
        }
        // A claim is served once even if its wait is zero.
        let (now, at) = (Instant::now(), self.state.clock.now());
        self.waiting.remove_ended(now, at);
        if self.waiting.is_empty() {
            self.retry_at = None;
        }
        let architectures = &self.state.config.architectures;
        let waiting = self.waiting.counted(architectures);
        self.state.claims.set_waiting(waiting);
        served?;
        Ok(self.next())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use buildbtw_model::{ClaimId, WorkerName};
    use tokio::sync::oneshot::Receiver;
    use tokio::sync::oneshot::error::TryRecvError;

    use super::*;
    use crate::db::TokenId;
    use crate::state::capability::Capability;
    use crate::state::claim_queue::{Assignment, Claimant};
    use crate::testing::{TestState, settable};
    use crate::time::Millis;

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
            capability: Capability::default(),
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
