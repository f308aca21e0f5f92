//! Serves the claim queue: knows which workers wait, reads from the database what is ready, and assigns builds
//! in one transaction to all who can be served.

use std::collections::BTreeSet;
use std::time::Duration;

use buildbtw_model::{Architecture, ClaimId};
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
use crate::time::Millis;

/// How long to wait before the database is asked again after it failed.
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(1);

/// How long an architecture for which nothing was ready is believed to have nothing. Transitions say
/// when there is something; this is for those that could not.
const READ_AGAIN: Duration = Duration::from_secs(10);

/// How many builds more than waiting workers are considered.
const SPARE: usize = 16;

/// See the module.
pub(crate) struct Claims {
    state: AppState,
    waiters: Vec<Waiter>,
    /// Architectures for which nothing is ready: until a transition says otherwise, nobody who comes has to look.
    drained: BTreeSet<Architecture>,
    /// When a paused build comes up.
    again_at: Option<Instant>,
    read_at: Instant,
}

/// What happens at the queue.
pub(crate) enum Event {
    /// Builds may have become ready.
    Ready,
    /// A worker waits, or waits in vain.
    Message(Message),
}

impl Claims {
    pub(crate) fn new(state: AppState) -> Self {
        Self {
            state,
            waiters: Vec::new(),
            drained: BTreeSet::new(),
            again_at: None,
            read_at: Instant::now(),
        }
    }

    pub(crate) fn outage() -> Outage {
        Outage::new(
            "cannot assign builds to workers",
            Pauses::constant(PAUSE_AFTER_ERROR),
        )
    }

    fn note(&mut self, cause: Cause<Event>) {
        let now = Instant::now();
        match cause {
            Cause::Event(Event::Ready) => self.drained.clear(),
            Cause::Event(Event::Message(message)) => hear(&mut self.waiters, message),
            Cause::Start | Cause::Timer => {
                let is_due = self.again_at.is_some_and(|at| at <= now);
                if is_due || self.read_at + READ_AGAIN <= now {
                    self.drained.clear();
                }
            }
        }
        while let Some(message) = self.state.claims.try_receive() {
            hear(&mut self.waiters, message);
        }
        self.waiters.retain(|waiter| !waiter.answer.is_closed());
    }

    fn has_hope(&self) -> bool {
        let is_drained = |waiter: &Waiter| {
            let mut architectures = waiter.architectures.iter();
            architectures.all(|known| self.drained.contains(known))
        };
        !self.waiters.iter().all(is_drained)
    }

    fn next(&self) -> Next {
        let next_end = self.waiters.iter().map(|waiter| waiter.until).min();
        let read_again = (!self.waiters.is_empty()).then_some(self.read_at + READ_AGAIN);
        let times = [self.again_at, next_end, read_again];
        Next::maybe_at(times.into_iter().flatten().min())
    }
}

impl Actor for Claims {
    const NAME: &'static str = "claims";
    type Event = Event;

    async fn event(&mut self) -> Event {
        tokio::select! {
            () = self.state.claims.ready() => Event::Ready,
            message = self.state.claims.receive() => Event::Message(message),
        }
    }

    async fn turn(&mut self, cause: Cause<Event>) -> Result<Next, Failure> {
        self.note(cause);
        let mut served = Ok(());
        if self.has_hope() {
            self.read_at = Instant::now();
            match serve(&self.state, &mut self.waiters, &mut self.drained).await {
                Ok(pause) => self.again_at = pause.map(|pause| Instant::now() + pause),
                Err(error) => {
                    self.again_at = Some(Instant::now() + PAUSE_AFTER_ERROR);
                    served = Err(error);
                }
            }
        }
        // Everybody is served once, also who does not want to wait.
        let now = Instant::now();
        self.waiters.retain(|waiter| waiter.until > now);
        if self.waiters.is_empty() {
            self.again_at = None;
            // Whoever comes next looks for itself.
            self.drained.clear();
        }
        served?;
        Ok(self.next())
    }
}

fn hear(waiters: &mut Vec<Waiter>, message: Message) {
    match message {
        Message::Wait(waiter) => {
            // A repeated claim takes the place of the first, whose connection is gone.
            waiters.retain(|other| other.claimant.claim != waiter.claimant.claim);
            waiters.push(waiter);
        }
        Message::Revoked(token) => waiters.retain(|waiter| waiter.claimant.token != token),
    }
}

/// Serves whoever can be served; returns when a paused build comes up, if one does. Notes for which
/// architectures nothing is ready.
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
    // Each architecture has one place where it is built.
    architectures.retain(|architecture| !state.is_built_on_gitlab(architecture));
    let mut held_back: Option<Millis> = None;
    // One time for both questions: a pause that ends between them would be in neither answer.
    let at = state.clock.now();
    for architecture in architectures {
        let waiting = waiters
            .iter()
            .filter(|waiter| waiter.architectures.contains(&architecture));
        let count = waiting.count();
        if count == 0 {
            continue;
        }
        // Those that are held back for another worker must not hold up the ones behind them.
        let count = count + SPARE;
        let limit = i64::try_from(count).unwrap_or(i64::MAX);
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

/// Returns when a build that is held back for another worker goes to any.
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
    } = claim_build::assign(state, &pairs).await?;
    let sent_away: Vec<ClaimId> = repeated.into_iter().chain(refused).collect();
    let again_at = again_at
        .into_iter()
        .chain((!sent_away.is_empty()).then(|| state.clock.now()))
        .min();
    for claim in sent_away {
        // Sent away, it asks again and finds what it got, or is told that its token is not valid.
        take(waiters, claim);
    }
    for (claim, assignment) in assigned {
        if let Some(waiter) = take(waiters, claim) {
            // If its connection is gone it asks again with the same claim.
            let _ = waiter.answer.send(assignment);
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
    use buildbtw_model::WorkerName;
    use tokio::sync::oneshot::Receiver;
    use tokio::sync::oneshot::error::TryRecvError;

    use super::*;
    use crate::db::TokenId;
    use crate::state::claim_queue::Assignment;
    use crate::testing::TestState;

    const LONG: Duration = Duration::from_secs(50);

    fn enter(state: &AppState, claim: ClaimId, wait: Duration) -> Receiver<Assignment> {
        let claimant = Claimant {
            claim,
            worker: "worker".parse::<WorkerName>().unwrap(),
            token: TokenId(1),
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
