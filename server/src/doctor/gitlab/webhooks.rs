//! The webhooks: that one reaches the server for every project, with the right events, and its last delivery.

use std::time::Duration;

use buildbtw_doctor::{Check, Report};
use buildbtw_gitlab::{GitlabErrorKind, Hook, HookEvent, HookOwner, Selection};

use crate::time::Millis;

use super::subject::{REACH, Subject};

pub(super) const NAME: &str = "webhook";
/// The path of webhooks below the server's URL.
const PATH: &str = "/api/v1/webhooks/gitlab";
/// How many projects are asked for their webhooks if the group has none. Each is a request.
const ASKED_PROJECTS: usize = 20;
/// How many projects a message names.
const SHOWN: usize = 3;
/// Some requests per project.
const DEADLINE: Duration = Duration::from_secs(60);

/// Adds the checks.
pub(super) async fn check(subject: &Subject<'_>, report: &mut Report) {
    if subject.config.webhook.is_none() {
        let seconds = subject.gitlab.settings().poll.as_secs();
        report.add(not_accepted(seconds));
        return;
    }
    report.run_within(DEADLINE, NAME, find(subject)).await;
    report.add(last_received(subject.last_webhook, subject.clock.now()));
}

/// Returns the warning about a server that accepts no webhooks.
pub(super) fn not_accepted(seconds: u64) -> Check {
    Check::warning(
        NAME,
        format!("webhooks are not accepted, so changes are found by polls every {seconds} s"),
        "add a webhook to the group, and set --gitlab-webhook-signing-token-file",
    )
}

/// Finds the webhook of the group, or else those of its projects.
async fn find(subject: &Subject<'_>) -> Vec<Check> {
    let url = format!("{}{PATH}", subject.config.url);
    let builds = subject.config.pipelines.is_some();
    let of_group = match subject.gitlab.hooks(HookOwner::Group).await {
        Ok(hooks) => hooks,
        // Not this edition, or not with this role. Projects may have their own.
        Err(error) if error.kind.is_transient() => {
            return vec![Check::warning(NAME, error.to_string(), REACH)];
        }
        Err(_) => Vec::new(),
    };
    if let Some(hook) = ours(&of_group, &url) {
        let delivery = subject.gitlab.last_delivery(HookOwner::Group, hook.id);
        let delivery = delivery.await.ok().flatten();
        let whose = format!("that of the group `{}`", subject.gitlab.settings().group);
        return vec![judge(hook, &whose, builds, delivery.as_ref())];
    }
    find_in_projects(subject, &url, builds).await
}

/// Asks the projects that changed last for their webhooks.
async fn find_in_projects(subject: &Subject<'_>, url: &str, builds: bool) -> Vec<Check> {
    let page = match subject.gitlab.projects(&Selection::After(None)).await {
        Ok(page) => page,
        Err(error) => return vec![Check::warning(NAME, error.to_string(), REACH)],
    };
    let projects = page.projects.iter().filter(|project| !project.archived);
    let (mut asked, mut without, mut problem) = (0, Vec::new(), None);
    for project in projects.take(ASKED_PROJECTS) {
        let owner = HookOwner::Project(project.id);
        let hooks = match subject.gitlab.hooks(owner).await {
            Ok(hooks) => hooks,
            // The role is too low, and probably in the others as well.
            Err(error) if matches!(error.kind, GitlabErrorKind::Forbidden(_)) => break,
            Err(error) => return vec![Check::warning(NAME, error.to_string(), REACH)],
        };
        asked += 1;
        match ours(&hooks, url) {
            None => without.push(project.full_path.as_str()),
            Some(hook) if problem.is_none() => {
                let delivery = subject.gitlab.last_delivery(owner, hook.id).await;
                let whose = format!("that of `{}`", project.full_path);
                let check = judge(hook, &whose, builds, delivery.ok().flatten().as_ref());
                problem = check.repair.is_some().then_some(check);
            }
            Some(_) => {}
        }
    }
    problem.map_or_else(
        || vec![judge_projects(url, asked, &without)],
        |check| vec![check],
    )
}

/// Returns the hook that sends to this URL.
fn ours<'a>(hooks: &'a [Hook], url: &str) -> Option<&'a Hook> {
    let same = |hook: &&Hook| hook.url.trim_end_matches('/') == url;
    hooks.iter().find(same)
}

