//! Refuses plans with a cycle that cannot be built without a bootstrap build.

use buildbtw_model::api::ProblemKind;
use buildbtw_planner::{NeedsBootstrap, Plan};

use crate::error::{Error, Refusal};

/// The maximum number of reasons for each cycle in a refusal.
const MAX_REASONS: usize = 3;
/// The maximum number of cycles in a refusal, and of packages of each.
const MAX_CYCLES: usize = 10;
const MAX_MEMBERS: usize = 20;

/// Refuses a plan with cycles that need a bootstrap build.
///
/// # Errors
/// When it has such a cycle.
pub(super) fn check(plan: &Plan) -> Result<(), Error> {
    match &*plan.needs_bootstrap {
        [] => Ok(()),
        needed => Err(refusal(needed).into()),
    }
}

fn refusal(needed: &[NeedsBootstrap]) -> Refusal {
    let shown = needed.iter().take(MAX_CYCLES);
    let mut cycles: Vec<String> = shown.clone().map(members).collect();
    if let rest @ 1.. = needed.len().saturating_sub(MAX_CYCLES) {
        cycles.push(format!("{rest} others"));
    }
    let title = match &*cycles {
        [cycle] => format!("the cycle of {cycle} cannot be built without a bootstrap build"),
        cycles => format!(
            "{} cycles cannot be built without bootstrap builds: {}",
            needed.len(),
            cycles.join("; ")
        ),
    };
    let reasons = shown
        .clone()
        .flat_map(|needed| needed.reasons.iter().take(MAX_REASONS));
    let reasons: Vec<&str> = reasons.map(String::as_str).collect();
    let hints: Vec<String> = match needed {
        [needed] => vec![hint(needed)],
        _ => shown
            .map(|needed| format!("for the cycle of {}: {}", members(needed), hint(needed)))
            .collect(),
    };
    let hint = format!(
        "{}; or use --same-sonames if the libraries keep their sonames",
        hints.join("; ")
    );
    Refusal::new(ProblemKind::BootstrapNeeded, title)
        .detail(reasons.join("; "))
        .hint(hint)
}

fn members(needed: &NeedsBootstrap) -> String {
    let shown = needed.members.iter().take(MAX_MEMBERS);
    let names: Vec<&str> = shown.map(|name| name.as_str()).collect();
    match needed.members.len().saturating_sub(MAX_MEMBERS) {
        0 => names.join(", "),
        rest => format!("{} and {rest} others", names.join(", ")),
    }
}

/// Returns the bootstrap builds that are known to break the cycle.
fn hint(needed: &NeedsBootstrap) -> String {
    let untried = match needed.untried {
        0 => String::new(),
        1 => " (1 other package was not tried)".to_owned(),
        untried => format!(" ({untried} other packages were not tried)"),
    };
    let choices = needed.choices.iter();
    let choices: Vec<String> = choices.map(|name| format!("--bootstrap {name}")).collect();
    if !choices.is_empty() {
        return format!(
            "use one of these, if its PKGBUILD honours BUILDBTW_BOOTSTRAP=1: {}{untried}",
            choices.join(", ")
        );
    }
    if needed.untried > 0 {
        return format!(
            "no single package among those that were tried breaks the cycle{untried}: pass another \
             --bootstrap, or several, or update the base repositories"
        );
    }
    "no single package breaks the cycle: pass several --bootstrap, or update the base repositories"
        .to_owned()
}

#[cfg(test)]
mod tests {
    use buildbtw_model::Pkgbase;

    use super::*;
    use crate::testing;

    fn parsed(names: &[&str]) -> Vec<Pkgbase> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn cycle(members: &[&str], choices: &[&str], untried: usize) -> NeedsBootstrap {
        NeedsBootstrap {
            members: parsed(members),
            choices: parsed(choices),
            untried,
            reasons: vec!["cannot install the dependencies of a: libb.so=1".to_owned()],
        }
    }

    #[test]
    fn refusals_match_snapshot() {
        let many: Vec<NeedsBootstrap> = (0..12)
            .map(|number| cycle(&[&*format!("a{number}"), "b"], &[], 0))
            .collect();
        let names: Vec<String> = (0..22).map(|number| format!("p{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let text = testing::refusals([
            (
                "cycle with a choice",
                refusal(&[cycle(&["a", "b"], &["a"], 0)]).into(),
            ),
            (
                "cycle with packages that were not tried",
                refusal(&[cycle(&["a", "b"], &["a", "b"], 1)]).into(),
            ),
            (
                "cycle without a choice so far",
                refusal(&[cycle(&["a", "b"], &[], 2)]).into(),
            ),
            (
                "cycle without a choice",
                refusal(&[cycle(&["a", "b"], &[], 0)]).into(),
            ),
            ("large cycle", refusal(&[cycle(&names, &["p0"], 0)]).into()),
            (
                "two cycles",
                refusal(&[cycle(&["a", "b"], &["a"], 0), cycle(&["c", "d"], &[], 1)]).into(),
            ),
            ("many cycles", refusal(&many).into()),
        ]);
        insta::assert_snapshot!(text);
    }
}
