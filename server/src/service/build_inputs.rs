//! Describes builds: to the workers that they were assigned to, and to people who repeat them.

use std::time::Duration;

use buildbtw_model::api::{AttemptInputs, ClaimedBuild, Repository, SourceLocation};
use buildbtw_model::{AttemptId, ReleaseRule, remove_user_info, saturating};
use buildbtw_planner::SourcePackage;
use sqlx::types::Json;

use crate::address::BaseUrl;
use crate::config::Config;
use crate::db::builds::BuildRow;
use crate::db::expectations::{self, ForWorker, Release};
use crate::db::{Database, attempts, builds, releases, srcinfos};
use crate::error::Error;
use crate::repos::base::BaseRepositories;
use crate::state::claim_queue::Assignment;
use crate::time::Millis;

use super::attempt_guard::no_attempt;

/// Describes an assigned build to its worker.
///
/// # Errors
/// When the database cannot be read.
pub(super) async fn describe(
    config: &Config,
    database: &Database,
    base: &BaseRepositories,
    assignment: Assignment,
    server: &BaseUrl,
) -> Result<ClaimedBuild, Error> {
    let Assignment { attempt, build, .. } = assignment;
    inputs(config, database, base, (attempt, build, None), server).await
}

/// Returns what an attempt builds from. A repeated attempt gets the release that it had: packages that the namespace got
/// after it was dispatched do not raise it.
///
/// # Errors
/// When there is no such attempt, or the database cannot be read.
pub async fn of_attempt(
    config: &Config,
    database: &Database,
    base: &BaseRepositories,
    id: AttemptId,
    server: &BaseUrl,
) -> Result<AttemptInputs, Error> {
    let row = attempts::by_id(database.read(), id).await?;
    let row = row.ok_or_else(|| no_attempt(id))?;
    let build = builds::by_id(database.read(), row.build)
        .await?
        .ok_or_else(|| anyhow::anyhow!("attempt {id} has no build"))?;
    let dispatched = (id, build, Some(row.created_at));
    let mut build = inputs(config, database, base, dispatched, server).await?;
    // Everyone may read this.
    build.source.clone_url = remove_user_info(&build.source.clone_url).into_owned();
    for repository in &mut build.repositories {
        for server in &mut repository.servers {
            *server = remove_user_info(server).into_owned();
        }
    }
    Ok(AttemptInputs {
        number: row.number,
        status: row.status,
        build,
    })
}

/// Describes a build for an attempt, with the packages that its namespace had at a time, or has.
async fn inputs(
    config: &Config,
    database: &Database,
    base: &BaseRepositories,
    (attempt, build, at): (AttemptId, BuildRow, Option<Millis>),
    server: &BaseUrl,
) -> Result<ClaimedBuild, Error> {
    let ForWorker {
        parsed,
        bump,
        network,
        outputs,
        release,
    } = expectations::for_worker(database.read(), build.id)
        .await?
        .ok_or_else(|| anyhow::anyhow!("build {} no longer exists", build.id))?;
    let package = source_package(database, &build, parsed).await?;
    let network = config.network.effective(network);
    let owned = |texts: Vec<&str>| texts.into_iter().map(str::to_owned).collect();
    let seconds = |duration: Duration| saturating(duration.as_secs());
    Ok(ClaimedBuild {
        attempt,
        build: build.id,
        namespace: build.namespace.clone(),
        iteration: build.iteration,
        pkgbase: build.pkgbase.clone(),
        architecture: build.architecture.clone(),
        stage: build.stage,
        source: SourceLocation {
            clone_url: build.clone_url.clone(),
            commit: build.commit.clone(),
        },
        pkgrel: build.pkgrel.clone(),
        version: build.version.clone(),
        release: release_rule(database, &build, release, bump, at).await?,
        packages: outputs.0,
        bootstrap: build.bootstrap,
        dependencies: dependencies(&package, &build),
        sources: owned(package.sources(&build.architecture)),
        network,
        missing_keys: config.network.missing_keys,
        repositories: repositories(base, &build, server),
        source_date_epoch: build.commit_time,
        packager: config.packager.clone(),
        build_tool: config.build_tool.clone(),
        timeout_s: seconds(config.build_timeout),
        lease_s: seconds(config.lease),
    })
}

/// Reads the stored form of a build's `.SRCINFO`, or its text if another version of the server stored that form.
async fn source_package(
    database: &Database,
    build: &BuildRow,
    parsed: String,
) -> Result<SourcePackage, Error> {
    if let Ok(package) = SourcePackage::from_stored(parsed) {
        return Ok(package);
    }
    let digest = &build.srcinfo_sha256;
    let srcinfo = srcinfos::get(database.read(), digest)
        .await?
        .ok_or_else(|| anyhow::anyhow!(".SRCINFO {digest} is not stored"))?;
    let package = buildbtw_planner::parse_srcinfo(&srcinfo.text);
    let pkgbase = &build.pkgbase;
    Ok(package.map_err(|error| anyhow::anyhow!("stored .SRCINFO of {pkgbase}: {error}"))?)
}

/// Returns what the release depends on where `pkgver()` computes the version.
async fn release_rule(
    database: &Database,
    build: &BuildRow,
    release: Option<Json<Release>>,
    bump: bool,
    at: Option<Millis>,
) -> Result<Option<ReleaseRule>, Error> {
    let Some(Json(Release { is_rebuild, base })) = release else {
        return Ok(None);
    };
    Ok(Some(ReleaseRule {
        is_rebuild,
        base: if bump { base } else { Vec::new() },
        earlier: releases::earlier(database.read(), build, at).await?,
    }))
}

/// Returns the dependencies that a build installs; a bootstrap build omits those that lead back into its cycle.
fn dependencies(package: &SourcePackage, build: &BuildRow) -> Vec<String> {
    let without: Vec<&str> = build.without.lines().collect();
    let architecture = &build.architecture;
    let others = [
        package.makedepends(architecture),
        package.checkdepends(architecture),
    ];
    let others = others.into_iter().flatten();
    let depends = package.depends(architecture).into_iter();
    depends
        .chain(others.filter(|relation| !without.contains(relation)))
        .map(str::to_owned)
        .collect()
}

/// Returns the repositories that a build installs from: its view of the iteration, then the base repositories.
fn repositories(base: &BaseRepositories, build: &BuildRow, server: &BaseUrl) -> Vec<Repository> {
    let server = format!(
        "{server}/repo/{}/{}/{}/builds/{}",
        build.namespace, build.iteration, build.architecture, build.id
    );
    let own = Repository {
        name: (&build.namespace).into(),
        servers: vec![server],
        // The server checked every package at its upload, and serves nothing else here.
        sig_level: "Never".into(),
    };
    std::iter::once(own)
        .chain(base.of(&build.architecture))
        .collect()
}