/// Judges a hook that sends to this server.
pub(super) fn judge(hook: &Hook, whose: &str, builds: bool, delivery: Option<&HookEvent>) -> Check {
    let wanted = [
        ("push", hook.push_events),
        ("tag push", hook.tag_push_events),
        ("merge request", hook.merge_requests_events),
        ("pipeline", hook.pipeline_events || !builds),
        ("job", hook.job_events || !builds),
    ];
    let missing: Vec<_> = wanted
        .iter()
        .filter(|(_, sent)| !sent)
        .map(|(name, _)| *name)
        .collect();
    if !missing.is_empty() {
        let missing = missing.join(", ");
        return Check::warning(
            NAME,
            format!("{whose} does not send these events: {missing}"),
            "enable them in the settings of the webhook in GitLab",
        );
    }
    let alert = hook.alert_status.as_deref().unwrap_or("executable");
    if alert != "executable" {
        return Check::failure(
            NAME,
            format!("GitLab has stopped {whose} after failures (`{alert}`)"),
            "correct what its recent events in GitLab show, then send a test event there",
        );
    }
    match delivery {
        Some(event) if !event.response_status.starts_with('2') => Check::failure(
            NAME,
            format!(
                "the last delivery of {whose} ended with `{}` ({})",
                event.response_status, event.trigger
            ),
            "compare its URL and secret in GitLab with --url and the file of the secret",
        ),
        Some(event) => Check::ok(
            NAME,
            format!(
                "{whose} sends all events; the last one ({}) was accepted",
                event.trigger
            ),
        ),
        None => Check::ok(NAME, format!("{whose} sends all events")),
    }
}

/// Judges projects, because the group has no webhook that the token sees.
pub(super) fn judge_projects(url: &str, asked: usize, without: &[&str]) -> Check {
    let repair = format!("add a webhook for {url} to the group, or to each project");
    if asked == 0 {
        let message =
            "the token is not allowed to list webhooks, which requires the role Owner in the group";
        return Check::skipped(NAME, message);
    }
    if without.is_empty() {
        return Check::ok(
            NAME,
            format!("the {asked} projects that changed last have one"),
        );
    }
    let (count, shown) = (
        without.len(),
        without.get(..SHOWN).unwrap_or(without).join(", "),
    );
    let message = format!(
        "neither the group nor {count} of {asked} projects have one for {url}, for example {shown}"
    );
    Check::failure(NAME, message, repair)
}

/// Tells when the last webhook arrived.
pub(super) fn last_received(last: Option<Millis>, now: Millis) -> Check {
    const NAME: &str = "last webhook";
    match last {
        Some(at) => {
            let ago = now.since(at).as_secs();
            let time = jiff::Timestamp::from(at).round(jiff::Unit::Second);
            let time = time.map_or_else(|error| error.to_string(), |time| time.to_string());
            Check::ok(
                NAME,
                format!("the server received it at {time}, {ago} s ago"),
            )
        }
        // An installation without changes receives none, and old ones are deleted.
        None => Check::skipped(NAME, "the server has received none recently"),
    }
}

#[cfg(test)]
mod tests {
    use buildbtw_doctor::Status;

    use super::*;

    fn hook() -> Hook {
        serde_json::from_value(serde_json::json!({
            "id": 1,
            "url": "https://b/api/v1/webhooks/gitlab",
            "push_events": true,
            "tag_push_events": true,
            "merge_requests_events": true,
        }))
        .unwrap()
    }

    fn event(response_status: &str) -> HookEvent {
        HookEvent {
            trigger: "push_hooks".into(),
            response_status: response_status.into(),
        }
    }

    #[test]
    fn judges_events_state_and_last_delivery_of_a_hook() {
        let own = "that of the group";
        assert_eq!(judge(&hook(), own, false, None).status, Status::Ok);
        let without_jobs = judge(&hook(), own, true, None);
        assert_eq!(without_jobs.status, Status::Warning);
        assert!(
            without_jobs.message.ends_with("pipeline, job"),
            "{without_jobs:?}"
        );
        assert_eq!(
            judge(&hook(), own, false, Some(&event("200"))).status,
            Status::Ok
        );
        let rejected = judge(&hook(), own, false, Some(&event("401")));
        assert_eq!(rejected.status, Status::Failure);
        let mut stopped = hook();
        stopped.alert_status = Some("disabled".into());
        assert_eq!(judge(&stopped, own, false, None).status, Status::Failure);
    }

    #[test]
    fn finds_hook_by_its_url() {
        let hooks = [hook()];
        assert!(ours(&hooks, "https://b/api/v1/webhooks/gitlab").is_some());
        assert!(ours(&hooks, "https://c/api/v1/webhooks/gitlab").is_none());
    }

    #[test]
    fn names_the_first_projects_without_a_hook() {
        let missing = judge_projects("https://b", 5, &["g/a", "g/b", "g/c", "g/d"]);
        assert_eq!(missing.status, Status::Failure);
        assert!(
            missing.message.ends_with("for example g/a, g/b, g/c"),
            "{missing:?}"
        );
        assert_eq!(judge_projects("https://b", 5, &[]).status, Status::Ok);
        assert_eq!(judge_projects("https://b", 0, &[]).status, Status::Skipped);
    }

    #[test]
    fn tells_when_the_last_webhook_was_received() {
        let now = Millis(1_800_000_060_000);
        let received = last_received(Some(Millis(1_800_000_000_000)), now);
        assert!(received.message.ends_with("60 s ago"), "{received:?}");
        assert_eq!(last_received(None, now).status, Status::Skipped);
    }
}
