//! One build.

use buildbtw_model::BuildId;
use buildbtw_model::api::{AttemptSummary, BuildDetail, BuildSummary, PackageSummary};

use crate::address::BaseUrl;
use crate::db::attempts::AttemptRow;
use crate::db::builds::BuildRow;
use crate::db::packages::PackageRow;
use crate::db::reuse::ReusedRow;
use crate::db::{Database, attempts, builds, packages, reuse};
use crate::error::Error;
use crate::service::pipelines::show;
use crate::service::version_notes::VersionNotes;

use super::find::no_build;
use super::outlook::Outlook;
use super::summary::{attempt_summary, build_summary, link_to_origin};

/// Returns a build with its attempts and packages.
///
/// # Errors
/// When there is no build with this id.
pub async fn show_build(
    database: &Database,
    server: &BaseUrl,
    id: BuildId,
) -> Result<BuildDetail, Error> {
    let reader = database.read();
    let row = builds::by_id(reader, id)
        .await?
        .ok_or_else(|| no_build(id))?;
    let needs = builds::needs(reader, id).await?;
    let needed_by = builds::needed_by(reader, id).await?;
    let shown = needs.iter().chain(&needed_by).chain([&row]);
    let shown: Vec<BuildId> = shown.map(|row| row.id).collect();
    let blockers = Outlook::of_builds(database, &shown).await?.blockers;
    let summary = |row: &BuildRow, attempt: Option<&AttemptRow>| {
        build_summary(
            row,
            attempt,
            blockers.get(&row.id).cloned().unwrap_or_default(),
        )
    };
    let attempts = attempts::of_build(reader, id).await?;
    let mut own = summary(&row, attempts.first());
    add_origins(database, &row, &mut own).await?;
    let packages = match row.packages_attempt_id {
        Some(attempt) => packages::of_attempt(reader, attempt).await?,
        None => Vec::new(),
    };
    Ok(BuildDetail {
        summary: own,
        namespace: row.namespace.clone(),
        iteration: row.iteration,
        needs: needs.iter().map(|row| summary(row, None)).collect(),
        needed_by: needed_by.iter().map(|row| summary(row, None)).collect(),
        attempts: attempt_summaries(database, attempts).await?,
        packages: package_summaries(server, &row, packages),
    })
}

/// Adds the origin of a build's version, and of its packages if they were reused.
async fn add_origins(
    database: &Database,
    row: &BuildRow,
    summary: &mut BuildSummary,
) -> Result<(), Error> {
    let notes = VersionNotes::of_build(database, row.id).await?;
    notes.add(row, summary);
    if let Some(reused) = reuse::of_build(database.read(), row.id).await? {
        link_to_origin(summary, &reused);
        if let Some(origin) = &mut summary.reused_from {
            origin.made_by = origin_attempt(database, &reused).await?.map(Box::new);
        }
    }
    Ok(())
}

/// Returns the attempt that built the packages of a reused build, with its number within its own build.
async fn origin_attempt(
    database: &Database,
    reused: &ReusedRow,
) -> Result<Option<AttemptSummary>, Error> {
    let Some(mut row) = attempts::by_id(database.read(), reused.attempt).await? else {
        return Ok(None);
    };
    row.number = reused.number;
    let mut pipelines = show::of_attempts(database, &[row.id]).await?;
    let pipeline = pipelines.remove(&row.id);
    Ok(Some(attempt_summary(row, pipeline)))
}

async fn attempt_summaries(
    database: &Database,
    attempts: Vec<AttemptRow>,
) -> Result<Vec<AttemptSummary>, Error> {
    let ids: Vec<_> = attempts.iter().map(|attempt| attempt.id).collect();
    let mut pipelines = show::of_attempts(database, &ids).await?;
    let summaries = attempts.into_iter().map(|attempt| {
        let pipeline = pipelines.remove(&attempt.id);
        attempt_summary(attempt, pipeline)
    });
    Ok(summaries.collect())
}

fn package_summaries(
    server: &BaseUrl,
    row: &BuildRow,
    packages: Vec<PackageRow>,
) -> Vec<PackageSummary> {
    let folder = format!(
        "{server}/repo/{}/{}/{}",
        row.namespace, row.iteration, row.architecture
    );
    let summaries = packages.into_iter().map(|package| PackageSummary {
        url: format!("{folder}/{}", package.file_name),
        file_name: package.file_name,
        size: package.size,
        sha256: package.sha256,
    });
    summaries.collect()
}
