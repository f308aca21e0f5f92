//! Stores a planned iteration as rows.

use std::collections::{BTreeMap, HashMap};

use buildbtw_model::api::ExpectedPackage;
use buildbtw_model::{BuildId, CommitTime, Pkgbase, saturating};

use crate::config::build_tags::BuildTags;
use crate::db::plans::{self, EdgeKind, NewBuild, NewEdge};
use crate::db::releases::{self, BuildRelease};
use crate::db::{IterationId, WriteTransaction, builds, iterations};
use crate::error::Error;
use crate::sources::ResolvedChangeset;

use super::draft::{self, Draft};
use super::planned::{PlannedArchitecture, PlannedIteration};

/// Stores a planned iteration: its commits, builds and edges. Returns the reused builds, which are to be
/// published after the commit.
///
/// # Errors
/// When the database cannot be written.
pub(in crate::service) async fn store(
    tx: &mut WriteTransaction,
    iteration: IterationId,
    origins: &[ResolvedChangeset],
    planned: PlannedIteration,
    tags: &BuildTags,
) -> Result<Vec<BuildId>, Error> {
    let commits: Vec<_> = origins
        .iter()
        .map(|origin| iterations::FixedOrigin {
            changeset: origin.changeset.clone(),
            commit: origin.head.commit.clone(),
            tree: origin.head.tree.clone(),
        })
        .collect();
    iterations::insert_origins(tx, iteration, &commits).await?;
    let mut reused = Vec::new();
    let mut shared = Shared::new();
    for (number, part) in planned.architectures.iter().enumerate() {
        for (repository, digest) in &part.base.databases {
            let digest = digest.as_deref().map_err(String::as_str);
            iterations::insert_base(tx, iteration, &part.architecture, repository, digest).await?;
        }
        reused.extend(store_builds(tx, iteration, part, number == 0, &mut shared, tags).await?);
    }
    plans::insert_notes(tx, iteration, &planned.notes).await?;
    Ok(reused)
}

/// The first architecture's builds of packages of architecture `any`, by pkgbase and stage.
type Shared = HashMap<Pkgbase, BTreeMap<u32, BuildId>>;

/// Stores the builds of an architecture, and returns the reused ones. The first architecture builds packages of
/// architecture `any` for all.
async fn store_builds(
    tx: &mut WriteTransaction,
    iteration: IterationId,
    part: &PlannedArchitecture,
    is_first: bool,
    shared: &mut Shared,
    tags: &BuildTags,
) -> Result<Vec<BuildId>, Error> {
    let mut last_stages: HashMap<&Pkgbase, u32> = HashMap::new();
    for draft in &part.drafts {
        let last = last_stages.entry(draft.package.pkgbase()).or_default();
        *last = draft.stage.max(*last);
    }
    let mut builds = Vec::with_capacity(part.drafts.len());
    for (position, draft) in (0_u32..).zip(&part.drafts) {
        let mut build = new_build(part, position, draft, tags);
        if let Some((awaited, _)) = draft.awaited {
            await_or_reuse(tx, &mut build, awaited).await?;
        } else if !is_first && draft.package.is_any() && build.reused.is_none() {
            let is_last = last_stages.get(&build.pkgbase) == Some(&build.stage);
            build.shared_build = shared
                .get(&build.pkgbase)
                .and_then(|stages| same_stage(stages, build.stage, is_last));
        }
        build.missing_dependencies += u32::from(build.shared_build.is_some());
        builds.push(build);
    }
    let ids = plans::insert_builds(tx, iteration, &builds).await?;
    releases::insert(tx, &new_releases(&part.drafts, &ids)).await?;
    plans::insert_edges(tx, &new_edges(&part.drafts, &builds, &ids)).await?;
    if is_first {
        let any = part.drafts.iter().zip(&ids);
        for (draft, id) in any.filter(|(draft, _)| draft.package.is_any()) {
            let stages = shared.entry(draft.package.pkgbase().clone()).or_default();
            stages.insert(draft.stage, *id);
        }
    }
    let reused = builds.iter().zip(ids);
    let reused = reused.filter(|(build, _)| build.reused.is_some());
    Ok(reused.map(|(_, id)| id).collect())
}

