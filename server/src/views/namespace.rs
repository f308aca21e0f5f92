//! The page of a namespace at one of its iterations.

use askama::Template;
use buildbtw_model::api::{
    BuildSummary, IterationDetail, IterationSummary, NamespaceDetail, NamespaceSummary,
    OriginSummary,
};
use buildbtw_model::{BuildStatus, NamespaceName, NetworkPolicy, Priority, Scope};
use jiff::Timestamp;

use super::build_table::{BuildLinks, BuildTable, took};
use super::changes::Changes;
use super::filter::{Filter, StatusGroup};
use super::layout::{Layout, Section};
use super::links::Links;
use super::notes::{self, NoteGroup};
use super::progress::Progress;
use super::reason::{Names, Step};
use super::size::size;
use super::status::Badge;
use super::time::{Elapsed, Expected, TimeAgo};
use crate::service::read::namespaces::NamespaceContent;

/// Maximum number of failures above the table.
const FAILURES: usize = 30;
/// Maximum number of listed builds that a failure blocks.
const BLOCKED: usize = 6;
/// Maximum number of iterations that are shown unfolded.
const ITERATIONS: usize = 5;

/// The page of a namespace.
#[derive(Template)]
#[template(path = "namespace.html")]
pub(crate) struct NamespacePage {
    layout: Layout,
    name: NamespaceName,
    /// Its address without the filter.
    path: String,
    scope: Scope,
    network: NetworkPolicy,
    standing: Standing,
    /// Why planning a new iteration failed when its sources changed last.
    replan_error: Option<String>,
    number: u32,
    newest: u32,
    badge: Badge,
    reason: String,
    origins: Vec<OriginSummary>,
    progress: Progress,
    planned: TimeAgo,
    finished: Option<TimeAgo>,
    eta: Option<Expected>,
    /// How many durations are unknown.
    unknown: Option<String>,
    took: Elapsed,
    stalled: Vec<String>,
    failures: Vec<Failure>,
    failed: usize,
    all_failures: String,
    notes: Vec<NoteGroup>,
    changes: Changes,
    iterations: Vec<Iteration>,
    older_iterations: Vec<Iteration>,
    /// Disk usage of all iterations.
    size: String,
    snippets: Vec<Snippet>,
    /// What the repository contains.
    served: String,
    several_architectures: bool,
    table: BuildTable,
}

/// Who created a namespace, and who has changed how it is dispatched.
struct Standing {
    priority: Priority,
    created_by: Option<String>,
    held: bool,
    held_by: Option<String>,
}

impl Standing {
    fn of(namespace: &NamespaceSummary) -> Self {
        Self {
            priority: namespace.priority,
            created_by: namespace.created_by.clone(),
            held: namespace.held,
            held_by: namespace.held_by.clone(),
        }
    }
}

/// A failed build and the builds that it blocks.
struct Failure {
    build: BuildSummary,
    took: Option<Elapsed>,
    blocks: usize,
    names: Names,
}

struct Iteration {
    number: u32,
    href: String,
    current: bool,
    badge: Badge,
    superseded_by: Option<u32>,
    reason: String,
    progress: Progress,
    planned: TimeAgo,
    size: String,
}

/// A section for pacman.conf, and the architectures that it is for.
struct Snippet {
    architectures: String,
    text: String,
}

impl NamespacePage {
    /// Creates the page at `path`, which is that of the namespace or of one of its iterations.
    pub(crate) fn new(
        content: &NamespaceContent,
        filter: Filter,
        path: String,
        now: Timestamp,
        links: &Links,
    ) -> Self {
        let (namespace, detail) = (&content.namespace, &content.iteration);
        let name = namespace.summary.name.clone();
        let build_links = BuildLinks::new(links, &detail.builds);
        let table = BuildTable::new(detail, &build_links, filter, &path, now);
        let failed = of_status(detail, BuildStatus::Failed).count();
        let failures = of_status(detail, BuildStatus::Failed).take(FAILURES);
        let failures = failures
            .map(|build| failure(links, build, detail, now))
            .collect();
        let badge = Badge::from(detail.summary.status);
        let progress = Progress::new(&detail.summary.counts);
        let title = format!(
            "{name} · {} {}/{}",
            badge.label, progress.done, progress.total
        );
        let number = detail.summary.number;
        let mut iterations = iterations(links, namespace, number, now);
        let older_iterations = iterations.split_off(iterations.len().min(ITERATIONS));
        let only_failed = Filter::default().with_status(Some(StatusGroup::Failed));
        Self {
            layout: Layout::new(links, Section::Namespaces, title),
            newest: namespace.summary.iteration.number,
            scope: namespace.summary.scope,
            network: namespace.summary.network,
            standing: Standing::of(&namespace.summary),
            replan_error: namespace.replan_error.clone(),
            planned: TimeAgo::new(detail.summary.created_at, now),
            finished: detail.summary.finished_at.map(|at| TimeAgo::new(at, now)),
            eta: eta(&detail.summary, now),
            unknown: unknown(&detail.summary),
            took: duration(&detail.summary, now),
            stalled: stalled(detail),
            all_failures: only_failed.href(&path),
            changes: Changes::new(&detail.changes),
            notes: notes::group(&detail.notes),
            snippets: snippets(detail),
            served: served(detail),
            several_architectures: detail.architectures.len() > 1,
            reason: detail.summary.reason.clone(),
            origins: detail.origins.clone(),
            name,
            path,
            number,
            badge,
            progress,
            failures,
            failed,
            iterations,
            older_iterations,
            size: size(namespace.size),
            table,
        }
    }
}

