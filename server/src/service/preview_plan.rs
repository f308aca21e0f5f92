//! Previews a rebuild: plans it without storing anything.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use buildbtw_model::api::{PlanFormat, PlanPreview, ProblemKind};
use buildbtw_model::{Architecture, Changeset, OriginSpec, Pkgbase, Pkgname, Scope};
use buildbtw_planner::{
    Budget, Estimate, Patterns, Plan, PlanRequest, Problem, SourcePackage, plan_within, render,
};

use crate::admission::Admission;
use crate::db::durations;
use crate::error::{Error, Refusal};
use crate::planning::known_sonames::Lookup;
use crate::planning::queue::{Caller, PlanBudget, PlanError};
use crate::repos::base::{BaseSnapshot, NOT_CHECKED};
use crate::sources::CatalogSnapshot;
use crate::state::parts::PlanningParts;

use super::base_versions::Producers;
use super::create_namespace::{
    changesets, check_bootstrap, check_excluded, check_matched, patterns, pkgbases,
};
use super::source_problems::FetchRules;

/// The maximum number of changesets of a plan without a token.
const MAX_CHANGESETS: usize = 20;
/// The maximum number of builds of a plan without a token, the default of a namespace.
const MAX_BUILDS: usize = 1_000;

/// Plans a rebuild and renders it in the requested format. Without a client's token the size of the plan is limited.
///
/// # Errors
/// When a changeset cannot be resolved, or the server does not build for the architecture; without a token, when the
/// plan exceeds the limits, or is requested too often.
pub async fn preview_plan(
    parts: PlanningParts<'_>,
    admission: &Admission,
    client: Option<Caller>,
    peer: Option<IpAddr>,
    preview: &PlanPreview,
) -> Result<String, Error> {
    match client {
        Some(client) => preview_for_client(parts, client, preview).await,
        None => preview_for_anonymous(parts, admission, preview, peer).await,
    }
}

async fn preview_for_client(
    parts: PlanningParts<'_>,
    caller: Caller,
    preview: &PlanPreview,
) -> Result<String, Error> {
    let changesets = changesets(parts.sources, &preview.changesets).await?;
    let patterns = Selection::read(preview).await?;
    check_excluded(&changesets, &patterns.exclude)?;
    check_bootstrap(&preview.bootstrap)?;
    let freshness = parts.sources.catch_up(&pkgbases(&changesets)).await;
    let mut origins = Vec::with_capacity(changesets.len());
    for changeset in &changesets {
        origins.push(parts.sources.package_at(changeset, &freshness).await?);
    }
    let resolved = ResolvedPreview {
        caller,
        changesets: &changesets,
        origins,
        patterns,
        freshness: freshness.note(),
        max_builds: usize::MAX,
    };
    render_plan(parts, preview, resolved).await
}

/// Previews a plan without a token: of few default branches, as in the index, and of limited size. Concurrent
/// requests share one poll of the sources.
async fn preview_for_anonymous(
    parts: PlanningParts<'_>,
    admission: &Admission,
    preview: &PlanPreview,
    peer: Option<IpAddr>,
) -> Result<String, Error> {
    check_size(preview)?;
    let _permit = match peer {
        Some(peer) => Some(admission.plan(peer).await?),
        None => None,
    };
    let changesets = changesets(parts.sources, &preview.changesets).await?;
    let patterns = Selection::read(preview).await?;
    check_excluded(&changesets, &patterns.exclude)?;
    check_bootstrap(&preview.bootstrap)?;
    let freshness = parts.sources.catch_up(&[]).await;
    let mut origins = Vec::with_capacity(changesets.len());
    for changeset in &changesets {
        let found = parts.sources.indexed_package(changeset, &freshness).await?;
        origins.push(found.ok_or_else(|| {
            let title =
                format!("`{changeset}` is not a default branch; planning it requires a token");
            Error::from(needs_token(title))
        })?);
    }
    let resolved = ResolvedPreview {
        caller: peer.map_or(Caller::Server, Caller::Address),
        changesets: &changesets,
        origins,
        patterns,
        freshness: freshness.note(),
        max_builds: MAX_BUILDS,
    };
    render_plan(parts, preview, resolved).await
}

/// Refuses requests that need a token.
fn check_size(preview: &PlanPreview) -> Result<(), Error> {
    let specs = &preview.changesets;
    if let Some(url) = specs.iter().find_map(|spec| match spec {
        OriginSpec::MergeRequest(url) => Some(url),
        OriginSpec::Changeset(_) => None,
    }) {
        let title = format!("planning the merge request {url} requires a token");
        return Err(needs_token(title).into());
    }
    if specs.len() > MAX_CHANGESETS {
        let title = format!("planning more than {MAX_CHANGESETS} changesets requires a token");
        return Err(needs_token(title).into());
    }
    Ok(())
}

