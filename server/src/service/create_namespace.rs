//! `new`: resolves the changesets, plans, and stores the namespace together with its first iteration.

use std::collections::BTreeSet;

use buildbtw_model::api::{CreateNamespace, FollowDefault, NamespaceDetail, ProblemKind};
use buildbtw_model::{Changeset, IterationCause, NamespaceName, OriginSpec, Pkgbase, Priority};
use buildbtw_planner::{InvalidPatterns, Patterns};
use buildbtw_telemetry::spawn_blocking_named;

use crate::address::BaseUrl;
use crate::db::namespaces::{self, NewNamespace};
use crate::db::{IterationId, NamespaceId, WriteTransaction, iterations, retired_packages};
use crate::error::{Error, Refusal};
use crate::principal::Principal;
use crate::repos::base::BaseRepositories;
use crate::repos::base::SnapshotDigests;
use crate::sources::{Freshness, Sources};
use crate::state::parts::PlanningParts;

use super::plan_iteration::{self, PlanInput};
use super::prioritize::check_priority;
use super::read::namespaces::show_namespace;
use super::transitions::Transition;

/// The default of `--max-builds`.
pub(super) const DEFAULT_MAX_BUILDS: u32 = 1_000;
/// The maximum number of origins of a namespace.
pub(super) const MAX_CHANGESETS: usize = 1_000;
/// The maximum number of bootstrap builds of a namespace.
const MAX_BOOTSTRAP: usize = 100;

/// Creates a namespace and plans its first iteration.
///
/// # Errors
/// When a changeset cannot be resolved, the name is taken or reserved, or the plan is too large.
pub async fn create_namespace(
    parts: PlanningParts<'_>,
    by: &Principal,
    server: &BaseUrl,
    request: &CreateNamespace,
) -> Result<NamespaceDetail, Error> {
    parts.disk.ensure_room()?;
    check_priority(by, request.priority)?;
    let caller = by.caller();
    let changesets = changesets(parts.sources, &request.changesets).await?;
    let exclude = patterns("exclude", &request.exclude).await?;
    check_excluded(&changesets, &exclude)?;
    check_bootstrap(&request.bootstrap)?;
    if let Some(name) = &request.name {
        check_name(parts, name).await?;
    }
    let freshness = parts.sources.catch_up(&pkgbases(&changesets)).await;
    let input = plan_input(parts, &changesets, exclude, request, &freshness).await?;
    check_matched(parts.sources, "include", &input.include).await?;
    check_matched(parts.sources, "exclude", &input.exclude).await?;
    let drafted = plan_iteration::draft(parts, caller, &input).await?;
    let (footprints, seen) = (drafted.footprints(), drafted.seen());
    let mut planned = plan_iteration::complete(parts, caller, &input, drafted).await?;
    let unusable = parts.sources.note_of_unusable(&changesets).await?;
    planned.note_sources(&freshness, unusable, &input.origins);
    let tags = &parts.config.build_tags;
    let mut tx = parts.database.write().await?;
    let name = match &request.name {
        Some(name) => name.clone(),
        None => free_name(parts.base, &mut tx, &changesets[0].pkgbase).await?,
    };
    let new = new_namespace(&name, &input, &changesets, request, by);
    let namespace = match namespaces::insert(&mut tx, &new).await {
        // Another request took the name while this one was planned.
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
            tx.undo().await?;
            return Err(name_taken(&name));
        }
        result => result?,
    };
    let causes = [IterationCause::Created];
    let (iteration, _) = iterations::insert(&mut tx, namespace, &causes).await?;
    let reused = plan_iteration::store(&mut tx, iteration, &input.origins, planned, tags).await?;
    let mut transition = Transition::of(tx).by(Some(by));
    transition.publish(reused);
    record_created(&mut transition, (namespace, iteration), &causes, request).await?;
    let effects = transition.commit().await?;
    parts
        .replans
        .planned(namespace, footprints, parts.sources, seen);
    parts.announcer.announce(effects);
    tracing::info!(namespace.name = name.as_str(), "created namespace");
    show_namespace(parts.database, &parts.config.network, server, &name).await
}

/// Records a new namespace. An urgent one passes all others, so that its priority is recorded like one that came later.
async fn record_created(
    transition: &mut Transition,
    (namespace, iteration): (NamespaceId, IterationId),
    causes: &[IterationCause],
    request: &CreateNamespace,
) -> sqlx::Result<()> {
    transition
        .record_planned(namespace, iteration, causes)
        .await?;
    if request.priority == Priority::Urgent {
        transition
            .record_priority(namespace, iteration, request.priority, None)
            .await?;
    }
    Ok(())
}