/// Returns what the releases of builds depend on.
fn new_releases(drafts: &[Draft], ids: &[BuildId]) -> Vec<BuildRelease> {
    let release = |(draft, id): (&Draft, &BuildId)| BuildRelease {
        build: *id,
        is_rebuild: draft.version.rule.is_rebuild,
        is_computed: draft.version.is_computed,
        base: draft.version.rule.base.clone(),
    };
    drafts.iter().zip(ids).map(release).collect()
}

/// Returns the edges between builds, and those to the builds whose packages they share.
fn new_edges(drafts: &[Draft], builds: &[NewBuild], ids: &[BuildId]) -> Vec<NewEdge> {
    let mut edges = Vec::new();
    for ((draft, build), id) in drafts.iter().zip(builds).zip(ids) {
        let needs = draft.needs.iter();
        edges.extend(needs.map(|(needs, kind)| (*id, ids[*needs], *kind)));
        edges.extend(
            build
                .shared_build
                .map(|source| (*id, source, EdgeKind::Shared)),
        );
    }
    edges
}

/// Returns the build of the first architecture whose packages another architecture shares. Cycles, and with them the
/// number of stages, differ between architectures, but the last stage is the same for all.
pub(super) fn same_stage<T: Clone>(
    stages: &BTreeMap<u32, T>,
    stage: u32,
    is_last: bool,
) -> Option<T> {
    let last = || stages.last_key_value().map(|(_, found)| found.clone());
    if is_last {
        return last();
    }
    stages.get(&stage).cloned().or_else(last)
}

/// Shares the packages of a build that was running when the plan was made, or reuses them if it has ended meanwhile.
async fn await_or_reuse(
    tx: &mut WriteTransaction,
    build: &mut NewBuild,
    awaited: BuildId,
) -> Result<(), Error> {
    match builds::by_id(&mut *tx.connection(), awaited).await? {
        Some(row) if row.packages_attempt_id.is_some() => {
            build.reused = row.packages_attempt_id;
            build.version = row.version;
        }
        Some(row) if row.status.is_active() => build.shared_build = Some(awaited),
        _ => {}
    }
    Ok(())
}

fn new_build(
    part: &PlannedArchitecture,
    position: u32,
    draft: &Draft,
    tags: &BuildTags,
) -> NewBuild {
    let (architecture, plan) = (&part.architecture, &part.plan);
    let planned = &plan.builds[position as usize];
    let without = draft::without(planned);
    let version = &draft.version.version;
    let reason = plan.reason(planned).into_iter();
    let reason: Vec<_> = reason.map(Pkgbase::as_str).collect();
    NewBuild {
        architecture: architecture.clone(),
        pkgbase: draft.package.pkgbase().clone(),
        stage: draft.stage,
        level: planned.level,
        position,
        commit: draft.head.commit.clone(),
        tree: draft.head.tree.clone(),
        // Builds have the epoch as the date of their files then, which is at least reproducible.
        commit_time: draft.head.commit_time.unwrap_or(CommitTime::EPOCH),
        clone_url: draft.head.clone_url.clone(),
        srcinfo_sha256: draft.head.srcinfo_sha256.clone(),
        pkgrel: (*version != *draft.package.version()).then(|| version.pkgrel().to_owned()),
        version: version.clone(),
        reason: reason.join(" "),
        library: plan.links(planned).map(str::to_owned),
        bootstrap: without.is_some(),
        without: without.unwrap_or_default().join("\n"),
        estimate_s: saturating(planned.estimate_s),
        estimate_low_s: planned.estimate.map(|known| saturating(known.low_s)),
        estimate_high_s: planned.estimate.map(|known| saturating(known.high_s)),
        priority_s: saturating(planned.priority_s),
        missing_dependencies: saturating(draft.needs.len()),
        tag: tags.of(draft.package.pkgbase()).cloned(),
        input_hash: draft.input_hash.clone(),
        shared_build: None,
        reused: draft.reused,
        outputs: draft
            .package
            .pkgnames_for(architecture)
            .map(|(name, architecture)| ExpectedPackage {
                name: name.clone(),
                architecture,
            })
            .collect(),
    }
}
