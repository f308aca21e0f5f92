//! The table of an iteration's builds: one page of the builds that match a filter, per architecture.

use std::collections::HashMap;

use buildbtw_model::api::{BuildCounts, BuildSummary, IterationDetail};
use buildbtw_model::{Architecture, BuildId, BuildStatus, Pkgbase};
use jiff::Timestamp;

use super::filter::{Filter, StatusGroup};
use super::links::Links;
use super::reason::{Names, Reason, Step};
use super::status::Badge;
use super::time::Elapsed;

/// Number of builds per page. Thousands at once slow down browsers and live updates.
const PAGE: usize = 200;
/// Maximum number of blocking builds in a row.
const BLOCKERS: usize = 3;

/// The table of builds.
pub(crate) struct BuildTable {
    pub(crate) statuses: Vec<FilterLink>,
    /// Links per architecture; empty if there is only one.
    pub(crate) architectures: Vec<FilterLink>,
    pub(crate) filter: Filter,
    pub(crate) groups: Vec<Group>,
    /// Number of builds that match the filter.
    pub(crate) matching: usize,
    /// The first and last build shown, counted from 1.
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) previous: Option<String>,
    pub(crate) next: Option<String>,
    pub(crate) clear: String,
}

/// A link that changes the filter.
pub(crate) struct FilterLink {
    pub(crate) label: String,
    pub(crate) count: u64,
    pub(crate) href: String,
    pub(crate) current: bool,
}

/// The rows of one architecture.
pub(crate) struct Group {
    pub(crate) architecture: Architecture,
    pub(crate) rows: Vec<Row>,
}

/// A build.
pub(crate) struct Row {
    pub(crate) id: BuildId,
    pub(crate) pkgbase: Pkgbase,
    /// Set if the pkgbase is built more than once.
    pub(crate) stage: Option<u32>,
    pub(crate) is_bootstrap: bool,
    pub(crate) version: String,
    pub(crate) version_note: Option<String>,
    pub(crate) badge: Badge,
    pub(crate) reason: Reason,
    pub(crate) blocked_by: Option<Names>,
    /// What the build waits for, unless something failed.
    pub(crate) waits_for: Option<Names>,
    pub(crate) message: Option<String>,
    pub(crate) took: Option<Elapsed>,
}

/// Finds the page of a build by its pkgbase.
pub(crate) struct BuildLinks<'a> {
    links: &'a Links,
    /// The last stage of each build.
    all: HashMap<(&'a Architecture, &'a Pkgbase), BuildId>,
    /// The builds that block others.
    blocking: HashMap<(&'a Architecture, &'a Pkgbase), BuildId>,
}

impl<'a> BuildLinks<'a> {
    pub(crate) fn new(links: &'a Links, builds: &'a [BuildSummary]) -> Self {
        let key = |build: &'a BuildSummary| ((&build.architecture, &build.pkgbase), build.id);
        Self {
            links,
            all: builds.iter().map(key).collect(),
            blocking: builds
                .iter()
                .filter(|build| {
                    matches!(build.status, BuildStatus::Failed | BuildStatus::Cancelled)
                })
                .map(key)
                .collect(),
        }
    }

    fn href(&self, architecture: &Architecture, pkgbase: &Pkgbase) -> Option<String> {
        let id = self.all.get(&(architecture, pkgbase))?;
        Some(self.links.build(id))
    }

    /// Returns the link to a build that blocks another one.
    fn blocker(&self, architecture: &Architecture, pkgbase: &Pkgbase) -> Step {
        let id = self.blocking.get(&(architecture, pkgbase));
        Step {
            pkgbase: pkgbase.clone(),
            href: id.map(|id| self.links.build(id)),
        }
    }
}

