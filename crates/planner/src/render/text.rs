//! Plans as text: the builds in order, with cycles, unresolved dependencies and problems, and the summary last.

use std::fmt::{self, Write as _};

use super::builds::write_build;
use super::extent::Extent;
use crate::plan::Plan;

/// A part of a text that is not about one build. It is empty, or begins with a blank line and a heading.
type Section = fn(&Plan, &mut String) -> fmt::Result;

/// The sections in their order.
const SECTIONS: [Section; 4] = [
    write_cycles,
    write_bootstrap,
    write_unresolved,
    write_problems,
];

/// Renders a plan, one build per line, level by level.
#[must_use]
pub fn text(plan: &Plan) -> String {
    text_within(plan, Extent::All)
}

/// Renders a plan like [`text`], and leaves out what exceeds the extent. The summary comes last.
#[must_use]
pub fn text_within(plan: &Plan, extent: Extent) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write(plan, extent, &mut out);
    out
}

fn write(plan: &Plan, extent: Extent, out: &mut String) -> fmt::Result {
    let mut sections = Vec::new();
    for section in SECTIONS {
        let mut text = String::new();
        section(plan, &mut text)?;
        if !text.is_empty() {
            sections.push(text);
        }
    }
    let rows = extent.rows_of_sections(sections.len());
    let sections: Vec<String> = sections.iter().map(|text| cut(text, rows)).collect();
    let lines = sections.iter().map(|text| text.lines().count()).sum();
    write_builds(plan, extent, lines, out)?;
    for section in &sections {
        out.push_str(section);
    }
    out.push('\n');
    write_summary(plan, out)?;
    match plan.reused() {
        0 => Ok(()),
        reused => writeln!(out, "reused: {}", counted(reused, "build")),
    }
}

/// Leaves out the rows of a section after the first ones.
fn cut(section: &str, rows: usize) -> String {
    // The blank line and the heading.
    let shown = rows.saturating_add(2);
    let missing = section.lines().count().saturating_sub(shown);
    if missing == 0 {
        return section.to_owned();
    }
    let kept = section.lines().take(shown);
    let mut text: String = kept.flat_map(|line| [line, "\n"]).collect();
    let what = if missing == 1 { "line" } else { "lines" };
    text.push_str(&format!("  and {missing} more {what}\n"));
    text
}

fn write_builds(plan: &Plan, extent: Extent, of_sections: usize, out: &mut String) -> fmt::Result {
    let (most, room) = (extent.builds(), extent.lines_of_builds(of_sections));
    let mut level = None;
    let mut written = 0;
    for (at, build) in plan.builds.iter().enumerate() {
        let mut text = String::new();
        if level != Some(build.level) {
            level = Some(build.level);
            let gap = if at == 0 { "" } else { "\n" };
            writeln!(text, "{gap}level {}", build.level)?;
        }
        let known = (plan.versions().get(at), plan.facts().get(at));
        write_build(plan, build, known, extent.needs(), &mut text)?;
        let missing = plan.builds.len() - at;
        // A line is left for the number of missing builds.
        let height = text.lines().count();
        if at >= most || written + height + usize::from(missing > 1) > room {
            return writeln!(out, "  and {missing} more");
        }
        written += height;
        out.push_str(&text);
    }
    Ok(())
}

fn write_summary(plan: &Plan, out: &mut String) -> fmt::Result {
    let packages = plan.pkgbases().len();
    let builds = plan.builds.len();
    writeln!(
        out,
        "{} of {} in {} for {}, scope {}",
        counted(builds, "build"),
        counted(packages, "package"),
        counted(plan.levels(), "level"),
        plan.architecture,
        plan.scope,
    )?;
    writeln!(out, "estimated work: {}", work(plan))?;
    Ok(())
}

