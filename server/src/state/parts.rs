//! The parts of the state that a group of use cases needs. They are borrowed one by one, so that a test of a use
//! case creates these and no others.

use buildbtw_model::Architecture;
use buildbtw_model::api::ReadyResponse;
use tokio_util::sync::CancellationToken;

use crate::admission::Admission;
use crate::cached::Cached;
use crate::changes::Changes;
use crate::config::Config;
use crate::db::Database;
use crate::disk::Disk;
use crate::logs::Logs;
use crate::metrics::Metrics;
use crate::planning::known_sonames::KnownSonames;
use crate::planning::queue::PlanQueue;
use crate::repos::Repos;
use crate::repos::base::BaseRepositories;
use crate::sources::Sources;

use super::AppState;
use super::announcer::Announcer;
use super::claim_queue::ClaimQueue;
use super::failed_logins::FailedLogins;
use super::fetched_protocols::FetchedProtocols;
use super::outages::Outages;
use super::pipelines::Pipelines;
use super::publish_queue::FileListQueue;
use super::recent_events::RecentEvents;
use super::replans::Replans;
use super::report_limit::ReportLimit;
use super::shares::Shares;
use super::token_cache::TokenCache;

/// What reports on attempts need, and what ends attempts.
#[derive(Clone, Copy)]
pub struct AttemptParts<'a> {
    /// The settings.
    pub config: &'a Config,
    /// The database.
    pub database: &'a Database,
    /// The repositories on disk, with the uploads of attempts.
    pub repos: &'a Repos,
    /// The disk of the data folder.
    pub disk: &'a Disk,
    /// The build logs.
    pub logs: &'a Logs,
    /// Limits concurrent reports.
    pub reports: &'a ReportLimit,
    /// What was built for whom within the last day.
    pub shares: &'a Shares,
    /// Learns of effects.
    pub announcer: &'a Announcer,
    /// Builds on GitLab, if it builds anything.
    pub pipelines: Option<&'a Pipelines>,
}

/// What jobs in GitLab need to get their builds, besides [`AttemptParts`].
#[derive(Clone, Copy)]
pub struct JobParts<'a> {
    /// The base repositories.
    pub base: &'a BaseRepositories,
    /// Limits of connections and requests.
    pub admission: &'a Admission,
    /// Counts failed logins.
    pub failed_logins: &'a FailedLogins,
}

/// What claims of workers need.
#[derive(Clone, Copy)]
pub struct ClaimParts<'a> {
    /// The settings.
    pub config: &'a Config,
    /// The database.
    pub database: &'a Database,
    /// The base repositories.
    pub base: &'a BaseRepositories,
    /// Where claims wait for builds.
    pub claims: &'a ClaimQueue,
    /// Protocols by which workers fetch sources.
    pub fetched: &'a FetchedProtocols,
    /// Limits concurrent reports, of which a claim is one until it waits.
    pub reports: &'a ReportLimit,
    /// Cancelled on shutdown.
    pub shutdown: &'a CancellationToken,
}

/// What planning needs.
#[derive(Clone, Copy)]
pub struct PlanningParts<'a> {
    /// The settings.
    pub config: &'a Config,
    /// The database.
    pub database: &'a Database,
    /// The package index and where it comes from.
    pub sources: &'a Sources,
    /// The repositories on disk, with the packages that builds may reuse.
    pub repos: &'a Repos,
    /// The disk of the data folder.
    pub disk: &'a Disk,
    /// The base repositories.
    pub base: &'a BaseRepositories,
    /// Which packages link which libraries.
    pub sonames: &'a KnownSonames,
    /// See [`AppState::fetched_by_workers`].
    pub fetched: Option<&'a FetchedProtocols>,
    /// The queue of plans.
    pub planning: &'a PlanQueue,
    /// Namespaces to plan again, and when.
    pub replans: &'a Replans,
    /// Learns of effects.
    pub announcer: &'a Announcer,
    /// Builds on GitLab, if it builds anything.
    pub pipelines: Option<&'a Pipelines>,
}

/// What pages and lists show.
#[derive(Clone, Copy)]
pub struct ReadParts<'a> {
    /// The settings.
    pub config: &'a Config,
    /// The database.
    pub database: &'a Database,
    /// The package index and where it comes from.
    pub sources: &'a Sources,
    /// See [`AppState::fetched_by_workers`].
    pub fetched: Option<&'a FetchedProtocols>,
    /// Builds on GitLab, if it builds anything.
    pub pipelines: Option<&'a Pipelines>,
    /// The disk of the data folder.
    pub disk: &'a Disk,
    /// The outages of background tasks.
    pub outages: &'a Outages,
}

/// What followers of events need.
#[derive(Clone, Copy)]
pub struct EventParts<'a> {
    /// The database.
    pub database: &'a Database,
    /// Wakes followers.
    pub changes: &'a Changes,
    /// The newest events, for all followers.
    pub recent_events: &'a RecentEvents,
    /// Cancelled on shutdown.
    pub shutdown: &'a CancellationToken,
}

