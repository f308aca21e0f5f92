//! The page of a build: its reason, attempts, packages and log.

use askama::Template;
use askama::filters::urlencode;
use buildbtw_model::api::{AttemptSummary, BuildDetail, BuildSummary, PipelineSummary, ReusedFrom};
use buildbtw_model::{AttemptId, BuildStatus, NamespaceName, Pkgbase, TraceId};
use jiff::Timestamp;

use super::build_table::took;
use super::layout::{Layout, Section};
use super::links::Links;
use super::log::{self, LogHtml};
use super::reason::{Names, Reason, Step};
use super::size::size;
use super::status::Badge;
use super::time::{Elapsed, TimeAgo};
use crate::service::read::build_page::{BuildContent, LogTail};

/// Maximum number of listed builds that block this one.
const BLOCKERS: usize = 10;
/// Maximum number of listed builds that this one needs, or that need it.
const NEIGHBOURS: usize = 100;

/// The page of a build.
#[derive(Template)]
#[template(path = "build.html")]
pub(crate) struct BuildPage {
    layout: Layout,
    build: BuildSummary,
    /// Its namespace and iteration.
    namespace: NamespaceName,
    namespace_path: String,
    iteration: u32,
    iteration_path: String,
    badge: Badge,
    took: Option<Elapsed>,
    reason: Reason,
    blocked_by: Option<Names>,
    reused_from: Option<ReusedLink>,
    /// The command that repeats the shown attempt, if the build failed.
    repeat: Option<String>,
    needs: Neighbours,
    needed_by: Neighbours,
    attempts: Vec<Attempt>,
    packages: Vec<Package>,
    log: Option<Log>,
}

/// The origin of a reused build's packages.
struct ReusedLink {
    text: String,
    /// The page of the build, or else of the closest thing that still exists.
    href: Option<String>,
}

/// Builds that this one needs, or that need it.
struct Neighbours {
    count: usize,
    rows: Vec<Neighbour>,
    more: usize,
}

struct Neighbour {
    build: BuildSummary,
    badge: Badge,
}

struct Attempt {
    summary: AttemptSummary,
    badge: Badge,
    href: String,
    created: TimeAgo,
    took: Option<Elapsed>,
    pipeline: Option<Pipeline>,
    /// Whether its log is shown.
    shown: bool,
}

/// A GitLab pipeline.
struct Pipeline {
    label: String,
    href: Option<String>,
}

struct Package {
    file_name: String,
    href: String,
    size: String,
    sha256: String,
}

struct Log {
    attempt: AttemptId,
    number: u32,
    /// The trace of the attempt, which logs and traces have, too.
    trace: TraceId,
    /// Whether the log may grow.
    live: bool,
    /// Number of bytes before the shown lines.
    skipped: u64,
    /// The offset to continue reading at.
    end: u64,
    /// The rendered lines.
    html: LogHtml,
    /// Whether the attempt's PKGBUILD is stored.
    has_pkgbuild: bool,
}

impl Log {
    fn new(tail: &LogTail) -> Self {
        Self {
            attempt: tail.attempt,
            number: tail.number,
            trace: tail.attempt.into(),
            live: tail.live,
            skipped: tail.skipped,
            end: tail.skipped + tail.text.len() as u64,
            html: log::render(&tail.text),
            has_pkgbuild: tail.has_pkgbuild,
        }
    }
}

impl BuildPage {
    /// Creates the page with the end of one attempt's log.
    pub(crate) fn new(
        BuildContent { detail, log }: BuildContent,
        now: Timestamp,
        links: &Links,
    ) -> askama::Result<Self> {
        let packages = packages(links, &detail);
        let build = detail.summary;
        let badge = Badge::from(build.status);
        let namespace_path = links.namespace(&detail.namespace);
        let iteration_path = links.iteration(&detail.namespace, detail.iteration);
        let link = |pkgbase: &Pkgbase| find(links, pkgbase, &build, &detail.needs, &iteration_path);
        let shown = log.as_ref().map(|tail| tail.attempt);
        let steps = build.blocked_by.iter().map(|pkgbase| Step {
            pkgbase: pkgbase.clone(),
            href: Some(link(pkgbase)),
        });
        Ok(Self {
            layout: Layout::new(
                links,
                Section::Namespaces,
                format!("{} · {} · {}", build.pkgbase, badge.label, detail.namespace),
            ),
            took: took(&build, now),
            reused_from: build
                .reused_from
                .as_ref()
                .map(|origin| reused(links, origin)),
            reason: Reason::new(&build.reason, build.via.as_deref(), |pkgbase| {
                Some(link(pkgbase))
            }),
            blocked_by: (!build.blocked_by.is_empty()).then(|| Names::new(steps, BLOCKERS)),
            attempts: detail
                .attempts
                .into_iter()
                .map(|summary| attempt(links, summary, &build, shown, now))
                .collect(),
            log: log.as_ref().map(Log::new),
            repeat: shown.and_then(|attempt| repeat(&build, &detail.namespace, attempt)),
            needs: neighbours(detail.needs),
            needed_by: neighbours(detail.needed_by),
            namespace: detail.namespace,
            iteration: detail.iteration,
            namespace_path,
            iteration_path,
            badge,
            packages,
            build,
        })
    }
}

