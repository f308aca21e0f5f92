//! Refuses plans of which a first build could not be installed.

use buildbtw_model::api::ProblemKind;
use buildbtw_planner::{NeedsBootstrap, Plan};

use crate::error::{Error, Refusal};

/// How many reasons a refusal gives.
const SHOWN: usize = 3;

/// Refuses a plan with a cycle that needs a bootstrap build.
///
/// # Errors
/// When it has one.
pub(super) fn check(plan: &Plan) -> Result<(), Error> {
    match plan.needs_bootstrap.first() {
        None => Ok(()),
        Some(needed) => Err(refusal(needed).into()),
    }
}

fn refusal(needed: &NeedsBootstrap) -> Refusal {
    let members: Vec<&str> = needed.members.iter().map(|name| name.as_str()).collect();
    let title = format!(
        "the cycle of {} cannot be built without a bootstrap build",
        members.join(", ")
    );
    let mut reasons: Vec<&str> = needed.reasons.iter().map(String::as_str).collect();
    reasons.truncate(SHOWN);
    let choices: Vec<String> = needed
        .choices
        .iter()
        .map(|pkgbase| format!("--bootstrap {pkgbase}"))
        .collect();
    let hint = if choices.is_empty() {
        "no single package of it would do: give several --bootstrap, or update the base repositories"
            .to_owned()
    } else {
        format!(
            "one of these would do, if its PKGBUILD honours BUILDBTW_BOOTSTRAP=1: {}; if the libraries keep \
             their sonames, --same-sonames",
            choices.join(", ")
        )
    };
    Refusal::new(ProblemKind::BootstrapNeeded, title)
        .detail(reasons.join("; "))
        .hint(hint)
}
