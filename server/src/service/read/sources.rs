//! The source repositories with their problems.

use std::collections::BTreeMap;

use buildbtw_model::api::{
    Page, SourceRepositorySummary, SourcesOutage, SourcesOverview, SourcesProgress,
};

use crate::db::{Database, source_repositories, srcinfos};
use crate::error::Error;
use crate::service::source_problems::FetchRules;
use crate::sources::Sources;
use crate::state::parts::ReadParts;

use super::paging::{List, Paging};

/// Returns a page of the source repositories by path; only broken ones if `broken`.
///
/// # Errors
/// When the cursor or the limit is invalid.
pub async fn list_sources(
    parts: ReadParts<'_>,
    broken: bool,
    paging: &Paging,
) -> Result<Page<SourceRepositorySummary>, Error> {
    let reader = parts.database.read();
    let list = List::Sources.of(broken);
    let after = paging.key(&list)?.unwrap_or_default();
    let mut rows = source_repositories::page(reader, broken, &after, paging.rows()?).await?;
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
    Ok(SourcesContent {
        sources: list_sources(parts, broken, paging).await?,
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