/// Returns the command that repeats an attempt at a failed build on the machine of a packager.
fn repeat(build: &BuildSummary, namespace: &NamespaceName, attempt: AttemptId) -> Option<String> {
    let pkgbase = &build.pkgbase;
    (build.status == BuildStatus::Failed)
        .then(|| format!("buildbtw build {namespace} {pkgbase} --attempt {attempt}"))
}

fn packages(links: &Links, detail: &BuildDetail) -> Vec<Package> {
    // Without a host, since the browser knows how it reached the server.
    let number = detail.iteration.to_string();
    let architecture = detail.summary.architecture.as_str();
    let folder = [detail.namespace.as_str(), &number, architecture];
    let packages = detail.packages.iter().map(|package| {
        let file_name = package.file_name.to_string();
        Package {
            href: links.repository_file(&folder, &file_name),
            size: size(package.size),
            sha256: package.sha256.to_string(),
            file_name,
        }
    });
    packages.collect()
}

/// Returns the page of a build in the same iteration: the build if it is listed, or else a search for it.
fn find(
    links: &Links,
    pkgbase: &Pkgbase,
    build: &BuildSummary,
    near: &[BuildSummary],
    iteration_path: &str,
) -> String {
    if let Some(found) = near.iter().find(|found| found.pkgbase == *pkgbase) {
        return links.build(found.id);
    }
    let (Ok(architecture), Ok(name)) = (
        urlencode(build.architecture.as_str()),
        urlencode(pkgbase.as_str()),
    );
    format!("{iteration_path}?arch={architecture}&q={name}")
}

fn reused(links: &Links, origin: &ReusedFrom) -> ReusedLink {
    let kept = origin
        .namespace
        .as_ref()
        .filter(|_| !origin.namespace_deleted);
    ReusedLink {
        text: origin.to_string(),
        href: match origin.build {
            Some(id) => Some(links.attempt(id, origin.attempt)),
            None => kept.map(|name| links.namespace(name)),
        },
    }
}

fn neighbours(builds: Vec<BuildSummary>) -> Neighbours {
    let count = builds.len();
    let rows = builds.into_iter().take(NEIGHBOURS).map(|build| Neighbour {
        badge: build.status.into(),
        build,
    });
    Neighbours {
        count,
        rows: rows.collect(),
        more: count.saturating_sub(NEIGHBOURS),
    }
}

fn attempt(
    links: &Links,
    summary: AttemptSummary,
    build: &BuildSummary,
    shown: Option<AttemptId>,
    now: Timestamp,
) -> Attempt {
    let took = match (summary.started_at, summary.finished_at) {
        (Some(from), Some(to)) => Some(Elapsed::between(from, to)),
        (Some(from), None) => Some(Elapsed::since(from, now)),
        (None, _) => None,
    };
    Attempt {
        badge: (&summary).into(),
        href: links.attempt(build.id, summary.id),
        created: TimeAgo::new(summary.created_at, now),
        took,
        pipeline: summary.pipeline.as_ref().map(pipeline),
        shown: shown == Some(summary.id),
        summary,
    }
}

fn pipeline(pipeline: &PipelineSummary) -> Pipeline {
    let label = match pipeline.id {
        Some(id) => format!("pipeline {id}: {}", pipeline.status),
        None => format!("pipeline {}", pipeline.status),
    };
    // The URL comes from another program: only web addresses become links.
    let is_web = |url: &&String| url.starts_with("https://") || url.starts_with("http://");
    Pipeline {
        label,
        href: pipeline.url.as_ref().filter(is_web).cloned(),
    }
}
