//! `buildbtw-server doctor`: each fault of an installation is one check, with what repairs it.

use buildbtw_doctor::{Check, Report, Status};
use buildbtw_fake_gitlab::{Fault, HookOptions, HookScope, On, Role, Times};
use buildbtw_server::cli::{self, Command};
use buildbtw_server::doctor::examine;
use buildbtw_server::time::Clock;
use buildbtw_settings::Parsed;
use jiff::SignedDuration;

use super::{Forge, GROUP, SECRET};
use crate::support::Srcinfo;

const TEMPLATE: &str = "buildbtw.yml@packaging/ci";
/// The server's URL. Nothing listens there: its checks do not need it.
const URL: &str = "http://127.0.0.1:9";

/// A GitLab instance that builds, configured as notes/gitlab.md says, with a runner that is online.
struct Installation {
    forge: Forge,
    runner: String,
}

impl Installation {
    async fn new() -> Self {
        let mut forge = Forge::empty().await;
        forge.token = forge.gitlab.create_token(&["api"]);
        forge.write("token", &forge.token);
        for name in ["token", "secret", "signing"] {
            make_private(&forge, name);
        }
        for name in ["a", "b", "c"] {
            forge.push(&Srcinfo::new(name, "1-1"));
            let project = forge.project(name);
            forge.gitlab.set_ci_config_path(project, TEMPLATE).unwrap();
        }
        let runner = forge.gitlab.create_runner(&["buildbtw", "x86_64"]);
        forge.gitlab.contact_runner(&runner).unwrap();
        let this = Self { forge, runner };
        this.add_hook(HookScope::Group(GROUP.to_owned()));
        this
    }

    fn add_hook(&self, scope: HookScope) -> buildbtw_fake_gitlab::HookId {
        let options = HookOptions {
            token: Some(SECRET.to_owned()),
            ..HookOptions::everything(format!("{URL}/api/v1/webhooks/gitlab"))
        };
        self.forge.gitlab.add_hook(scope, options).unwrap()
    }

    async fn report(&self) -> Report {
        self.report_with(&[]).await
    }

    async fn report_with(&self, more: &[&str]) -> Report {
        let mut line = ["buildbtw-server", "doctor", "--url", URL]
            .map(str::to_owned)
            .to_vec();
        line.push("--run-builds-on-gitlab".to_owned());
        // The default port may be in use on this machine.
        line.push("--listen=127.0.0.1:0".to_owned());
        if !more.contains(&"--data-dir") {
            let data = self.forge.file("data").display().to_string();
            line.extend(["--data-dir".to_owned(), data]);
        }
        line.extend(["--disk-reserve-mib".to_owned(), "0".to_owned()]);
        line.extend(self.forge.options().gitlab);
        line.extend(more.iter().map(|&argument| argument.to_owned()));
        // Not the file of this machine.
        line.extend(["--config", "/dev/null"].map(str::to_owned));
        let parsed = cli::parse(line.into_iter().map(Into::into)).unwrap();
        let Parsed {
            cli,
            command,
            matches,
            file,
        } = parsed;
        let Command::Doctor(args) = cli.command else {
            panic!("another command");
        };
        let settings = buildbtw_settings::settings(&command, &matches, file.as_ref());
        let settings = settings.into_iter().map(Into::into).collect();
        examine(&args, settings, &Clock::default()).await
    }
}

fn make_private(forge: &Forge, name: &str) {
    use std::os::unix::fs::PermissionsExt;
    let permissions = PermissionsExt::from_mode(0o600);
    fs_err::set_permissions(forge.file(name), permissions).unwrap();
}

fn find<'a>(report: &'a Report, name: &str) -> &'a Check {
    let mut checks = report.checks.iter();
    let check = checks.find(|check| check.name == name);
    check.unwrap_or_else(|| panic!("no check `{name}` in {}", report.to_text()))
}

