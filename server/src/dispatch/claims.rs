//! The desk at which workers wait. One task serves it: it knows who waits, asks the database what is
//! ready, and gives builds out in one transaction for all who can be served.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use buildbtw_model::api::ClaimedBuild;
use buildbtw_model::{Architecture, ClaimId};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::app_state::AppState;
use crate::db::builds::{self, Candidate};
use crate::db::workers::{self, WORKER_SILENCE_MS};
use crate::db::{TokenId, now};
use crate::error::Error;
use crate::inbox::Inbox;
use crate::service::claim_build::{self, Claimant, Gifts, Given};

use super::choose::choose;
use super::pair::{Pairs, pair};

/// How long to wait before the database is asked again after it failed.
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(1);

/// How long an architecture for which nothing was ready is believed to have nothing. Transitions say
/// when there is something; this is for those that could not.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// How many builds more than waiting workers are looked at.
const SPARE: usize = 16;

/// Where claims wait for builds.
#[derive(Clone, Default)]
pub struct ClaimDesk {
    inbox: Inbox<Message>,
    ready: Arc<Notify>,
}

/// What the desk is told.
enum Message {
    /// A worker waits.
    Wait(Waiter),
    /// A token is not valid any more: its claims wait in vain.
    Revoked(TokenId),
}

/// A worker that waits.
struct Waiter {
    claimant: Claimant,
    architectures: Vec<Architecture>,
    /// When it is sent away. The desk looks at this itself, so that no build is given to a worker
    /// that is being sent away at the same moment.
    until: Instant,
    answer: oneshot::Sender<Given>,
}

impl ClaimDesk {
    /// Says that builds may have become ready.
    pub fn wake(&self) {
        self.ready.notify_one();
    }

    /// Sends away who waits with a token that was revoked.
    pub fn revoked(&self, token: TokenId) {
        self.inbox.send(Message::Revoked(token));
    }

    /// Waits up to `wait` for a build.
    ///
    /// # Errors
    /// When the token was revoked or has expired meanwhile, or the database cannot be read.
    pub async fn claim(
        &self,
        state: &AppState,
        claimant: Claimant,
        architectures: Vec<Architecture>,
        wait: Duration,
    ) -> Result<Option<ClaimedBuild>, Error> {
        let (answer, given) = oneshot::channel();
        let claim = claimant.clone();
        self.inbox.send(Message::Wait(Waiter {
            claimant,
            architectures,
            until: Instant::now() + wait,
            answer,
        }));
        tokio::select! {
            given = given => match given {
                Ok(given) => claim_build::describe(state, given, &claim.server).await.map(Some),
                // Its time or its token's is over, another try of the same claim took this one's place,
                // or the server stops.
                Err(_) => claim_build::check_token(state, claim.token).await.map(|()| None),
            },
            () = state.shutdown.cancelled() => claim_build::repeated_claim(state, &claim).await,
        }
    }

    /// Serves the desk until cancelled. Runs once.
    pub async fn run(self, state: AppState, cancel: CancellationToken) {
        let Some(mut receiver) = self.inbox.take() else {
            return;
        };
        let mut waiters: Vec<Waiter> = Vec::new();
        let mut drained = BTreeSet::new();
        let mut again_at: Option<Instant> = None;
        let mut looked_at = Instant::now();
        loop {
            let next_end = waiters.iter().map(|waiter| waiter.until).min();
            let look_again = (!waiters.is_empty()).then_some(looked_at + LOOK_AGAIN);
            let wake_at = again_at.into_iter().chain(next_end).chain(look_again).min();
            let pause = async {
                match wake_at {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = cancel.cancelled() => return,
                () = self.ready.notified() => drained.clear(),
                () = pause => {
                    let now = Instant::now();
                    if again_at.is_some_and(|at| at <= now) || looked_at + LOOK_AGAIN <= now {
                        drained.clear();
                    }
                }
                message = receiver.recv() => match message {
                    Some(message) => hear(&mut waiters, message),
                    None => return,
                },
            }
            while let Ok(message) = receiver.try_recv() {
                hear(&mut waiters, message);
            }
            waiters.retain(|waiter| !waiter.answer.is_closed());
            let is_drained = |waiter: &Waiter| {
                let mut architectures = waiter.architectures.iter();
                architectures.all(|known| drained.contains(known))
            };
            if !waiters.iter().all(is_drained) {
                looked_at = Instant::now();
                again_at = match serve(&state, &mut waiters, &mut drained).await {
                    Ok(pause) => pause.map(|pause| Instant::now() + pause),
                    Err(error) => {
                        tracing::error!(error = error.to_string(), "cannot hand out builds");
                        Some(Instant::now() + PAUSE_AFTER_ERROR)
                    }
                };
            }
            // Everybody is served once, also who does not want to wait.
            let now = Instant::now();
            waiters.retain(|waiter| waiter.until > now);
            if waiters.is_empty() {
                again_at = None;
                // Whoever comes next looks for itself.
                drained.clear();
            }
        }
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

/// Serves whoever can be served; returns when a paused build comes up, if one does.
///
/// An architecture is `drained` when nothing is ready for it: until a transition says otherwise,
/// nobody who comes has to look.
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
    let mut held_back: Option<i64> = None;
    // One time for both questions: a pause that ends between them would be in neither answer.
    let at = now();
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
            let again_at = hand_out(state, waiters, &architecture, &chosen).await?;
            held_back = held_back.into_iter().chain(again_at).min();
        }
        if found == waiting - waiters.len() {
            drained.insert(architecture);
        }
    }
    if waiters.is_empty() {
        return Ok(None);
    }
    let pause_end = builds::next_pause_end(state.database.read(), at).await?;
    let next = pause_end.into_iter().chain(held_back).min();
    let milliseconds = |at: i64| u64::try_from(at - now()).unwrap_or_default() + 1;
    Ok(next.map(|at| Duration::from_millis(milliseconds(at))))
}

/// Returns when a build that is held back for another worker goes to any.
async fn hand_out(
    state: &AppState,
    waiters: &mut Vec<Waiter>,
    architecture: &Architecture,
    chosen: &[Candidate],
) -> Result<Option<i64>, Error> {
    let alive = if chosen.iter().any(|build| build.failed_on.is_some()) {
        let since = now() - WORKER_SILENCE_MS;
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
    let Pairs { pairs, again_at } = pair(chosen, &names, &alive, now());
    let pairs: Vec<_> = pairs
        .into_iter()
        .map(|(place, build)| (able[place].clone(), build))
        .collect();
    let Gifts {
        given,
        repeated,
        refused,
    } = claim_build::give(state, &pairs).await?;
    let sent_away: Vec<ClaimId> = repeated.into_iter().chain(refused).collect();
    let again_at = again_at
        .into_iter()
        .chain((!sent_away.is_empty()).then(now))
        .min();
    for claim in sent_away {
        // Sent away, it asks again and finds what it got, or is told that its token is not valid.
        take(waiters, claim);
    }
    for (claim, given) in given {
        if let Some(waiter) = take(waiters, claim) {
            // If its connection is gone it asks again with the same claim.
            let _ = waiter.answer.send(given);
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
