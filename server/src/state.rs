//! The state that handlers, services and actors share: settings, data, and the queues and wakers by which
//! actors learn of work. It does not depend on its users.

pub mod announcer;
pub mod capability;
pub mod claim_queue;
pub mod failed_logins;
pub mod fetched_protocols;
pub mod outages;
pub mod parts;
pub mod pipelines;
pub mod publish_queue;
pub mod recent_events;
pub mod replans;
pub mod report_limit;
pub mod shares;
pub mod token_cache;
pub mod trace_recorder;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use buildbtw_model::api::ReadyResponse;
use tokio_util::sync::CancellationToken;

use crate::admission::{Admission, Limits};
use crate::cached::Cached;
use crate::changes::Changes;
use crate::config::Config;
use crate::db::{Database, NamespaceId};
use crate::disk::Disk;
use crate::logs::Logs;
use crate::metrics::Metrics;
use crate::planning::known_sonames::KnownSonames;
use crate::planning::queue::PlanQueue;
use crate::repos::Repos;
use crate::repos::base::BaseRepositories;
use crate::sources::Sources;
use crate::time::Clock;
use crate::wakers::{Pending, Waker};

use announcer::Announcer;
use claim_queue::ClaimQueue;
use failed_logins::FailedLogins;
use fetched_protocols::FetchedProtocols;
use outages::Outages;
use pipelines::Pipelines;
use publish_queue::{FileListQueue, PublishQueue};
use recent_events::RecentEvents;
use replans::Replans;
use report_limit::ReportLimit;
use shares::Shares;
use token_cache::TokenCache;
use trace_recorder::TraceRecorder;

/// The parts of a running server. Cheap to clone.
#[derive(Clone)]
pub struct AppState(Arc<Shared>);

/// See [`AppState`].
struct Shared {
    parts: Parts,
    announcer: Announcer,
}

/// See [`AppState`].
pub struct Parts {
    /// The settings.
    pub config: Config,
    /// The metrics.
    pub metrics: Metrics,
    /// Whether the server can do its work.
    pub readiness: Cached<ReadyResponse>,
    /// The wall clock, which the database has, too.
    pub clock: Clock,
    /// The database.
    pub database: Database,
    /// The package index and where it comes from.
    pub sources: Sources,
    /// The repositories on disk.
    pub repos: Repos,
    /// The base repositories.
    pub base: BaseRepositories,
    /// The build logs.
    pub logs: Logs,
    /// The disk of the data folder.
    pub disk: Disk,
    /// Wakes followers of events.
    pub changes: Changes,
    /// The newest events, for all followers.
    pub recent_events: RecentEvents,
    /// Claims of workers that wait for builds.
    pub claims: ClaimQueue,
    /// Protocols by which workers fetch sources.
    pub fetched: FetchedProtocols,
    /// Builds on GitLab, if it builds anything.
    pub pipelines: Option<Pipelines>,
    /// Namespaces to report to GitLab, if reports are configured.
    pub forge_reports: Option<Pending<NamespaceId>>,
    /// Records traces, if they are exported.
    pub traces: Option<TraceRecorder>,
    /// Woken when a lease was set, since the next expiry may be an earlier one.
    pub leases: Waker,
    /// Which packages link which libraries.
    pub sonames: KnownSonames,
    /// Namespaces to plan again, and when.
    pub replans: Replans,
    /// The queue of plans.
    pub planning: PlanQueue,
    /// Builds to publish.
    pub publisher: PublishQueue,
    /// Repositories whose file lists are out of date.
    pub file_lists: FileListQueue,
    /// Woken when iterations end.
    pub retention: Waker,
    /// Woken when settings are to be read again.
    pub reload: Waker,
    /// Recently used valid tokens.
    pub token_cache: TokenCache,
    /// Limits of connections and requests.
    pub admission: Admission,
    /// Limits concurrent reports of workers.
    pub reports: ReportLimit,
    /// What was built for whom within the last day.
    pub shares: Shares,
    /// The outages of background tasks.
    pub outages: Outages,
    /// Counts failed logins.
    pub failed_logins: FailedLogins,
    /// Cancelled on shutdown.
    pub shutdown: CancellationToken,
}

/// The parts of a state that depend on settings.
pub struct CoreParts {
    /// The settings.
    pub config: Config,
    /// The database.
    pub database: Database,
    /// The package index and where it comes from.
    pub sources: Sources,
    /// The schedule that gets the events of the sources.
    pub replans: Replans,
    /// The base repositories.
    pub base: BaseRepositories,
    /// Limits of connections.
    pub limits: Limits,
    /// The disk of the data folder.
    pub disk: Disk,
    /// Maximum duration of a plan.
    pub plan_limit: Duration,
}

impl Parts {
    /// Creates a state below a data folder, without builds on GitLab and without reports.
    ///
    /// # Errors
    /// When the folders cannot be created.
    pub fn new(
        data: &Path,
        core_parts: CoreParts,
        shutdown: CancellationToken,
    ) -> io::Result<Self> {
        let metrics = Metrics::new(
            &core_parts.config.architectures,
            core_parts.database.metrics(),
        );
        let plan_seconds = metrics.builds.plan_seconds();
        Ok(Self {
            metrics,
            readiness: Cached::default(),
            planning: PlanQueue::new(core_parts.plan_limit, plan_seconds, shutdown.clone()),
            admission: Admission::new(&core_parts.limits),
            repos: Repos::new(data)?,
            logs: Logs::new(data)?,
            disk: core_parts.disk,
            config: core_parts.config,
            clock: core_parts.database.clock().clone(),
            database: core_parts.database,
            sources: core_parts.sources,
            replans: core_parts.replans,
            base: core_parts.base,
            changes: Changes::default(),
            recent_events: RecentEvents::default(),
            claims: ClaimQueue::default(),
            fetched: FetchedProtocols::default(),
            pipelines: None,
            forge_reports: None,
            traces: None,
            leases: Waker::default(),
            sonames: KnownSonames::default(),
            publisher: PublishQueue::default(),
            file_lists: FileListQueue::default(),
            retention: Waker::default(),
            reload: Waker::default(),
            token_cache: TokenCache::default(),
            reports: ReportLimit::default(),
            shares: Shares::default(),
            outages: Outages::default(),
            failed_logins: FailedLogins::default(),
            shutdown,
        })
    }
}

impl std::ops::Deref for AppState {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0.parts
    }
}

impl AppState {
    /// Wraps the parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let announcer = Announcer {
            forge_reports: parts.forge_reports.clone(),
            changes: parts.changes.clone(),
            claims: parts.claims.clone(),
            pipelines: parts.pipelines.clone(),
            leases: parts.leases.clone(),
            retention: parts.retention.clone(),
            publisher: parts.publisher.clone(),
            traced: parts.traces.as_ref().map(|recorder| recorder.due.clone()),
            metrics: parts.metrics.clone(),
        };
        Self(Arc::new(Shared { parts, announcer }))
    }

    /// Returns what announces the effects of transactions.
    #[must_use]
    pub fn announcer(&self) -> &Announcer {
        &self.0.announcer
    }
}
