//! Plans as Graphviz graphs, with an edge from each build to the builds that wait for it.

use std::fmt::{self, Write as _};

use crate::index::DependencyKind;
use crate::plan::Plan;

/// Renders a plan in the DOT language.
#[must_use]
pub fn dot(plan: &Plan) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write(plan, &mut out);
    out
}

fn write(plan: &Plan, out: &mut String) -> fmt::Result {
    // The names are validated and need no escaping.
    writeln!(out, "digraph plan {{")?;
    writeln!(out, "  rankdir=LR;\n  node [shape=box];")?;
    for build in &plan.builds {
        let label = build.label();
        let is_origin = plan.reason(build).len() == 1;
        let style = match (is_origin, build.stage > 1) {
            (true, _) => " [style=bold]",
            (false, true) => " [style=dashed]",
            (false, false) => "",
        };
        writeln!(out, "  \"{label}\"{style};")?;
        for need in &build.needs {
            let Some(other) = plan.builds.get(need.build) else {
                continue;
            };
            let style = match need.kind {
                Some(DependencyKind::Depends) => "solid",
                Some(DependencyKind::Makedepends) => "dashed",
                Some(DependencyKind::Checkdepends | DependencyKind::Package) => "dotted",
                None => "bold",
            };
            writeln!(
                out,
                "  \"{}\" -> \"{label}\" [style={style}];",
                other.label()
            )?;
        }
    }
    writeln!(out, "}}")
}
