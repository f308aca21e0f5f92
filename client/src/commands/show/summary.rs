//! The summary of a namespace and one of its iterations.

use buildbtw_model::api::{IterationOverview, NamespaceDetail};
use jiff::Timestamp;

use crate::output::{Eta, clean, style, time};

/// The most origins that are shown.
const SHOWN_ORIGINS: usize = 3;

/// Returns the fields of the namespace and the iteration; the state is last.
pub(super) fn lines(namespace: &NamespaceDetail, iteration: &IterationOverview) -> Vec<String> {
    let field = |label: &str, value: String| format!("{label:11} {value}");
    let summary = &iteration.summary;
    let name = style::paint(style::HEADER, &namespace.summary.name);
    let number = format!(
        "{} of {} ({})",
        summary.number,
        namespace.iterations.len(),
        clean(&summary.reason)
    );
    let mut lines = vec![field("namespace", name), field("iteration", number)];
    for origin in iteration.origins.iter().take(SHOWN_ORIGINS) {
        let text = format!("{} at {}", origin.changeset, origin.commit.short());
        lines.push(field("origin", text));
    }
    let hidden = iteration.origins.len().saturating_sub(SHOWN_ORIGINS);
    if hidden > 0 {
        lines.push(field("", format!("and {hidden} more origins")));
    }
    lines.push(field("scope", namespace.summary.scope.to_string()));
    for (label, patterns) in patterns(namespace) {
        lines.push(field(label, clean(&patterns.join(", "))));
    }
    lines.push(field("network", namespace.summary.network.to_string()));
    lines.push(field("priority", namespace.summary.priority.to_string()));
    if let Some(by) = &namespace.summary.created_by {
        let at = time::date(namespace.summary.created_at);
        lines.push(field("created", format!("{at} by {}", clean(by))));
    }
    if let Some(by) = &namespace.summary.held_by {
        lines.push(field("cancelled", format!("by {}", clean(by))));
    }
    lines.push(field("planned", time::date(summary.created_at)));
    if let Some(took) = time::between(Some(summary.created_at), summary.finished_at) {
        lines.push(field("duration", took));
    }
    if let Some(eta) = Eta::of(summary).text(Timestamp::now()) {
        lines.push(field("ETA", eta));
    }
    if let Some(number) = summary.superseded_by {
        lines.push(field("superseded", format!("by iteration {number}")));
    }
    if let Some(error) = &namespace.replan_error {
        let text = format!("since its sources changed: {}", clean(error));
        lines.push(field("not planned", text));
    }
    if summary.counts.failed > 0 {
        let name = &namespace.summary.name;
        lines.push(field("repeat", format!("buildbtw build {name} PKGBASE")));
    }
    lines.push(field("web", clean(&namespace.web_url)));
    lines.extend(architectures(iteration));
    let status = style::paint(style::iteration(summary.status), summary.status);
    lines.push(field("state", status));
    lines
}

/// Returns the kinds of patterns of which the namespace has some.
fn patterns(namespace: &NamespaceDetail) -> impl Iterator<Item = (&'static str, &[String])> {
    let all = [
        ("include", namespace.include.as_slice()),
        ("exclude", namespace.exclude.as_slice()),
    ];
    all.into_iter().filter(|(_, patterns)| !patterns.is_empty())
}

fn architectures(iteration: &IterationOverview) -> Vec<String> {
    let mut lines = Vec::new();
    for architecture in &iteration.architectures {
        let counts = &architecture.counts;
        let label = architecture.architecture.to_string();
        let (done, total) = (counts.done, counts.total());
        let failed = match counts.failed {
            0 => String::new(),
            failed => format!(", {failed} failed"),
        };
        let blocked = match counts.blocked {
            0 => String::new(),
            blocked => format!(", {blocked} blocked"),
        };
        lines.push(format!(
            "{label:11} {done} of {total} built{failed}{blocked}"
        ));
        if let Some(stalled) = &architecture.stalled {
            lines.push(format!("{:11} stalled: {}", "", clean(stalled)));
        }
    }
    lines
}

/// Returns the section for pacman.conf, which is valid for all architectures.
pub(super) fn repository(iteration: &IterationOverview) -> Vec<String> {
    let Some(architecture) = iteration.architectures.first() else {
        return Vec::new();
    };
    let repository = &architecture.repository;
    let mut lines = vec![
        "Add to pacman.conf, above all other repositories:".to_owned(),
        String::new(),
    ];
    let section = repository.pacman_conf.trim_end().lines();
    lines.extend(section.map(|line| format!("    {}", clean(line))));
    if !repository.note.is_empty() {
        lines.extend([String::new(), clean(&repository.note)]);
    }
    lines
}
