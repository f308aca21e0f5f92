//! Dispatch to workers: the claims that wait, and the assignment of ready builds to them.

use std::collections::BTreeSet;
use std::time::Duration;

use buildbtw_model::{Architecture, ClaimId, WorkerName, saturating};
use tokio::time::Instant;

use crate::db::builds::{self, Candidate, Eligible};
use crate::db::workers::{self, WORKER_TIMEOUT};
use crate::error::Error;
use crate::service::claim_build::{self, Assigned};
use crate::state::capability::Capability;
use crate::state::claim_queue::{Assignment, Claimant, Message, Waiter, Waiting};
use crate::state::parts::AttemptParts;
use crate::state::shares::Shares;
use crate::time::Millis;

use super::choose::choose;
use super::pair::{Pairs, pair};
use super::shares;

/// How many candidates are read in addition to one per waiting worker.
const EXTRA_CANDIDATES: usize = 16;

/// The claims that wait, oldest first.
#[derive(Default)]
pub(crate) struct WaitingClaims {
    waiters: Vec<Waiter>,
    /// Claims of drained workers, which get no builds.
    parked: Vec<Waiter>,
    /// Architectures without ready builds that workers of a capability could run. New claims of theirs do not cause a
    /// query until a transition reports one.
    exhausted: BTreeSet<(Architecture, Capability)>,
}

impl WaitingClaims {
    /// Adds a claim, or removes those of a revoked token.
    pub(crate) fn apply(&mut self, message: Message) {
        match message {
            Message::Wait(waiter) => {
                // A repeated claim replaces the first one, whose connection was lost.
                self.retain(|other| other.claimant.claim != waiter.claimant.claim);
                self.waiters.push(waiter);
            }
            Message::Revoked(token) => self.retain(|waiter| waiter.claimant.token != token),
        }
    }

    /// Sets the claims of drained workers aside, and takes those of resumed ones back.
    pub(crate) fn park(&mut self, drained: &BTreeSet<WorkerName>) {
        if drained.is_empty() && self.parked.is_empty() {
            return;
        }
        let mut all = std::mem::take(&mut self.waiters);
        all.append(&mut self.parked);
        all.sort_by_key(|waiter| waiter.since);
        let is_drained = |waiter: &Waiter| drained.contains(&waiter.claimant.worker);
        (self.parked, self.waiters) = all.into_iter().partition(is_drained);
    }

    fn retain(&mut self, is_kept: impl Fn(&Waiter) -> bool) {
        self.waiters.retain(&is_kept);
        self.parked.retain(&is_kept);
    }

    /// Notes that there may be ready builds for all architectures.
    pub(crate) fn expect_builds(&mut self) {
        self.exhausted.clear();
    }

    /// Removes claims whose connection was lost.
    pub(crate) fn remove_closed(&mut self) {
        self.retain(|waiter| !waiter.reply.is_closed());
    }

    /// Removes claims whose wait has ended by the monotonic clock, or whose token has expired by the wall clock.
    pub(crate) fn remove_ended(&mut self, now: Instant, at: Millis) {
        self.retain(|waiter| waiter.until > now && !waiter.claimant.is_expired(at));
        if self.waiters.is_empty() {
            // The next claim causes a query in any case.
            self.exhausted.clear();
        }
    }

    /// Returns whether there may be a build for a claim.
    pub(crate) fn may_serve(&self) -> bool {
        let is_hopeless = |waiter: &Waiter| {
            let capability = &waiter.claimant.capability;
            let mut architectures = waiter.architectures.iter();
            architectures.all(|known| contains(&self.exhausted, known, capability))
        };
        !self.waiters.iter().all(is_hopeless)
    }

    /// Returns when the first wait ends.
    pub(crate) fn next_end(&self) -> Option<Instant> {
        let all = self.waiters.iter().chain(&self.parked);
        all.map(|waiter| waiter.until).min()
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
        self.waiters.is_empty() && self.parked.is_empty()
    }