fn duration(iteration: &IterationSummary, now: Timestamp) -> Elapsed {
    match iteration.finished_at {
        Some(end) => Elapsed::between(iteration.created_at, end),
        None => Elapsed::since(iteration.created_at, now),
    }
}

/// Returns when an iteration is expected to end.
fn eta(iteration: &IterationSummary, now: Timestamp) -> Option<Expected> {
    let (from, to) = iteration.eta_from.zip(iteration.eta_to)?;
    Some(Expected::between(from, to, now))
}

/// Returns how many of the builds that have not ended are of packages without an earlier build.
fn unknown(iteration: &IterationSummary) -> Option<String> {
    let (unknown, counts) = (iteration.unknown_durations, &iteration.counts);
    let open = counts.blocked + counts.ready + counts.building;
    (unknown > 0).then(|| format!("{unknown} of {open} durations unknown"))
}

/// Returns why architectures are stalled.
fn stalled(detail: &IterationDetail) -> Vec<String> {
    let architectures = detail.architectures.iter();
    let stalled = architectures.filter_map(|known| known.stalled.clone());
    stalled.collect()
}

/// Returns what the repositories contain; it is the same for all architectures.
fn served(detail: &IterationDetail) -> String {
    let first = detail.architectures.first();
    let note = first.map(|known| known.repository.note.replace('`', ""));
    note.unwrap_or_default()
}

fn of_status(detail: &IterationDetail, status: BuildStatus) -> impl Iterator<Item = &BuildSummary> {
    let builds = detail.builds.iter();
    builds.filter(move |build| build.status == status)
}

fn failure(
    links: &Links,
    build: &BuildSummary,
    detail: &IterationDetail,
    now: Timestamp,
) -> Failure {
    let blocked: Vec<&BuildSummary> = of_status(detail, BuildStatus::Blocked)
        .filter(|blocked| blocked.architecture == build.architecture)
        .filter(|blocked| blocked.blocked_by.contains(&build.pkgbase))
        .collect();
    let step = |blocked: &&BuildSummary| Step {
        pkgbase: blocked.pkgbase.clone(),
        href: Some(links.build(blocked.id)),
    };
    Failure {
        blocks: blocked.len(),
        names: Names::new(blocked.iter().map(step), BLOCKED),
        took: took(build, now),
        build: build.clone(),
    }
}

fn iterations(
    links: &Links,
    namespace: &NamespaceDetail,
    current: u32,
    now: Timestamp,
) -> Vec<Iteration> {
    let name = &namespace.summary.name;
    let iterations = namespace.iterations.iter();
    let iterations = iterations.map(|summary| iteration(links, name, summary, current, now));
    iterations.collect()
}

fn iteration(
    links: &Links,
    name: &NamespaceName,
    summary: &IterationSummary,
    current: u32,
    now: Timestamp,
) -> Iteration {
    Iteration {
        number: summary.number,
        href: links.iteration(name, summary.number),
        current: summary.number == current,
        badge: summary.status.into(),
        superseded_by: summary.superseded_by,
        reason: summary.reason.clone(),
        progress: Progress::new(&summary.counts),
        planned: TimeAgo::new(summary.created_at, now),
        size: size(summary.size),
    }
}

/// Returns a snippet per architecture; equal ones are merged.
fn snippets(detail: &IterationDetail) -> Vec<Snippet> {
    let mut snippets: Vec<Snippet> = Vec::new();
    for known in &detail.architectures {
        let text = known.repository.pacman_conf.trim_end();
        match snippets.iter_mut().find(|snippet| snippet.text == text) {
            Some(snippet) => {
                snippet.architectures.push_str(", ");
                snippet.architectures.push_str(known.architecture.as_str());
            }
            None => snippets.push(Snippet {
                architectures: known.architecture.to_string(),
                text: text.to_owned(),
            }),
        }
    }
    snippets
}
