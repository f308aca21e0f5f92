//! The lines of builds in plans as text.

use std::fmt::{self, Write as _};

use crate::plan::{Plan, PlannedBuild, PlannedVersion};

/// Writes the line of a build.
pub(super) fn write_build(
    plan: &Plan,
    build: &PlannedBuild,
    version: Option<&PlannedVersion>,
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
    for (at, (label, kind)) in needs.iter().zip(kinds).enumerate() {
        let before = if at == 0 { "  after " } else { ", " };
        write!(out, "{before}{label} ({kind})")?;
    }
    if let Some(note) = version.and_then(PlannedVersion::note) {
        write!(out, "  ({note})")?;
    }
    writeln!(out)
}
