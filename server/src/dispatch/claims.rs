//! Dispatch to workers: the claims that wait, and the assignment of ready builds to them.

use std::collections::BTreeSet;
use std::time::Duration;

use buildbtw_model::{Architecture, ClaimId, saturating};
use tokio::time::Instant;

use crate::db::builds::{self, Candidate};
use crate::db::workers::{self, WORKER_TIMEOUT};
use crate::error::Error;
use crate::service::claim_build::{self, Assigned};
use crate::state::claim_queue::{Claimant, Message, Waiter, Waiting};
use crate::state::parts::AttemptParts;
use crate::time::Millis;

use super::choose::choose;
use super::pair::{Pairs, pair};

/// How many candidates are read in addition to one per waiting worker.
const EXTRA_CANDIDATES: usize = 16;

/// The claims that wait, oldest first.
#[derive(Default)]
pub(crate) struct WaitingClaims {
    waiters: Vec<Waiter>,
    /// Architectures without ready builds. New claims for them do not cause a query until a transition reports one.
    drained: BTreeSet<Architecture>,
}

impl WaitingClaims {
    /// Adds a claim, or removes those of a revoked token.
    pub(crate) fn apply(&mut self, message: Message) {
        match message {
            Message::Wait(waiter) => {
                // A repeated claim replaces the first one, whose connection was lost.
                self.waiters
                    .retain(|other| other.claimant.claim != waiter.claimant.claim);
                self.waiters.push(waiter);
            }
            Message::Revoked(token) => self.waiters.retain(|waiter| waiter.claimant.token != token),
        }
    }

    /// Notes that there may be ready builds for all architectures.
    pub(crate) fn expect_builds(&mut self) {
        self.drained.clear();
    }

    /// Removes claims whose connection was lost.
    pub(crate) fn remove_closed(&mut self) {
        self.waiters.retain(|waiter| !waiter.reply.is_closed());
    }

    /// Removes claims whose wait has ended by the monotonic clock, or whose token has expired by the wall clock.
    pub(crate) fn remove_ended(&mut self, now: Instant, at: Millis) {
        self.waiters
            .retain(|waiter| waiter.until > now && !waiter.claimant.is_expired(at));
        if self.waiters.is_empty() {
            // The next claim causes a query in any case.
            self.drained.clear();
        }
    }

    /// Returns whether there may be a build for a claim.
    pub(crate) fn may_serve(&self) -> bool {
        let is_drained = |waiter: &Waiter| {
            let mut architectures = waiter.architectures.iter();
            architectures.all(|known| self.drained.contains(known))
        };
        !self.waiters.iter().all(is_drained)
    }

    /// Returns when the first wait ends.
    pub(crate) fn next_end(&self) -> Option<Instant> {
        self.waiters.iter().map(|waiter| waiter.until).min()
    }