pub(super) fn needs_token(title: String) -> Refusal {
    Refusal::new(ProblemKind::Unauthenticated, title)
        .hint("`buildbtw login` stores one; an admin creates it with `buildbtw token create`")
}

/// Returns the architecture to plan for.
pub(super) fn architecture(
    configured: &[Architecture],
    preview: &PlanPreview,
) -> Result<Architecture, Error> {
    let found = match &preview.architecture {
        None => configured.first().cloned(),
        Some(wanted) => configured.iter().find(|known| *known == wanted).cloned(),
    };
    found.ok_or_else(|| {
        let known: Vec<_> = configured.iter().map(|known| known.as_str()).collect();
        let title = "this server does not build for that architecture";
        Refusal::new(ProblemKind::InvalidRequest, title)
            .hint(format!(
                "choose one of its architectures: {}",
                known.join(", ")
            ))
            .into()
    })
}

/// A request with its resolved changesets.
struct ResolvedPreview<'a> {
    caller: Caller,
    changesets: &'a [Changeset],
    origins: Vec<Arc<SourcePackage>>,
    patterns: Selection,
    freshness: Option<String>,
    max_builds: usize,
}

/// The include and exclude patterns.
#[derive(Default)]
struct Selection {
    include: Patterns,
    exclude: Patterns,
}

impl Selection {
    async fn read(preview: &PlanPreview) -> Result<Self, Error> {
        Ok(Self {
            include: patterns("include", &preview.include).await?,
            exclude: patterns("exclude", &preview.exclude).await?,
        })
    }
}

/// Plans and renders a resolved request.
async fn render_plan(
    parts: PlanningParts<'_>,
    preview: &PlanPreview,
    resolved: ResolvedPreview<'_>,
) -> Result<String, Error> {
    let architecture = architecture(&parts.config.architectures, preview)?;
    check_matched(parts.sources, "include", &resolved.patterns.include).await?;
    check_matched(parts.sources, "exclude", &resolved.patterns.exclude).await?;
    let unusable = parts.sources.note_of_unusable(resolved.changesets).await?;
    let caller = resolved.caller;
    let base = match caller {
        Caller::Token(_) => Arc::new(parts.base.snapshot(&architecture).await),
        Caller::Address(_) | Caller::Server => parts.base.recent(&architecture).await,
    };
    let note = note(resolved.freshness, unusable, &base);
    let format = preview.format;
    let mut inputs = PreviewInputs {
        estimates: durations::estimates(parts.database.read(), &architecture).await?,
        sonames: parts.sonames.of(parts.database, &architecture),
        architecture,
        scope: preview.scope,
        origins: resolved.origins,
        selection: resolved.patterns,
        bootstrap: preview.bootstrap.clone(),
        same_sonames: preview.same_sonames,
        bump: !preview.no_bump,
        max_builds: resolved.max_builds,
        catalog: parts.sources.catalog_snapshot(),
        base,
        fetched: FetchRules::current(parts.fetched, parts.config.network.default),
    };
    let make = move |budget: &PlanBudget| {
        let plan = inputs.plan(budget)?;
        rendered(&plan, format, note).map_err(PlanError::Other)
    };
    parts.planning.plan(caller, make).await
}

/// Returns a note on the sources and base repositories of a plan.
fn note(
    freshness: Option<String>,
    unusable: Option<String>,
    base: &BaseSnapshot,
) -> Option<String> {
    let unread = base.databases.iter().filter_map(|(repository, digest)| {
        let problem = digest.as_ref().err()?;
        Some(format!("base repository {repository}: {problem}"))
    });
    let notes: Vec<_> = freshness
        .into_iter()
        .chain(unusable)
        .chain(unread)
        .chain(base.is_incomplete().then(|| NOT_CHECKED.to_owned()))
        .collect();
    Some(notes.join("; ")).filter(|note| !note.is_empty())
}

/// The inputs of a plan, owned because planning runs on another thread.
struct PreviewInputs {
    architecture: Architecture,
    scope: Scope,
    origins: Vec<Arc<SourcePackage>>,
    selection: Selection,
    bootstrap: Vec<Pkgbase>,
    same_sonames: bool,
    bump: bool,
    max_builds: usize,
    catalog: CatalogSnapshot,
    base: Arc<BaseSnapshot>,
    estimates: HashMap<Pkgbase, Estimate>,
    sonames: Lookup,
    fetched: FetchRules,
}

