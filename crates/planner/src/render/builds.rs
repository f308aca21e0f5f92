//! The lines of builds in plans as text.

use std::fmt::{self, Write as _};

use crate::plan::{BuildFacts, Plan, PlannedBuild, PlannedVersion};

/// Writes the line of a build, with at most so many of its needs.
pub(super) fn write_build(
    plan: &Plan,
    build: &PlannedBuild,
    (version, facts): (Option<&PlannedVersion>, Option<&BuildFacts>),
    most_needs: usize,
    out: &mut String,
) -> fmt::Result {
    write!(out, "  {}", build.pkgbase)?;
    if build.stage > 1 {
        write!(out, " (stage {})", build.stage)?;
    }
    if let Some(bootstrap) = &build.bootstrap {
        write!(out, " (bootstrap build")?;
        if !bootstrap.without.is_empty() {
            write!(out, " without {}", bootstrap.without.join(", "))?;
        }
        write!(out, ")")?;
    }
    if let Some(version) = version {
        let new = &version.version;
        match version.old() {
            Some(old) if old != new => write!(out, " {old} -> {new}")?,
            _ => write!(out, " {new}")?,
        }
    }
    if let Some(library) = plan.links(build) {
        write!(out, " (links {library})")?;
    }
    let needs = plan.need_labels(build);
    let kinds = plan.need_kinds(build);
    for (at, (label, kind)) in needs.iter().zip(kinds).take(most_needs).enumerate() {
        let before = if at == 0 { "  after " } else { ", " };
        write!(out, "{before}{label} ({kind})")?;
    }
    let missing = needs.len().saturating_sub(most_needs);
    if missing > 0 {
        write!(out, " and {missing} more")?;
    }
    if let Some(note) = version.and_then(PlannedVersion::note) {
        write!(out, "  ({note})")?;
    }
    if let Some(reuse) = facts.and_then(|facts| facts.reuse.as_ref()) {
        write!(out, "  reused from {}", reuse.namespace)?;
    }
    writeln!(out)?;
    if let Some(failure) = facts.and_then(|facts| facts.last_failure.as_ref()) {
        let at = failure.at.strftime("%Y-%m-%d %H:%M UTC");
        let (namespace, message) = (&failure.namespace, &failure.message);
        writeln!(out, "    last failed in {namespace}, {at}: {message}")?;
    }
    Ok(())
}
