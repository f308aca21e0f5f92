//! The texts of checks, as a report shows them.

use buildbtw_doctor::{Check, Report};
use buildbtw_gitlab::{
    CiConfig, GitlabError, GitlabErrorKind, Hook, HookEvent, RateLimitState, Runner, TokenInfo,
};
use buildbtw_model::ProjectId;

use super::{
    DEVELOPER, REPORTER, ci_config, judge_rate_limit, judge_role, judge_token, no_group, refused,
    runners, unknown_role, webhooks,
};
use crate::doctor::PROGRAM;
use crate::time::Millis;

fn printed(checks: impl IntoIterator<Item = Check>) -> String {
    let mut report = Report::new(PROGRAM, "1.0.0");
    report.extend(checks);
    report.to_text()
}

fn error(kind: GitlabErrorKind) -> GitlabError {
    GitlabError {
        request: "group",
        about: "packages".to_owned(),
        request_id: None,
        kind,
    }
}

fn forbidden() -> GitlabError {
    error(GitlabErrorKind::Forbidden("403 Forbidden".to_owned()))
}

/// Returns the check of a token with these scopes.
pub(super) fn token(scopes: &[&str], expires_at: Option<&str>) -> Check {
    let token = TokenInfo {
        name: "buildbtw".into(),
        user_id: None,
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        expires_at: expires_at.map(str::to_owned),
    };
    let today = "2026-11-30T12:00:00Z".parse().unwrap();
    judge_token(&token, &["read_api", "api"], today)
}

#[test]
fn checks_of_access_match_snapshot() {
    let role = |level, needed| judge_role("packages", level, needed, "the token sees `packages`");
    let left = |remaining| {
        judge_rate_limit(RateLimitState {
            limit: Some(600),
            remaining,
        })
    };
    let paused = GitlabErrorKind::Paused {
        status: 429,
        pause: None,
    };
    insta::assert_snapshot!(printed([
        refused(&error(GitlabErrorKind::InvalidToken("expired".into()))),
        refused(&error(paused)),
        refused(&error(GitlabErrorKind::Timeout)),
        no_group(&error(GitlabErrorKind::NotFound("group"))),
        unknown_role("the token sees `packages`", &forbidden()),
        role(Some(10), REPORTER),
        role(Some(20), DEVELOPER),
        role(Some(30), DEVELOPER),
        role(None, REPORTER),
        left(599),
        left(3),
        token(&["api"], None),
        token(&["read_user"], None),
        token(&["api"], Some("2027-11-30")),
        token(&["api"], Some("2026-12-05")),
    ]));
}

fn hook() -> Hook {
    serde_json::from_value(serde_json::json!({
        "id": 1,
        "url": "https://build.example.org/api/v1/webhooks/gitlab",
        "push_events": true,
        "tag_push_events": true,
        "merge_requests_events": true,
    }))
    .unwrap()
}

#[test]
fn checks_of_webhooks_match_snapshot() {
    let whose = "that of the group `packages`";
    let url = "https://build.example.org/api/v1/webhooks/gitlab";
    let delivered = |response_status: &str| {
        let event = HookEvent {
            trigger: "push_hooks".into(),
            response_status: response_status.into(),
        };
        webhooks::judge(&hook(), whose, false, Some(&event))
    };
    let mut stopped = hook();
    stopped.alert_status = Some("disabled".into());
    let of_projects = |asked, without: &[&str]| webhooks::judge_projects(url, asked, without);
    let now = Millis(1_800_000_060_000);
    insta::assert_snapshot!(printed([
        webhooks::not_accepted(300),
        webhooks::judge(&hook(), whose, false, None),
        webhooks::judge(&hook(), whose, true, None),
        webhooks::judge(&stopped, whose, false, None),
        delivered("200"),
        delivered("401"),
        of_projects(0, &[]),
        of_projects(5, &[]),
        of_projects(5, &["packages/a", "packages/b", "packages/c", "packages/d"]),
        webhooks::last_received(Some(Millis(1_800_000_000_000)), now),
        webhooks::last_received(None, now),
    ]));
}

#[test]
fn checks_of_builds_match_snapshot() {
    let projects = |paths: &[&str]| -> Vec<CiConfig> {
        let projects = paths.iter().zip(1_u32..);
        let projects = projects.map(|(path, number)| CiConfig {
            id: ProjectId(number.into()),
            full_path: format!("packages/p{number}"),
            ci_config_path: (*path).to_owned(),
        });
        projects.collect()
    };
    let template = "buildbtw.yml@packages/ci";
    let ci_file = |paths: &[&str]| ci_config::judge(&projects(paths), None);
    let architecture = "x86_64".parse().unwrap();
    let online = |runners| runners::judge("runners for x86_64", &architecture, runners);
    let runner = Runner {
        id: 7,
        description: Some("builder-1".to_owned()),
    };
    insta::assert_snapshot!(printed([
        ci_file(&[]),
        ci_file(&["", ""]),
        ci_file(&[template, template]),
        ci_file(&[template, "", template, "own.yml"]),
        online(Ok(Vec::new())),
        online(Ok(vec![runner])),
        online(Err(forbidden())),
        online(Err(error(GitlabErrorKind::Timeout))),
    ]));
}