fn write_unresolved(plan: &Plan, out: &mut String) -> fmt::Result {
    if !plan.unresolved.is_empty() {
        writeln!(out, "\nunresolved, expected from other repositories")?;
    }
    for entry in &plan.unresolved {
        writeln!(out, "  {}: {} ({})", entry.pkgbase, entry.name, entry.kind)?;
    }
    Ok(())
}

fn write_problems(plan: &Plan, out: &mut String) -> fmt::Result {
    if !plan.problems.is_empty() {
        writeln!(out, "\nproblems")?;
    }
    for problem in &plan.problems {
        writeln!(out, "  {}: {}", problem.pkgbase, problem.message)?;
    }
    Ok(())
}

/// Describes how long all builds take together, as a range, and what is not known about it.
fn work(plan: &Plan) -> String {
    let (low, high) = plan.known_work_s();
    let (unknown, builds) = (plan.unknown_durations(), plan.builds.len());
    if unknown == builds {
        return "unknown; no durations of earlier builds".to_owned();
    }
    if unknown > 0 {
        let low = duration(low);
        return format!("at least {low}; {unknown} of {builds} durations unknown");
    }
    let (low, high) = (duration(low), duration(high));
    let range = match low == high {
        true => low,
        false => format!("{low} to {high}"),
    };
    let critical = duration(plan.critical_path_s());
    format!("{range}, about {critical} with unlimited workers")
}

fn write_cycles(plan: &Plan, out: &mut String) -> fmt::Result {
    for cycle in &plan.cycles {
        let names: Vec<&str> = cycle.members.iter().map(|name| name.as_str()).collect();
        writeln!(
            out,
            "\ncycle of {}: {}",
            counted(names.len(), "package"),
            names.join(", ")
        )?;
        for edge in &cycle.broken {
            let (from, to, kind) = (&edge.from, &edge.to, edge.kind);
            if plan.is_omitted(edge) {
                writeln!(
                    out,
                    "  {to} is first built without {from} ({kind}), and again with it"
                )?;
                continue;
            }
            writeln!(
                out,
                "  {to} is first built with the old {from} ({kind}), and again with the new one"
            )?;
        }
    }
    Ok(())
}

fn write_bootstrap(plan: &Plan, out: &mut String) -> fmt::Result {
    for needed in &plan.needs_bootstrap {
        let names: Vec<&str> = needed.members.iter().map(|name| name.as_str()).collect();
        writeln!(
            out,
            "\nthe cycle of {} needs a bootstrap build",
            names.join(", ")
        )?;
        for reason in &needed.reasons {
            writeln!(out, "  {reason}")?;
        }
        for choice in &needed.choices {
            writeln!(out, "  it builds with --bootstrap {choice}")?;
        }
        match (needed.choices.is_empty(), needed.untried) {
            (true, 0) => writeln!(out, "  no single --bootstrap is enough")?,
            (true, untried) => writeln!(
                out,
                "  no --bootstrap that was tried is enough; {} not tried",
                untried_packages(untried)
            )?,
            (false, 0) => {}
            (false, untried) => writeln!(out, "  {} not tried", untried_packages(untried))?,
        }
    }
    Ok(())
}

fn untried_packages(untried: usize) -> String {
    let verb = if untried == 1 { "was" } else { "were" };
    format!("{} {verb}", counted(untried, "other package"))
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// Formats a duration with its two largest units.
fn duration(seconds: u64) -> String {
    let units = [("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)];
    let mut rest = seconds;
    let mut parts = Vec::new();
    for (unit, size) in units {
        if rest >= size && parts.len() < 2 {
            parts.push(format!("{} {unit}", rest / size));
            rest %= size;
        } else if !parts.is_empty() {
            break;
        }
    }
    if parts.is_empty() {
        return "0 s".to_owned();
    }
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_durations_with_at_most_two_units() {
        for (seconds, expected) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3_661, "1 h 1 min"),
            (86_405, "1 d"),
            (180_000, "2 d 2 h"),
        ] {
            assert_eq!(duration(seconds), expected);
        }
    }
}
