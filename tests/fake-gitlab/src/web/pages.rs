//! The content of the pages.

use super::html::{escape, link, page, table};
use super::log;
use crate::FakeGitlab;
use crate::state::projects::Project;

/// The maximum number of rows; more would render slowly.
const MOST: usize = 1_000;

fn projects<'a>(
    gitlab: &FakeGitlab,
    all: impl Iterator<Item = &'a std::sync::Arc<Project>>,
) -> String {
    let rows = all.take(MOST).map(|project| {
        vec![
            link(&project.full_path, &project.full_path),
            format!(
                "<code>git clone {}</code>",
                escape(&gitlab.git_url(&project.full_path))
            ),
            link(&format!("{}/-/pipelines", project.full_path), "Pipelines"),
            project.last_activity_at.to_string(),
        ]
    });
    table(&["Project", "", "", "Last activity"], rows)
}

pub(super) fn start(gitlab: &FakeGitlab) -> String {
    let state = gitlab.state();
    let groups = state.groups.values().take(MOST);
    let groups: String = groups
        .map(|group| {
            let path = format!("groups/{}", group.full_path);
            format!("<li>{}</li>", link(&path, &group.full_path))
        })
        .collect();
    let title = format!("{} projects", state.projects.len());
    let list = projects(gitlab, state.projects.values());
    page(
        &title,
        &format!("<h2>Groups</h2><ul>{groups}</ul><h2>Projects</h2>{list}"),
    )
}

pub(super) fn group(gitlab: &FakeGitlab, path: &str) -> Option<String> {
    let state = gitlab.state();
    let group = state.group_at(path)?;
    let list = projects(gitlab, state.projects_of(&group, true));
    Some(page(&group.full_path, &list))
}

pub(super) fn project(gitlab: &FakeGitlab, path: &str) -> Option<String> {
    let project = gitlab.state().project_at(path)?;
    let body = format!(
        "<p>{}</p><p><code>git clone {}</code></p><p>{}</p>",
        escape(project.description.as_deref().unwrap_or_default()),
        escape(&gitlab.git_url(&project.full_path)),
        link(&format!("{}/-/pipelines", project.full_path), "Pipelines"),
    );
    Some(page(&project.full_path, &body))
}

pub(super) fn pipelines(gitlab: &FakeGitlab, path: &str) -> Option<String> {
    let state = gitlab.state();
    let project = state.project_at(path)?;
    let path = &project.full_path;
    let rows = state
        .pipelines_of(project.id.0)
        .rev()
        .take(MOST)
        .map(|row| {
            vec![
                link(
                    &format!("{path}/-/pipelines/{}", row.id),
                    &format!("#{}", row.id),
                ),
                escape(row.name.as_deref().unwrap_or_default()),
                row.status.to_string(),
                escape(&row.git_ref),
                row.commit.short_id(),
                row.source.name().to_owned(),
                row.created_at.to_string(),
            ]
        });
    let headings = [
        "Pipeline", "Name", "Status", "Ref", "Commit", "Source", "Created",
    ];
    let list = table(&headings, rows);
    Some(page(&format!("Pipelines of {path}"), &list))
}

pub(super) fn pipeline(gitlab: &FakeGitlab, path: &str, id: u64) -> Option<String> {
    let state = gitlab.state();
    let project = state.project_at(path)?;
    let row = state.pipelines.get(&id)?;
    if row.project != project.id {
        return None;
    }
    let path = &project.full_path;
    let jobs = state.jobs_of(row).map(|job| {
        vec![
            link(
                &format!("{path}/-/jobs/{}", job.id),
                &format!("#{}", job.id),
            ),
            escape(&job.name),
            escape(&job.stage),
            job.status.to_string(),
            escape(job.failure_reason.as_deref().unwrap_or_default()),
            if job.retried { "retried" } else { "" }.to_owned(),
        ]
    });
    let body = format!(
        "<p>{} · {} · {} · {}</p>{}",
        row.status,
        escape(&row.git_ref),
        row.sha(),
        escape(row.name.as_deref().unwrap_or_default()),
        table(&["Job", "Name", "Stage", "Status", "Reason", ""], jobs),
    );
    Some(page(&format!("Pipeline #{id} of {path}"), &body))
}

pub(super) fn job(gitlab: &FakeGitlab, path: &str, id: u64) -> Option<String> {
    let state = gitlab.state();
    let project = state.project_at(path)?;
    let row = state.jobs.get(&id)?;
    if row.project != project.id {
        return None;
    }
    let path = &project.full_path;
    let trace = state.traces.get(&id).map_or(&[][..], Vec::as_slice);
    let pipeline = link(
        &format!("{path}/-/pipelines/{}", row.pipeline),
        &format!("Pipeline #{}", row.pipeline),
    );
    let body = format!(
        "<p>{} · {} · {}</p><pre>{}</pre>",
        row.status,
        escape(row.failure_reason.as_deref().unwrap_or_default()),
        pipeline,
        escape(&log::plain(&String::from_utf8_lossy(trace))),
    );
    Some(page(&format!("Job #{id}: {}", row.name), &body))
}