async fn plan_input(
    parts: PlanningParts<'_>,
    changesets: &[Changeset],
    exclude: Patterns,
    request: &CreateNamespace,
    freshness: &Freshness,
) -> Result<PlanInput, Error> {
    let mut origins = Vec::with_capacity(changesets.len());
    for changeset in changesets {
        origins.push(parts.sources.resolve(changeset, freshness).await?);
    }
    let network = parts.config.network.for_new_namespace(request.network)?;
    let produced = match &request.name {
        Some(name) => retired_packages::of_name(parts.database.read(), name).await?,
        None => Vec::new(),
    };
    Ok(PlanInput {
        namespace: None,
        name: request.name.clone(),
        origins,
        scope: request.scope,
        include: patterns("include", &request.include).await?,
        exclude,
        bootstrap: request.bootstrap.clone(),
        same_sonames: request.same_sonames,
        max_builds: request.max_builds.unwrap_or(DEFAULT_MAX_BUILDS),
        bump: !request.no_bump,
        network,
        produced,
        snapshot: SnapshotDigests::default(),
        refresh_base: true,
    })
}

fn new_namespace<'a>(
    name: &'a NamespaceName,
    input: &PlanInput,
    changesets: &'a [Changeset],
    request: &'a CreateNamespace,
    by: &'a Principal,
) -> NewNamespace<'a> {
    NewNamespace {
        name,
        scope: input.scope,
        max_builds: input.max_builds,
        bump: input.bump,
        network: input.network,
        same_sonames: input.same_sonames,
        bootstrap: &request.bootstrap,
        follow_default_s: match request.follow_default {
            FollowDefault::Never => None,
            FollowDefault::AfterS(seconds) => Some(seconds),
        },
        origins: changesets,
        include: &request.include,
        exclude: &request.exclude,
        priority: request.priority,
        created_by: &by.name,
    }
}

/// Returns the pkgbases of some changesets.
pub(crate) fn pkgbases(changesets: &[Changeset]) -> Vec<Pkgbase> {
    let pkgbases = changesets.iter().map(|changeset| &changeset.pkgbase);
    pkgbases.cloned().collect()
}

/// Parses `--include` or `--exclude` on a blocking thread, because compiling many patterns takes a while.
pub(crate) async fn patterns(what: &str, patterns: &[String]) -> Result<Patterns, Error> {
    if patterns.is_empty() {
        return Ok(Patterns::default());
    }
    let texts = patterns.to_vec();
    let read = spawn_blocking_named("compile patterns", move || Patterns::new(&texts)).await?;
    read.map_err(|error| {
        let title = format!("--{what}: {error}");
        let refusal = Refusal::new(ProblemKind::InvalidRequest, title);
        match error {
            InvalidPatterns::Syntax { .. } => {
                refusal.hint("use shell patterns of pkgbases, for example `haskell-*`")
            }
            InvalidPatterns::TooLong { .. } | InvalidPatterns::TooMany { .. } => {
                refusal.hint("let one pattern match many pkgbases, for example `haskell-*`")
            }
        }
        .into()
    })
}

/// Refuses patterns that match no pkgbase: they are probably mistyped.
pub(crate) async fn check_matched(
    sources: &Sources,
    what: &str,
    patterns: &Patterns,
) -> Result<(), Error> {
    if patterns.is_empty() {
        return Ok(());
    }
    let (catalog, patterns) = (sources.catalog_snapshot(), patterns.clone());
    // On a blocking thread, because matching many patterns takes a while.
    let unmatched = spawn_blocking_named("match patterns", move || {
        let packages = catalog.catalog().index().iter();
        let unmatched = patterns.first_unmatched(packages.map(|package| package.pkgbase()));
        unmatched.map(str::to_owned)
    })
    .await?;
    match unmatched {
        None => Ok(()),
        Some(pattern) => {
            let title = format!("--{what}: no pkgbase matches `{pattern}`");
            let refusal = Refusal::new(ProblemKind::InvalidRequest, title);
            Err(refusal
                .hint("`buildbtw sources TEXT` searches the pkgbases")
                .into())
        }
    }
}

/// Resolves the requested changesets, and checks their number and duplicates.
pub(crate) async fn changesets(
    sources: &Sources,
    specs: &[OriginSpec],
) -> Result<Vec<Changeset>, Error> {
    let invalid = |title: String| Error::refused(ProblemKind::InvalidRequest, title);
    if specs.is_empty() {
        let hint = "name source repositories with a branch or tag, for example `libgreet/main`";
        return Err(invalid("a namespace needs at least one changeset".into()).hint(hint));
    }
    if specs.len() > MAX_CHANGESETS {
        let hint = "split the rebuild into several namespaces";
        return Err(invalid(format!("more than {MAX_CHANGESETS} changesets")).hint(hint));
    }
    let mut seen = BTreeSet::new();
    let mut changesets = Vec::with_capacity(specs.len());
    for spec in specs {
        let changeset = sources.changeset(spec).await?;
        if !seen.insert(changeset.pkgbase.clone()) {
            let title = format!("`{}` is listed twice", changeset.pkgbase);
            return Err(invalid(title).hint("name every source repository once"));
        }
        changesets.push(changeset);
    }
    Ok(changesets)
}

