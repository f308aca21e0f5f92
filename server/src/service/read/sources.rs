//! The source repositories with their problems.

use std::collections::BTreeMap;

use buildbtw_model::Pkgbase;
use buildbtw_model::api::{
    Page, SourceRefs, SourceRepositorySummary, SourcesOutage, SourcesOverview, SourcesProgress,
};

use crate::db::source_repositories::{self, SourceRepositoryRow};
use crate::db::{Database, srcinfos};
use crate::error::Error;
use crate::service::source_problems::FetchRules;
use crate::sources::Sources;
use crate::state::parts::ReadParts;

use super::paging::{List, Paging};

/// The source repositories to list.
#[derive(Clone, Debug, Default)]
pub struct WantedSources {
    /// Whether to list only those that cannot be used.
    pub broken: bool,
    /// A part of their path or pkgbase.
    pub search: Option<String>,
    /// The beginning of their pkgbase.
    pub prefix: Option<String>,
}

impl WantedSources {
    fn has(&self, row: &SourceRepositoryRow) -> bool {
        let text = self.search.as_deref().unwrap_or_default();
        let prefix = self.prefix.as_deref().unwrap_or_default();
        let pkgbase = row.pkgbase.as_ref().map_or("", |name| name.as_str());
        (!self.broken || row.problem.is_some())
            && (pkgbase.contains(text) || row.path.contains(text))
            && pkgbase.starts_with(prefix)
    }
}

/// Returns a page of the source repositories by path.
///
/// # Errors
/// When the cursor or the limit is invalid.
pub async fn list_sources(
    parts: ReadParts<'_>,
    wanted: &WantedSources,
    paging: &Paging,
) -> Result<Page<SourceRepositorySummary>, Error> {
    let reader = parts.database.read();
    let list = List::Sources.of(wanted);
    let after = paging.key(&list)?.unwrap_or_default();
    let mut rows = rows(parts.database, wanted, &after, paging.rows()?).await?;
    let next = paging.cut(&list, &mut rows, |row| row.path.clone())?;
    let mut items = Vec::with_capacity(rows.len());
    let mut parsed = BTreeMap::new();
    for row in &rows {
        if let Some(sha256) = &row.srcinfo_sha256
            && let Some(srcinfo) = srcinfos::get(reader, sha256).await?
            && let Ok(package) = buildbtw_planner::SourcePackage::from_stored(srcinfo.parsed)
        {
            parsed.insert(row.path.clone(), package);
        }
    }
    let fetched = FetchRules::current(parts.fetched, parts.config.network.default);
    for row in rows {
        let package = parsed.get(&row.path);
        items.push(SourceRepositorySummary {
            hint: row.hint().map(str::to_owned),
            version: package.map(|package| package.version().clone()),
            warnings: package
                .map(|package| {
                    let problems = package.problems().into_iter();
                    problems
                        .map(|problem| format!("line {}: {}", problem.line, problem.reason))
                        .collect()
                })
                .unwrap_or_default(),
            not_fetched: package
                .map(|package| fetched.messages(package, &parts.config.architectures))
                .unwrap_or_default(),
            path: row.path,
            pkgbase: row.pkgbase,
            branch: row.branch,
            commit: row.commit,
            problem_kind: row.problem.as_ref().map(|problem| problem.kind),
            problem: row.problem.map(|problem| problem.message),
            changed_at: row.changed_at.into(),
        });
    }
    Ok(Page { items, next })
}

/// Returns up to `limit` repositories after a path.
async fn rows(
    database: &Database,
    wanted: &WantedSources,
    after: &str,
    limit: i64,
) -> Result<Vec<SourceRepositoryRow>, Error> {
    let reader = database.read();
    if wanted.search.is_none() && wanted.prefix.is_none() {
        return Ok(source_repositories::page(reader, wanted.broken, after, limit).await?);
    }
    let mut rows = source_repositories::all(reader).await?;
    rows.retain(|row| row.path.as_str() > after && wanted.has(row));
    rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(rows)
}

/// Returns the branches of the repository of a pkgbase.
///
/// # Errors
/// When there is no such repository.
pub async fn source_refs(sources: &Sources, pkgbase: &Pkgbase) -> Result<SourceRefs, Error> {
    let (default, branches) = sources.branches_of(pkgbase).await?;
    Ok(SourceRefs { default, branches })
}

/// The content of the page of the sources.
pub struct SourcesContent {
    /// A page of the repositories.
    pub sources: Page<SourceRepositorySummary>,
    /// The overall state.
    pub overview: SourcesOverview,
}

/// Returns the content of the page of the sources.
///
/// # Errors
/// When the database cannot be read.
pub async fn sources_page(
    parts: ReadParts<'_>,
    broken: bool,
    paging: &Paging,
) -> Result<SourcesContent, Error> {
    let wanted = WantedSources {
        broken,
        ..WantedSources::default()
    };
    Ok(SourcesContent {
        sources: list_sources(parts, &wanted, paging).await?,
        overview: sources_overview(parts.database, parts.sources).await?,
    })
}

/// Returns the overall state of the sources.
///
/// # Errors
/// When the database cannot be read.
pub async fn sources_overview(
    database: &Database,
    sources: &Sources,
) -> Result<SourcesOverview, Error> {
    let (usable, broken) = source_repositories::counts(database.read()).await?;
    let status = sources.status();
    Ok(SourcesOverview {
        origin: sources.title(),
        usable,
        broken,
        complete: status.complete,
        last_scan_at: status.last_scan,
        last_poll_at: status.last_poll,
        progress: status.progress.map(|progress| SourcesProgress {
            seen: progress.seen,
            total: progress.total,
        }),
        outage: status.outage.map(|outage| SourcesOutage {
            message: outage.cause.message,
            hint: outage.cause.hint,
            since: outage.since,
        }),
    })
}
