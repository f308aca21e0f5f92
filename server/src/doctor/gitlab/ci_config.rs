//! The CI configuration of the projects: that all use the template.

use std::collections::BTreeMap;
use std::time::Duration;

use buildbtw_doctor::{Check, Report};
use buildbtw_gitlab::CiConfig;

use super::subject::{REACH, Subject};

const NAME: &str = "CI file";
/// A hundred projects are one request.
const DEADLINE: Duration = Duration::from_secs(120);
/// How many projects a message names.
const SHOWN: usize = 3;

/// Adds the check.
pub(super) async fn check(subject: &Subject<'_>, report: &mut Report) {
    report.run_within(DEADLINE, NAME, read(subject)).await;
}

async fn read(subject: &Subject<'_>) -> Vec<Check> {
    let (mut projects, mut after) = (Vec::new(), None);
    loop {
        match subject.gitlab.ci_configs(after).await {
            Ok(page) => {
                projects.extend(page.projects);
                after = page.next;
            }
            Err(error) => return vec![Check::warning(NAME, error.to_string(), REACH)],
        }
        if after.is_none() {
            return vec![judge(&projects, subject.template)];
        }
    }
}

/// Judges the paths of all projects. Without a template, the file of another project that most of them name is it.
pub(super) fn judge(projects: &[CiConfig], template: Option<&str>) -> Check {
    let template = template.or_else(|| most_used(projects));
    let count = projects.len();
    let command = |template: &str| {
        format!("buildbtw-server gitlab set-ci-config --template {template} --apply")
    };
    let Some(template) = template else {
        if projects.is_empty() {
            return Check::skipped(NAME, "the group has no projects");
        }
        let message = format!("none of {count} projects uses a CI file of another project");
        return Check::failure(NAME, message, command("buildbtw.yml@GROUP/PROJECT"));
    };
    let others = projects
        .iter()
        .filter(|project| project.ci_config_path != template);
    let others: Vec<&str> = others.map(|project| project.full_path.as_str()).collect();
    let set = count - others.len();
    if others.is_empty() {
        return Check::ok(NAME, format!("all {count} projects use {template}"));
    }
    let shown = others.get(..SHOWN).unwrap_or(&others).join(", ");
    let message = format!("{set} of {count} projects use {template}; others are {shown}");
    Check::failure(NAME, message, command(template))
}

fn most_used(projects: &[CiConfig]) -> Option<&str> {
    let mut counts = BTreeMap::new();
    let paths = projects
        .iter()
        .map(|project| project.ci_config_path.as_str());
    for path in paths.filter(|path| path.contains('@')) {
        *counts.entry(path).or_insert(0_usize) += 1;
    }
    let most = counts.into_iter().max_by_key(|(_, count)| *count);
    most.map(|(path, _)| path)
}

#[cfg(test)]
mod tests {
    use buildbtw_doctor::Status;
    use buildbtw_model::ProjectId;

    use super::*;

    fn projects(paths: &[&str]) -> Vec<CiConfig> {
        let projects = paths.iter().zip(1_u32..);
        let projects = projects.map(|(path, number)| CiConfig {
            id: ProjectId(number.into()),
            full_path: format!("g/p{number}"),
            ci_config_path: (*path).to_owned(),
        });
        projects.collect()
    }

    #[test]
    fn names_projects_with_another_ci_file_and_the_command_that_sets_it() {
        let template = "buildbtw.yml@g/ci";
        let all = judge(&projects(&[template, template]), None);
        assert_eq!(all.message, "all 2 projects use buildbtw.yml@g/ci");
        let some = judge(&projects(&[template, "", template, "own.yml"]), None);
        assert_eq!(some.status, Status::Failure);
        assert_eq!(
            some.message,
            "2 of 4 projects use buildbtw.yml@g/ci; others are g/p2, g/p4"
        );
        assert_eq!(
            some.repair.unwrap(),
            "buildbtw-server gitlab set-ci-config --template buildbtw.yml@g/ci --apply"
        );
    }

    #[test]
    fn compares_with_the_named_template() {
        let found = judge(&projects(&["old.yml@g/ci"]), Some("new.yml@g/ci"));
        assert!(found.message.starts_with("0 of 1"), "{found:?}");
        let none = judge(&projects(&["", ""]), None);
        assert_eq!(none.status, Status::Failure);
        assert!(none.message.starts_with("none of 2"), "{none:?}");
        assert_eq!(judge(&[], None).status, Status::Skipped);
    }
}
