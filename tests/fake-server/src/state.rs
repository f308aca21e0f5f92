//! What the server has recorded.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use axum::response::Response;
use buildbtw_model::api::{ClaimedBuild, ExchangeIdToken, Outcome, ProblemKind};
use buildbtw_model::{AttemptId, ClaimId, PackageFileName, TokenScope};
use bytes::Bytes;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::problem::problem;

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// Refused with 503 before it has any effect.
    Unavailable,
    /// It has its effect, but the answer never arrives.
    LoseAnswer,
}

/// Decides about each request by its number and path.
pub type Faults = fn(u64, &str) -> Fault;

#[derive(Clone, Debug, Default)]
pub struct Attempt {
    pub heartbeats: u32,
    pub log: Vec<u8>,
    /// The PKGBUILD that was kept.
    pub pkgbuild: Option<Bytes>,
    pub packages: BTreeMap<PackageFileName, Bytes>,
    /// Every outcome that was accepted as a new one.
    pub outcomes: Vec<Outcome>,
    /// What the heartbeats answer.
    pub cancel: bool,
    /// Given up by the server.
    pub ended: bool,
    /// Claimed with another token.
    pub foreign: bool,
    /// Whether that token is not valid any more, so that the attempt is handed over.
    pub adoptable: bool,
    /// Reported as one that nobody needs to try again.
    pub is_final: bool,
}

#[derive(Default)]
pub struct Inner {
    pub queue: VecDeque<ClaimedBuild>,
    pub claims: HashMap<ClaimId, ClaimedBuild>,
    pub attempts: BTreeMap<AttemptId, Attempt>,
    /// Attempts given to a second worker or never asked for.
    pub surprises: Vec<String>,
    /// How many requests for outcomes came in, answered or not.
    pub outcome_requests: u32,
    /// How many uploads were begun, answered or not.
    pub upload_requests: u32,
    pub claim_requests: u32,
    pub denied: bool,
    /// What the token is for; a worker's if nothing is said.
    pub scope: Option<TokenScope>,
    /// Claims that were made with another token.
    pub foreign_claims: Vec<ClaimId>,
    /// What jobs can exchange, by the attempt of the job and its ID token.
    pub exchanges: HashMap<(AttemptId, String), ClaimedBuild>,
    /// Every exchange that was asked for.
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

    /// Works on an attempt that is not over.
    pub(crate) fn with_attempt<T>(
        &self,
        id: AttemptId,
        change: impl FnOnce(&mut Attempt) -> Result<T, Response>,
    ) -> Result<T, Response> {
        self.change(|inner| match inner.attempts.get_mut(&id) {
            None => Err(problem(404, ProblemKind::NotFound)),
            Some(attempt) if attempt.ended => Err(problem(409, ProblemKind::AttemptEnded)),
            Some(attempt) if attempt.foreign => Err(problem(403, ProblemKind::Forbidden)),
            Some(attempt) => change(attempt),
        })
    }

    /// Without waking those who wait, who may be the caller.
    pub(crate) fn change_quietly<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        change(&mut self.inner.lock().unwrap())
    }
}