    /// Returns the number of claims, and which of these architectures they could build for.
    pub(crate) fn counted(&self, architectures: &[Architecture]) -> Waiting {
        let is_waited_for = |architecture: &&Architecture| self.count(architecture) > 0;
        let awaited = architectures.iter().filter(is_waited_for);
        Waiting {
            claims: self.waiters.len(),
            architectures: awaited.cloned().collect(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    /// Assigns builds to claims, and notes the architectures without ready builds. Returns the time until a delayed
    /// build becomes ready, if there is one.
    ///
    /// # Errors
    /// When the database cannot be used; claims that got no build still wait.
    pub(crate) async fn serve(
        &mut self,
        parts: AttemptParts<'_>,
    ) -> Result<Option<Duration>, Error> {
        let mut held_back: Option<Millis> = None;
        // Both queries use one time, or a pause that ends between them would be in neither result.
        let at = parts.database.clock().now();
        for architecture in self.architectures(parts) {
            let count = self.count(&architecture);
            if count == 0 {
                continue;
            }
            // Builds that are held back for another worker must not block those behind them.
            let count = count + EXTRA_CANDIDATES;
            let limit = saturating(count);
            let reader = parts.database.read();
            let candidates = builds::candidates(reader, &architecture, limit, at).await?;
            let (found, waiting) = (candidates.len(), self.waiters.len());
            let chosen = choose(candidates, count);
            if !chosen.is_empty() {
                let again_at = self.assign(parts, &architecture, &chosen).await?;
                held_back = held_back.into_iter().chain(again_at).min();
            }
            if found == waiting - self.waiters.len() {
                self.drained.insert(architecture);
            }
        }
        if self.waiters.is_empty() {
            return Ok(None);
        }
        let pause_end = builds::next_backoff_end(parts.database.read(), at).await?;
        let next = pause_end.into_iter().chain(held_back).min();
        let now = parts.database.clock().now();
        Ok(next.map(|at| at.since(now) + Duration::from_millis(1)))
    }

    /// Returns the architectures that claims wait for. An architecture is built either by workers or on GitLab.
    fn architectures(&self, parts: AttemptParts<'_>) -> BTreeSet<Architecture> {
        let asked = self.waiters.iter();
        let asked = asked.flat_map(|waiter| waiter.architectures.iter().cloned());
        let is_on_gitlab = |architecture: &Architecture| {
            let on_gitlab = parts.pipelines;
            on_gitlab.is_some_and(|on_gitlab| on_gitlab.builds(architecture))
        };
        asked.filter(|asked| !is_on_gitlab(asked)).collect()
    }

    /// Returns the number of claims for an architecture.
    fn count(&self, architecture: &Architecture) -> usize {
        let waiting = self.waiters.iter();
        let waiting = waiting.filter(|waiter| waiter.architectures.contains(architecture));
        waiting.count()
    }

    /// Assigns builds. Returns when one that is held back for another worker may go to any.
    async fn assign(
        &mut self,
        parts: AttemptParts<'_>,
        architecture: &Architecture,
        chosen: &[Candidate],
    ) -> Result<Option<Millis>, Error> {
        let (database, clock) = (parts.database, parts.database.clock());
        let alive = if chosen.iter().any(|build| build.failed_on.is_some()) {
            let since = clock.now() - WORKER_TIMEOUT;
            workers::alive(database.read(), architecture, since).await?
        } else {
            Vec::new()
        };
        let able: Vec<&Claimant> = self
            .waiters
            .iter()
            .filter(|waiter| waiter.architectures.contains(architecture))
            .map(|waiter| &waiter.claimant)
            .collect();
        let names: Vec<_> = able.iter().map(|claimant| &claimant.worker).collect();
        let Pairs { pairs, again_at } = pair(chosen, &names, &alive, clock.now());
        let pairs: Vec<_> = pairs
            .into_iter()
            .map(|(place, build)| (able[place].clone(), build))
            .collect();
        let lease = parts.config.lease;
        let Assigned {
            assigned,
            repeated,
            refused,
        } = claim_build::assign(database, parts.announcer, lease, &pairs).await?;
        let dismissed: Vec<ClaimId> = repeated.into_iter().chain(refused).collect();
        let again_at = again_at
            .into_iter()
            .chain((!dismissed.is_empty()).then(|| clock.now()))
            .min();
        for claim in dismissed {
            // Its worker claims again, and gets its earlier assignment, or an error if its token is invalid.
            self.take(claim);
        }
        for (claim, assignment) in assigned {
            if let Some(waiter) = self.take(claim) {
                // Either of them may have come later.
                let lag = waiter.since.elapsed().min(assignment.queued);
                parts.announcer.metrics.builds.dispatch_lag(lag);
                // If its connection was lost, the worker claims again with the same ID.
                let _ = waiter.reply.send(assignment);
            }
        }
        Ok(again_at)
    }

    fn take(&mut self, claim: ClaimId) -> Option<Waiter> {
        let place = self
            .waiters
            .iter()
            .position(|waiter| waiter.claimant.claim == claim)?;
        Some(self.waiters.remove(place))
    }
}
