//! A dry run: what a rebuild would be. Nothing is stored.

use buildbtw_model::api::{PlanFormat, PlanPreview, ProblemKind};
use buildbtw_planner::{Plan, PlanRequest, plan_within, render};

use crate::app_state::AppState;
use crate::db::attempts;
use crate::error::{Error, Refusal};

use super::create_namespace::{changesets, check_excluded, patterns, pkgbases};
use super::planning::{Caller, PlanBudget, PlanError};

/// Plans a rebuild and renders it in the asked form.
///
/// # Errors
/// When a changeset cannot be resolved, or the architecture is not one this server builds for.
pub async fn preview_plan(
    state: &AppState,
    caller: Caller,
    preview: &PlanPreview,
) -> Result<String, Error> {
    let changesets = changesets(state, &preview.changesets).await?;
    let include = patterns("include", &preview.include).await?;
    let exclude = patterns("exclude", &preview.exclude).await?;
    check_excluded(&changesets, &exclude)?;
    let configured = &state.config.architectures;
    let architecture = match &preview.architecture {
        None => configured.first().cloned(),
        Some(wanted) => configured.iter().find(|known| *known == wanted).cloned(),
    };
    let Some(architecture) = architecture else {
        let known: Vec<_> = configured.iter().map(|known| known.as_str()).collect();
        let title = "this server does not build for that architecture";
        return Err(Refusal::new(ProblemKind::InvalidRequest, title)
            .hint(format!("it builds for {}", known.join(", ")))
            .into());
    };
    let freshness = state.sources.catch_up(&pkgbases(&changesets)).await;
    let mut origins = Vec::with_capacity(changesets.len());
    for changeset in &changesets {
        origins.push(state.sources.resolve_again(changeset, None).await?.package);
    }
    let unusable = state.sources.note_of_unusable(&changesets).await?;
    let notes: Vec<_> = freshness.note().into_iter().chain(unusable).collect();
    let note = Some(notes.join("; ")).filter(|note| !note.is_empty());
    let durations = attempts::durations(state.database.read(), &architecture).await?;
    let (scope, format) = (preview.scope, preview.format);
    let snapshot = state.sources.catalog_snapshot();
    let make = move |budget: &PlanBudget| {
        let estimates = |pkgbase: &buildbtw_model::Pkgbase| durations.get(pkgbase).copied();
        let mut request = PlanRequest::new(architecture, origins, scope);
        request.include = include;
        request.exclude = exclude;
        request.estimates = &estimates;
        let plan = plan_within(snapshot.catalog().index(), &request, budget)?;
        rendered(&plan, format, note).map_err(PlanError::Other)
    };
    state.planning.plan(caller, make).await
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

/// Adds a line that says how old the sources are.
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