/// Checks that exactly one check has this status and names this.
#[track_caller]
fn expect(report: &Report, name: &str, status: Status, part: &str) {
    let check = find(report, name);
    assert_eq!(check.status, status, "{}", report.to_text());
    assert!(check.message.contains(part), "{check:?}");
    if matches!(status, Status::Warning | Status::Failure) {
        assert!(check.repair.is_some(), "{check:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn healthy_installation_has_no_failures() {
    let installation = Installation::new().await;
    let report = installation.report().await;
    println!("{}", report.to_text());
    assert_eq!(report.exit_code(), 0, "{}", report.to_text());
    for name in [
        "configuration",
        "--gitlab-token-file",
        "GitLab",
        "GitLab token",
        "GitLab group",
        "clock of GitLab",
        "webhook",
        "CI file",
        "runners for x86_64",
    ] {
        assert_eq!(
            find(&report, name).status,
            Status::Ok,
            "{}",
            report.to_text()
        );
    }
    expect(&report, "GitLab group", Status::Ok, "Owner");
    expect(&report, "CI file", Status::Ok, "all 3 projects");
    expect(&report, "running server", Status::Skipped, "no server");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_token_without_scope_and_role() {
    let installation = Installation::new().await;
    let gitlab = &installation.forge.gitlab;
    let weak = gitlab.create_token(&["read_api"]);
    installation.forge.write("token", &weak);
    gitlab.set_group_role(Some(Role::Reporter));
    let report = installation.report().await;
    expect(&report, "GitLab token", Status::Failure, "lacks api");
    expect(&report, "GitLab group", Status::Failure, "needs Developer");
    assert_eq!(report.exit_code(), 1);
    gitlab.set_group_role(None);
    let soon = gitlab.clock().now() + SignedDuration::from_hours(72);
    gitlab.expire_token(&weak, Some(soon)).unwrap();
    let report = installation.report().await;
    expect(&report, "GitLab group", Status::Warning, "not a member");
    gitlab.revoke_token(&weak).unwrap();
    let report = installation.report().await;
    expect(&report, "GitLab", Status::Failure, "token rejected");
    expect(&report, "webhook", Status::Skipped, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_missing_and_rejected_webhooks() {
    let installation = Installation::new().await;
    let forge = &installation.forge;
    // Nothing listens at the URL.
    forge
        .gitlab
        .webhooks()
        .set_attempts(1, std::time::Duration::ZERO);
    forge.push(&Srcinfo::new("a", "2-1"));
    forge.gitlab.deliveries_done().await;
    let report = installation.report().await;
    expect(&report, "webhook", Status::Failure, "internal error");
    forge.gitlab.set_group_hooks(false);
    let report = installation.report().await;
    expect(&report, "webhook", Status::Failure, "3 of 3 projects");
    let repair = find(&report, "webhook").repair.as_deref().unwrap();
    assert!(repair.contains(URL), "{repair}");
    for name in ["a", "b", "c"] {
        installation.add_hook(HookScope::Project(format!("{GROUP}/{name}")));
    }
    let report = installation.report().await;
    expect(&report, "webhook", Status::Ok, "3 projects");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_projects_with_another_ci_file() {
    let installation = Installation::new().await;
    let forge = &installation.forge;
    let other = forge.project("b");
    forge.gitlab.set_ci_config_path(other, "").unwrap();
    let report = installation.report().await;
    expect(&report, "CI file", Status::Failure, "2 of 3 projects");
    let check = find(&report, "CI file");
    assert!(check.message.contains("packaging/packages/b"), "{check:?}");
    let command = format!("buildbtw-server gitlab set-ci-config --template {TEMPLATE} --apply");
    assert_eq!(check.repair.as_deref(), Some(command.as_str()));
    let report = installation
        .report_with(&["--template", "new.yml@packaging/ci"])
        .await;
    expect(&report, "CI file", Status::Failure, "0 of 3 projects");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_architecture_without_online_runner() {
    let installation = Installation::new().await;
    let gitlab = &installation.forge.gitlab;
    let report = installation
        .report_with(&["--architectures", "x86_64,aarch64"])
        .await;
    expect(&report, "runners for x86_64", Status::Ok, "online");
    expect(&report, "runners for aarch64", Status::Failure, "aarch64");
    gitlab.pause_runner(&installation.runner, true).unwrap();
    let report = installation.report().await;
    expect(&report, "runners for x86_64", Status::Failure, "x86_64");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_clocks_that_are_apart() {
    let installation = Installation::new().await;
    let clock = installation.forge.gitlab.clock();
    clock.advance(SignedDuration::from_secs(30));
    let report = installation.report().await;
    expect(
        &report,
        "clock of GitLab",
        Status::Warning,
        "behind that of GitLab",
    );
    clock.advance(SignedDuration::from_mins(-6));
    let report = installation.report().await;
    expect(
        &report,
        "clock of GitLab",
        Status::Failure,
        "ahead of that of GitLab",
    );
    let repair = find(&report, "clock of GitLab").repair.as_deref().unwrap();
    assert!(repair.contains("timedatectl"), "{repair}");
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_unreachable_gitlab_once() {
    let installation = Installation::new().await;
    installation.forge.gitlab.stop();
    let report = installation.report().await;
    expect(&report, "GitLab", Status::Failure, "failed");
    for name in ["GitLab token", "GitLab group", "webhook"] {
        expect(&report, name, Status::Skipped, "cannot be used");
    }
    // The rest was checked nevertheless.
    expect(&report, "disk", Status::Ok, "MiB left");
}

#[tokio::test(flavor = "multi_thread")]
async fn failing_request_does_not_stop_other_checks() {
    let installation = Installation::new().await;
    let answer = Fault::Respond {
        status: 403,
        headers: Vec::new(),
        body: r#"{"message":"403 Forbidden"}"#.into(),
    };
    let faults = installation.forge.gitlab.faults();
    for end in ["/hooks", "/runners"] {
        let on = On::Method {
            method: "GET".into(),
            end: end.into(),
        };
        faults.add(on, Times::Always, answer.clone());
    }
    let report = installation.report().await;
    expect(&report, "webhook", Status::Skipped, "not allowed to list");
    expect(&report, "CI file", Status::Ok, "all 3");
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_running_server_without_disturbing_it() {
    let installation = Installation::new().await;
    let mut server = installation.forge.server().await;
    let more = ["--data-dir", &server.data().display().to_string()];
    let report = installation.report_with(&more).await;
    expect(
        &report,
        "running server",
        Status::Ok,
        "answers at http://127.0.0.1",
    );
    expect(&report, "version", Status::Ok, "as the server");
    expect(&report, "readiness", Status::Ok, "ready");
    expect(&report, "database", Status::Ok, "not damaged");
    expect(&report, "migrations", Status::Ok, "are applied");
    expect(&report, "data folder", Status::Ok, "private");
    server.namespace("n", &["a/main"]).await;
    server.stop().await;
    let report = installation.report_with(&more).await;
    expect(&report, "running server", Status::Skipped, "no server");
    expect(&report, "database", Status::Ok, "not damaged");
    server.start_again().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_settings_that_contradict_each_other_and_checks_the_rest() {
    let installation = Installation::new().await;
    let report = installation.report_with(&["--buildtool", "devtools"]).await;
    expect(&report, "configuration", Status::Failure, "--buildtoolver");
    expect(&report, "disk", Status::Ok, "MiB left");
    make_public(&installation.forge, "token");
    let report = installation.report().await;
    expect(
        &report,
        "--gitlab-token-file",
        Status::Failure,
        "other users",
    );
}

fn make_public(forge: &Forge, name: &str) {
    use std::os::unix::fs::PermissionsExt;
    let permissions = PermissionsExt::from_mode(0o644);
    fs_err::set_permissions(forge.file(name), permissions).unwrap();
}
