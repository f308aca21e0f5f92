//! The recorded state.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use axum::response::Response;
use buildbtw_model::api::{ClaimedBuild, ExchangeIdToken, Outcome, ProblemKind};
use buildbtw_model::{AttemptId, ClaimId, PackageFileName, TokenScope};
use bytes::Bytes;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::problem::problem;

/// The treatment of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// It has no effect, and gets 503.
    Unavailable,
    /// It has its effect, but the response is lost.
    LoseResponse,
}

/// Chooses the treatment of a request by its number and path.
pub type Faults = fn(u64, &str) -> Fault;

#[derive(Clone, Debug, Default)]
pub struct Attempt {
    pub heartbeats: u32,
    pub log: Vec<u8>,
    /// The uploaded PKGBUILD.
    pub pkgbuild: Option<Bytes>,
    pub packages: BTreeMap<PackageFileName, Bytes>,
    /// Every outcome that was accepted, without repetitions.
    pub outcomes: Vec<Outcome>,
    /// Whether heartbeats report a cancellation.
    pub cancel: bool,
    /// Whether the server has given up on it.
    pub has_ended: bool,
    /// Claimed with another token.
    pub foreign: bool,
    /// Whether that token is no longer valid, so that another one may take over the attempt.
    pub adoptable: bool,
    /// Whether its failure was reported as one that must not be retried.
    pub is_final: bool,
}

#[derive(Default)]
pub struct Inner {
    pub queue: VecDeque<ClaimedBuild>,
    pub claims: HashMap<ClaimId, ClaimedBuild>,
    pub attempts: BTreeMap<AttemptId, Attempt>,
    /// Assignments of attempts to a second worker, or without a claim.
    pub unexpected_assignments: Vec<String>,
    /// The number of requests with outcomes, whether they got a response or not.
    pub outcome_requests: u32,
    /// The number of started uploads, whether they got a response or not.
    pub upload_requests: u32,
    pub claim_requests: u32,
    pub denied: bool,
    /// The scope of the token; a worker's by default.
    pub scope: Option<TokenScope>,
    /// Claims with another token.
    pub foreign_claims: Vec<ClaimId>,
    /// The builds that jobs can get, by attempt and ID token.
    pub exchanges: HashMap<(AttemptId, String), ClaimedBuild>,
    /// Every request for an exchange.
    pub exchange_requests: Vec<ExchangeIdToken>,
}

#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) inner: Arc<Mutex<Inner>>,
    pub(crate) changed: watch::Sender<u64>,
    pub(crate) faults: Arc<Mutex<(Faults, u64)>>,
    pub(crate) killed: CancellationToken,
}

impl Shared {
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        let result = change(&mut self.inner.lock().unwrap());
        self.changed.send_modify(|version| *version += 1);
        result
    }

    /// Changes an attempt that has not ended.
    pub(crate) fn with_attempt<T>(
        &self,
        id: AttemptId,
        change: impl FnOnce(&mut Attempt) -> Result<T, Response>,
    ) -> Result<T, Response> {
        self.change(|inner| match inner.attempts.get_mut(&id) {
            None => Err(problem(404, ProblemKind::NotFound)),
            Some(attempt) if attempt.has_ended => Err(problem(409, ProblemKind::AttemptEnded)),
            Some(attempt) if attempt.foreign => Err(problem(403, ProblemKind::Forbidden)),
            Some(attempt) => change(attempt),
        })
    }

    /// Changes the state without waking waiting tasks, one of which may be the caller.
    pub(crate) fn change_without_notifying<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        change(&mut self.inner.lock().unwrap())
    }
}