impl PreviewInputs {
    fn plan(&mut self, budget: &PlanBudget) -> Result<Plan, PlanError> {
        let budget = BuildLimit {
            builds: self.max_builds,
            budget,
        };
        let mut plan = self.plan_builds(&budget)?;
        budget.check_members(plan.builds.len())?;
        let index = self.catalog.catalog().index();
        let producers = Producers::new(index, self.origins.iter().map(|origin| &**origin));
        let in_base = |pkgbase: &Pkgbase, name: &Pkgname| {
            let package = producers.get(pkgbase);
            package.map_or_else(Vec::new, |package| {
                producers.base_versions(package, name, &self.base.versions)
            })
        };
        plan.expect_versions_within(index, &self.origins, &in_base, self.bump, &budget)?;
        self.add_problems(&producers, &mut plan);
        Ok(plan)
    }

    fn plan_builds(&mut self, budget: &BuildLimit<'_>) -> Result<Plan, PlanError> {
        let selection = std::mem::take(&mut self.selection);
        let bootstrap = std::mem::take(&mut self.bootstrap);
        let estimates = |pkgbase: &Pkgbase| self.estimates.get(pkgbase).copied();
        let sonames = self.sonames.get(&self.base, budget.budget)?;
        let (architecture, origins) = (self.architecture.clone(), self.origins.clone());
        let mut request = PlanRequest::new(architecture, origins, self.scope);
        request.include = selection.include;
        request.exclude = selection.exclude;
        request.estimates = &estimates;
        request.bootstrap = bootstrap;
        request.keeps_sonames = self.same_sonames;
        request.sonames = Some(&sonames);
        request.base = self.base.is_complete.then_some(&*self.base.packages);
        plan_within(self.catalog.catalog().index(), &request, budget)
    }

    /// Adds problems of sources and base repositories that may fail builds of the plan.
    fn add_problems(&self, producers: &Producers<'_>, plan: &mut Plan) {
        let packages = plan.builds.iter();
        let packages = packages.filter_map(|build| producers.get(&build.pkgbase));
        let mut problems: Vec<Problem> = self
            .fetched
            .problems(packages.clone(), &plan.architecture)
            .into_iter()
            .collect();
        let members: HashSet<&Pkgbase> = plan.builds.iter().map(|build| &build.pkgbase).collect();
        for (package, version) in packages.zip(plan.versions()) {
            problems.extend(Producers::produced_elsewhere(
                package,
                &version.version,
                &plan.architecture,
                &self.base.versions,
                |pkgbase| members.contains(pkgbase),
            ));
        }
        plan.problems.extend(problems);
        plan.problems.sort();
        plan.problems.dedup();
    }
}

/// A budget that also limits the number of builds.
struct BuildLimit<'a> {
    builds: usize,
    budget: &'a PlanBudget,
}

impl Budget for BuildLimit<'_> {
    type Over = PlanError;

    fn check(&self) -> Result<(), PlanError> {
        Ok(self.budget.check()?)
    }

    fn check_members(&self, count: usize) -> Result<(), PlanError> {
        if count <= self.builds {
            return Ok(());
        }
        Err(PlanError::Other(too_many_builds(count, self.builds)))
    }
}

/// Creates the refusal of a large plan without a token.
pub(super) fn too_many_builds(count: usize, limit: usize) -> Error {
    let title = format!(
        "the plan has at least {count} builds; without a token at most {limit} are planned"
    );
    Refusal::new(ProblemKind::PlanTooLarge, title)
        .hint("plan it with a token (`buildbtw login`), or choose a narrower --scope")
        .into()
}

fn rendered(plan: &Plan, format: PlanFormat, note: Option<String>) -> Result<String, Error> {
    Ok(match format {
        PlanFormat::Text => with_note(render::text(plan), note, "note: "),
        PlanFormat::Json => match note {
            None => serde_json::to_string(plan)?,
            Some(note) => {
                let mut plan = serde_json::to_value(plan)?;
                if let Some(plan) = plan.as_object_mut() {
                    plan.insert("sources".to_owned(), note.into());
                }
                plan.to_string()
            }
        },
        PlanFormat::Dot => with_note(render::dot(plan), note, "// "),
    })
}

/// Adds the note as a line of its own.
fn with_note(mut text: String, note: Option<String>, mark: &str) -> String {
    if let Some(note) = note {
        if !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(mark);
        text.push_str(&note);
        text.push('\n');
    }
    text
}