    /// Assigns builds to claims, and notes which of them find no ready builds. Returns the time until a delayed
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
        shares::refresh(parts.database, parts.shares, at).await?;
        for group in self.groups(parts) {
            let again_at = self.serve_group(parts, group, at).await?;
            held_back = held_back.into_iter().chain(again_at).min();
        }
        if self.waiters.is_empty() {
            return Ok(None);
        }
        let pause_end = builds::next_backoff_end(parts.database.read(), at).await?;
        let next = pause_end.into_iter().chain(held_back).min();
        let now = parts.database.clock().now();
        Ok(next.map(|at| at.since(now) + Duration::from_millis(1)))
    }

    /// Assigns builds of an architecture to the claims of one capability. Returns when one that is held back for another
    /// worker may go to any.
    async fn serve_group(
        &mut self,
        parts: AttemptParts<'_>,
        group: (Architecture, Capability),
        at: Millis,
    ) -> Result<Option<Millis>, Error> {
        let count = self.members(&group).count();
        if count == 0 {
            return Ok(None);
        }
        // Builds that are held back for another worker must not block those behind them.
        let count = count + EXTRA_CANDIDATES;
        let (architecture, capability) = &group;
        let tags: Vec<_> = capability.tags.iter().collect();
        let eligible = Eligible {
            tags: &tags,
            memory_mib: capability.memory_mib.into(),
        };
        let (reader, limit) = (parts.database.read(), saturating(count));
        let candidates = builds::candidates(reader, architecture, &eligible, limit, at).await?;
        let (found, waiting) = (candidates.len(), self.waiters.len());
        let chosen = parts
            .shares
            .with(architecture, |usage| choose(candidates, count, usage, at));
        let mut again_at = None;
        if !chosen.is_empty() {
            again_at = self.assign(parts, &group, &chosen).await?;
        }
        if found == waiting - self.waiters.len() {
            self.exhausted.insert(group);
        }
        Ok(again_at)
    }

    /// Returns the architectures that claims wait for, with the capabilities of their workers: the least capable ones
    /// first, which have the smallest choice. An architecture is built either by workers or on GitLab.
    fn groups(&self, parts: AttemptParts<'_>) -> BTreeSet<(Architecture, Capability)> {
        let is_on_gitlab = |architecture: &Architecture| {
            let on_gitlab = parts.pipelines;
            on_gitlab.is_some_and(|on_gitlab| on_gitlab.builds(architecture))
        };
        let mut groups = BTreeSet::new();
        for waiter in &self.waiters {
            let capability = &waiter.claimant.capability;
            for asked in &waiter.architectures {
                if !contains(&groups, asked, capability) && !is_on_gitlab(asked) {
                    groups.insert((asked.clone(), capability.clone()));
                }
            }
        }
        groups
    }

    /// Returns the claims for an architecture of workers with a capability.
    fn members<'a>(
        &'a self,
        (architecture, capability): &'a (Architecture, Capability),
    ) -> impl Iterator<Item = &'a Waiter> {
        self.waiters.iter().filter(move |waiter| {
            waiter.architectures.contains(architecture) && waiter.claimant.capability == *capability
        })
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
        group: &(Architecture, Capability),
        chosen: &[Candidate],
    ) -> Result<Option<Millis>, Error> {
        let architecture = &group.0;
        let (database, clock) = (parts.database, parts.database.clock());
        let alive = if chosen.iter().any(|build| build.failed_on.is_some()) {
            let since = clock.now() - WORKER_TIMEOUT;
            workers::alive(database.read(), architecture, since).await?
        } else {
            Vec::new()
        };
        let able: Vec<&Claimant> = self.members(group).map(|waiter| &waiter.claimant).collect();
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
        charge(parts.shares, architecture, chosen, &assigned, clock.now());
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

/// Charges the builds that were assigned to the shares of their namespaces.
fn charge(
    shares: &Shares,
    architecture: &Architecture,
    chosen: &[Candidate],
    assigned: &[(ClaimId, Assignment)],
    at: Millis,
) {
    let assigned: BTreeSet<_> = assigned.iter().map(|(_, given)| given.build.id).collect();
    let charged = chosen.iter().filter(|build| assigned.contains(&build.id));
    shares.with(architecture, |usage| {
        charged.for_each(|build| usage.charge(build, at));
    });
}

/// Returns whether one of a few groups is this one; without copies, since hundreds of claims may wait.
fn contains(
    groups: &BTreeSet<(Architecture, Capability)>,
    architecture: &Architecture,
    capability: &Capability,
) -> bool {
    let mut groups = groups.iter();
    groups.any(|(known, able)| known == architecture && able == capability)
}