/// Refuses exclude patterns that match an origin.
pub(crate) fn check_excluded(changesets: &[Changeset], exclude: &Patterns) -> Result<(), Error> {
    match changesets
        .iter()
        .find(|changeset| exclude.matches(&changeset.pkgbase))
    {
        Some(changeset) => {
            let title =
                format!("--exclude matches `{changeset}`, which is an origin of this rebuild");
            Err(Error::refused(ProblemKind::InvalidRequest, title)
                .hint("narrow the pattern, or leave this changeset out"))
        }
        None => Ok(()),
    }
}

/// Refuses long lists of bootstrap builds.
pub(crate) fn check_bootstrap(pkgbases: &[Pkgbase]) -> Result<(), Error> {
    if pkgbases.len() <= MAX_BOOTSTRAP {
        return Ok(());
    }
    let title = format!("--bootstrap: more than {MAX_BOOTSTRAP} packages");
    Err(Refusal::new(ProblemKind::InvalidRequest, title)
        .hint("name as few members of each cycle as possible")
        .into())
}

async fn check_name(parts: PlanningParts<'_>, name: &NamespaceName) -> Result<(), Error> {
    if parts.base.conflicts_with(name) {
        return Err(Refusal::new(
            ProblemKind::InvalidRequest,
            format!("`{name}` is the name of a base repository"),
        )
        .hint("choose another --name: pacman cannot distinguish two repositories of the same name")
        .into());
    }
    if namespaces::by_name(parts.database.read(), name)
        .await?
        .is_some()
    {
        return Err(name_taken(name));
    }
    Ok(())
}

pub(super) fn name_taken(name: &NamespaceName) -> Error {
    Refusal::new(
        ProblemKind::AlreadyExists,
        format!("namespace `{name}` already exists"),
    )
    .hint(format!(
        "choose another --name, or see `buildbtw show {name}`"
    ))
    .into()
}

/// Returns the first free name that consists of a pkgbase and a counter.
async fn free_name(
    base: &BaseRepositories,
    tx: &mut WriteTransaction,
    pkgbase: &Pkgbase,
) -> Result<NamespaceName, Error> {
    let stem = name_stem(pkgbase);
    for counter in 1..u32::MAX {
        let name: NamespaceName = format!("{stem}-{counter}")
            .parse()
            .map_err(anyhow::Error::from)?;
        if !base.conflicts_with(&name)
            && namespaces::by_name(&mut *tx.connection(), &name)
                .await?
                .is_none()
            // The plan was made without the packages that were served under a generated name before.
            && retired_packages::of_name(&mut *tx.connection(), &name)
                .await?
                .is_empty()
        {
            return Ok(name);
        }
    }
    Err(no_free_name(&stem))
}

pub(super) fn no_free_name(stem: &str) -> Error {
    Refusal::new(
        ProblemKind::Conflict,
        format!("all names like `{stem}-1` are taken"),
    )
    .hint("choose another one with --name")
    .into()
}

/// Converts a pkgbase to the beginning of a namespace name, which allows fewer characters.
fn name_stem(pkgbase: &Pkgbase) -> String {
    let mut stem: String = pkgbase
        .as_str()
        .chars()
        .map(|c| match c.to_ascii_lowercase() {
            c if c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' => c,
            _ => '-',
        })
        .collect();
    stem.truncate(50);
    let stem = stem.trim_matches(['-', '_']);
    if stem.is_empty() {
        "rebuild".to_owned()
    } else {
        stem.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn creates_valid_default_name_for_every_pkgbase() {
        for (pkgbase, expected) in [
            ("openimageio", "openimageio"),
            ("SDL2", "sdl2"),
            ("libc++", "libc"),
            ("_x.y", "x-y"),
        ] {
            assert_eq!(name_stem(&pkgbase.parse().unwrap()), expected);
        }
        let long = "x".repeat(180).parse().unwrap();
        assert!(
            format!("{}-4294967295", name_stem(&long))
                .parse::<NamespaceName>()
                .is_ok()
        );
        assert_eq!(name_stem(&"+++".parse().unwrap()), "rebuild");
    }
}