/// What publishing needs, and what serves the files of repositories.
#[derive(Clone, Copy)]
pub struct RepositoryParts<'a> {
    /// The architectures that have repositories.
    pub architectures: &'a [Architecture],
    /// The database.
    pub database: &'a Database,
    /// The repositories on disk.
    pub repos: &'a Repos,
    /// Repositories whose file lists are out of date.
    pub file_lists: &'a FileListQueue,
    /// Learns of effects.
    pub announcer: &'a Announcer,
}

/// What removing iterations with their files needs.
#[derive(Clone, Copy)]
pub struct DeletionParts<'a> {
    /// The database.
    pub database: &'a Database,
    /// The repositories on disk.
    pub repos: &'a Repos,
    /// The build logs.
    pub logs: &'a Logs,
    /// Recently used valid tokens. Those of deleted attempts must not stay in it.
    pub token_cache: &'a TokenCache,
}

/// What monitoring reads.
#[derive(Clone, Copy)]
pub struct MonitoringParts<'a> {
    /// The settings.
    pub config: &'a Config,
    /// The database.
    pub database: &'a Database,
    /// The package index and where it comes from.
    pub sources: &'a Sources,
    /// Limits of connections and requests.
    pub admission: &'a Admission,
    /// Where claims wait for builds.
    pub claims: &'a ClaimQueue,
    /// The disk of the data folder.
    pub disk: &'a Disk,
    /// The outages of background tasks.
    pub outages: &'a Outages,
    /// The metrics.
    pub metrics: &'a Metrics,
    /// The last results of the checks.
    pub readiness: &'a Cached<ReadyResponse>,
    /// Cancelled on shutdown.
    pub shutdown: &'a CancellationToken,
}

impl AppState {
    /// Returns what monitoring reads.
    #[must_use]
    pub fn monitoring_parts(&self) -> MonitoringParts<'_> {
        MonitoringParts {
            config: &self.config,
            database: &self.database,
            sources: &self.sources,
            admission: &self.admission,
            claims: &self.claims,
            disk: &self.disk,
            outages: &self.outages,
            metrics: &self.metrics,
            readiness: &self.readiness,
            shutdown: &self.shutdown,
        }
    }

    /// Returns what reports on attempts need.
    #[must_use]
    pub fn attempt_parts(&self) -> AttemptParts<'_> {
        AttemptParts {
            config: &self.config,
            database: &self.database,
            repos: &self.repos,
            disk: &self.disk,
            logs: &self.logs,
            reports: &self.reports,
            shares: &self.shares,
            announcer: self.announcer(),
            pipelines: self.pipelines.as_ref(),
        }
    }

    /// Returns what jobs in GitLab need to get their builds.
    #[must_use]
    pub fn job_parts(&self) -> JobParts<'_> {
        JobParts {
            base: &self.base,
            admission: &self.admission,
            failed_logins: &self.failed_logins,
        }
    }

    /// Returns what claims need.
    #[must_use]
    pub fn claim_parts(&self) -> ClaimParts<'_> {
        ClaimParts {
            config: &self.config,
            database: &self.database,
            base: &self.base,
            claims: &self.claims,
            fetched: &self.fetched,
            reports: &self.reports,
            shutdown: &self.shutdown,
        }
    }

    /// Returns what planning needs.
    #[must_use]
    pub fn planning_parts(&self) -> PlanningParts<'_> {
        PlanningParts {
            config: &self.config,
            database: &self.database,
            sources: &self.sources,
            repos: &self.repos,
            disk: &self.disk,
            base: &self.base,
            sonames: &self.sonames,
            fetched: self.fetched_by_workers(),
            planning: &self.planning,
            replans: &self.replans,
            announcer: self.announcer(),
            pipelines: self.pipelines.as_ref(),
        }
    }

    /// Returns what pages and lists show.
    #[must_use]
    pub fn read_parts(&self) -> ReadParts<'_> {
        ReadParts {
            config: &self.config,
            database: &self.database,
            sources: &self.sources,
            fetched: self.fetched_by_workers(),
            pipelines: self.pipelines.as_ref(),
            disk: &self.disk,
            outages: &self.outages,
        }
    }

    /// Returns what followers of events need.
    #[must_use]
    pub fn event_parts(&self) -> EventParts<'_> {
        EventParts {
            database: &self.database,
            changes: &self.changes,
            recent_events: &self.recent_events,
            shutdown: &self.shutdown,
        }
    }

    /// Returns what publishing needs.
    #[must_use]
    pub fn repository_parts(&self) -> RepositoryParts<'_> {
        RepositoryParts {
            architectures: &self.config.architectures,
            database: &self.database,
            repos: &self.repos,
            file_lists: &self.file_lists,
            announcer: self.announcer(),
        }
    }

    /// Returns what removing iterations needs.
    #[must_use]
    pub fn deletion_parts(&self) -> DeletionParts<'_> {
        DeletionParts {
            database: &self.database,
            repos: &self.repos,
            logs: &self.logs,
            token_cache: &self.token_cache,
        }
    }

    /// Returns the protocols by which workers fetch sources; `None` if GitLab builds anything, because jobs in GitLab
    /// do not report which protocols their runners support.
    #[must_use]
    pub fn fetched_by_workers(&self) -> Option<&FetchedProtocols> {
        self.pipelines.is_none().then_some(&self.fetched)
    }
}