impl BuildTable {
    /// Creates the table on the page at `path`.
    pub(crate) fn new(
        detail: &IterationDetail,
        links: &BuildLinks<'_>,
        filter: Filter,
        path: &str,
        now: Timestamp,
    ) -> Self {
        let order = |build: &BuildSummary| {
            let mut known = detail.architectures.iter();
            known.position(|known| known.architecture == build.architecture)
        };
        let mut matching: Vec<&BuildSummary> = detail
            .builds
            .iter()
            .filter(|build| filter.accepts(build))
            .collect();
        matching.sort_by_key(|build| order(build));
        let pages = matching.len().div_ceil(PAGE).max(1);
        let page = filter.page.clamp(1, pages);
        let start = (page - 1) * PAGE;
        let shown = &matching[start..(start + PAGE).min(matching.len())];
        let mut groups: Vec<Group> = Vec::new();
        for build in shown {
            let row = row(build, links, now);
            match groups.last_mut() {
                Some(group) if group.architecture == build.architecture => group.rows.push(row),
                _ => groups.push(Group {
                    architecture: build.architecture.clone(),
                    rows: vec![row],
                }),
            }
        }
        Self {
            statuses: status_links(detail, &filter, path),
            architectures: architecture_links(detail, &filter, path),
            from: if shown.is_empty() { 0 } else { start + 1 },
            to: start + shown.len(),
            previous: (page > 1).then(|| filter.with_page(page - 1).href(path)),
            next: (page < pages).then(|| filter.with_page(page + 1).href(path)),
            matching: matching.len(),
            clear: Filter::default().href(path),
            groups,
            filter,
        }
    }
}

fn status_links(detail: &IterationDetail, filter: &Filter, path: &str) -> Vec<FilterLink> {
    let counts = match &filter.architecture {
        None => detail.summary.counts,
        Some(chosen) => detail
            .architectures
            .iter()
            .find(|known| known.architecture == *chosen)
            .map_or_else(BuildCounts::default, |known| known.counts),
    };
    let link = |status: Option<StatusGroup>| FilterLink {
        label: status.map_or("all", StatusGroup::as_str).to_owned(),
        count: status.map_or_else(|| counts.total(), |status| status.count(&counts)),
        href: filter.with_status(status).href(path),
        current: filter.status == status,
    };
    let mut links = vec![link(None)];
    links.extend(
        StatusGroup::ALL
            .into_iter()
            .map(|status| link(Some(status))),
    );
    links
}

fn architecture_links(detail: &IterationDetail, filter: &Filter, path: &str) -> Vec<FilterLink> {
    if detail.architectures.len() < 2 {
        return Vec::new();
    }
    let mut links = vec![FilterLink {
        label: "all architectures".to_owned(),
        count: detail.summary.counts.total(),
        href: filter.with_architecture(None).href(path),
        current: filter.architecture.is_none(),
    }];
    for known in &detail.architectures {
        let chosen = Some(known.architecture.clone());
        links.push(FilterLink {
            label: known.architecture.to_string(),
            count: known.counts.total(),
            current: filter.architecture == chosen,
            href: filter.with_architecture(chosen).href(path),
        });
    }
    links
}

fn row(build: &BuildSummary, links: &BuildLinks<'_>, now: Timestamp) -> Row {
    let blockers = build.blocked_by.iter();
    let blockers = blockers.map(|pkgbase| links.blocker(&build.architecture, pkgbase));
    Row {
        id: build.id,
        pkgbase: build.pkgbase.clone(),
        stage: (build.stage > 1).then_some(build.stage),
        version: build.version.to_string(),
        version_note: build.version_note.clone(),
        badge: build.status.into(),
        is_bootstrap: build.bootstrap,
        reason: Reason::new(&build.reason, build.via.as_deref(), |pkgbase| {
            links.href(&build.architecture, pkgbase)
        }),
        blocked_by: (!build.blocked_by.is_empty()).then(|| Names::new(blockers, BLOCKERS)),
        waits_for: (!build.waits_for.is_empty()).then(|| {
            let step = |pkgbase: &Pkgbase| Step {
                pkgbase: pkgbase.clone(),
                href: links.href(&build.architecture, pkgbase),
            };
            Names::new(build.waits_for.iter().map(step), BLOCKERS)
        }),
        message: match (build.explanation(), &build.reused_from) {
            (Some(explanation), _) => Some(explanation.to_string()),
            (None, Some(origin)) => Some(format!("reused from {origin}")),
            (None, None) => None,
        },
        took: took(build, now),
    }
}

/// Returns the duration of the newest attempt so far.
pub(crate) fn took(build: &BuildSummary, now: Timestamp) -> Option<Elapsed> {
    let started = build.started_at?;
    match (build.status, build.finished_at) {
        (BuildStatus::Building, _) => Some(Elapsed::since(started, now)),
        (_, Some(finished)) => Some(Elapsed::between(started, finished)),
        (_, None) => None,
    }
}
