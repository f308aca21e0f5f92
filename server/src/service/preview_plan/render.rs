//! The answer to a preview: the plan, with what the server knows besides it.

use buildbtw_model::api::{PlanExceeds, PlanFormat, PlanPreview, PlanSources};
use buildbtw_model::saturating;
use buildbtw_planner::{Plan, render};
use serde::Serialize;

use crate::error::Error;

/// What is said about a plan as a whole.
pub(super) struct Remarks {
    /// The sources.
    pub(super) sources: PlanSources,
    /// Whether it has more builds than the namespace would be created with.
    pub(super) exceeds: Option<PlanExceeds>,
}

/// A plan as JSON. Its own fields are written one by one, so that a plan of a whole distribution is not copied.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    plan: &'a Plan,
    sources: &'a PlanSources,
    #[serde(skip_serializing_if = "Option::is_none")]
    exceeds: Option<PlanExceeds>,
}

/// Renders a plan in the requested format.
///
/// # Errors
/// When it cannot be written as JSON.
pub(super) fn rendered(
    plan: &Plan,
    preview: &PlanPreview,
    remarks: &Remarks,
) -> Result<String, Error> {
    Ok(match preview.format {
        PlanFormat::Text => {
            let mut text = render::text_within(plan, extent(preview));
            for line in lines(plan, remarks) {
                text.push_str(&line);
                text.push('\n');
            }
            text
        }
        PlanFormat::Json => serde_json::to_string(&Document {
            plan,
            sources: &remarks.sources,
            exceeds: remarks.exceeds,
        })?,
        PlanFormat::Dot => match &remarks.sources.note {
            Some(note) => format!("{}// {note}\n", render::dot(plan)),
            None => render::dot(plan),
        },
    })
}

/// Returns how much of the plan is written as text.
fn extent(preview: &PlanPreview) -> render::Extent {
    match (preview.limit, preview.lines) {
        (Some(rows), _) => render::Extent::Rows(saturating(rows)),
        (None, Some(lines)) => render::Extent::Lines(saturating(lines)),
        (None, None) => render::Extent::All,
    }
}

/// Returns the lines below a plan as text.
fn lines(plan: &Plan, remarks: &Remarks) -> Vec<String> {
    let as_of = remarks.sources.as_of.map(|at| {
        let at = at.strftime("%Y-%m-%d %H:%M UTC");
        format!("sources: as of {at}")
    });
    let note = remarks.sources.note.iter();
    let note = note.map(|note| format!("note: {note}"));
    let exceeds = remarks.exceeds.map(|exceeds| {
        let PlanExceeds { builds, max_builds } = exceeds;
        let architecture = &plan.architecture;
        format!(
            "{builds} builds for {architecture} are more than --max-builds {max_builds}: \
             `buildbtw new` needs --max-builds {builds}"
        )
    });
    as_of.into_iter().chain(note).chain(exceeds).collect()
}
