//! Hosts where the user of scripts cannot access what they need.

use std::path::Path;
use std::process::Command;

use buildbtw_model::FailureKind;
use buildbtw_model::api::Outcome;

use crate::support::{Host, Job, PROGRAM, QUICK, StageResult, chmod};

fn check(host: &Host) -> StageResult {
    StageResult::from(host.command().arg("check").output().unwrap())
}

/// Runs the commands of root as a user without a name.
fn as_another_user(host: &Host, command: &Command) -> StageResult {
    // A copy that every user can execute, even if the folder of the tests is private.
    let program = host.path("buildbtw-executor");
    if !program.exists() {
        fs_err::copy(PROGRAM, &program).unwrap();
        chmod(&program, 0o755);
    }
    let mut other = Command::new("/usr/bin/setpriv");
    other
        .args(["--reuid", "12345", "--regid", "12345", "--clear-groups"])
        .arg(&program)
        .args(command.get_args())
        .env_clear()
        .envs(
            command
                .get_envs()
                .filter_map(|(key, value)| Some((key, value?))),
        )
        .current_dir(command.get_current_dir().unwrap_or(Path::new("/")));
    StageResult::from(other.output().unwrap())
}

/// Checks that the failure was reported to the server once, and must not be retried.
#[track_caller]
fn expect_final(job: &Job<'_>, message: &str) {
    let attempt = job.attempt();
    let expected = Outcome::failed(FailureKind::Infrastructure, message);
    assert_eq!(attempt.outcomes, [expected]);
    assert!(attempt.is_final);
}

#[tokio::test(flavor = "multi_thread")]
async fn fails_once_and_names_private_folder_of_the_helper() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let host = Host::start(QUICK).await;
    let (private, inner) = (host.path("private"), host.path("private/inner"));
    fs_err::create_dir_all(&inner).unwrap();
    let helper = inner.join("gitlab-runner");
    fs_err::copy("/usr/bin/true", &helper).unwrap();
    host.replace_setting("/usr/bin/true", helper.to_str().unwrap());
    chmod(&private, 0o700);
    let message = format!(
        "permission denied: {} (its folder {} is not accessible to user `nobody`)",
        helper.display(),
        private.display()
    );
    check(&host).expect(2).prints(&message);
    let job = host.job(7, "a");
    job.stage(&["prepare"]).expect(41).prints(&message);
    expect_final(&job, &message);
    job.clean_up();
    // A job without an attempt has nothing to report.
    host.empty_job(8).stage(&["prepare"]).expect(41);

    // Once repaired, the same host builds.
    chmod(&private, 0o711);
    chmod(&helper, 0o644);
    check(&host)
        .expect(2)
        .prints("user `nobody` is not allowed to execute it");
    chmod(&helper, 0o755);
    check(&host).expect(0);
    let job = host.job(9, "a");
    job.prepare();
    job.script("build_script", "").expect(0);
    job.script("upload_artifacts_on_success", "gitlab-runner")
        .expect(0);
    job.clean_up();
}

#[tokio::test(flavor = "multi_thread")]
async fn names_state_folder_that_scripts_cannot_enter() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let host = Host::start(QUICK).await;
    let folder = host.state().parent().unwrap().to_owned();
    chmod(&folder, 0o700);
    let message = format!(
        "(its folder {} is not accessible to user `nobody`)",
        folder.display()
    );
    check(&host).expect(2).prints(&message);
    let job = host.job(7, "a");
    job.stage(&["prepare"]).expect(41).prints(&message);
    // The result is the same if it is detected later.
    chmod(&folder, 0o711);
    let job = host.job(8, "a");
    job.prepare();
    chmod(&folder, 0o700);
    job.script("get_sources", "true")
        .expect(41)
        .prints(&message);
    assert!(job.attempt().is_final);
    job.clean_up();
}

#[tokio::test(flavor = "multi_thread")]
async fn names_sudo_command_without_permission() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let host = Host::start(QUICK).await;
    let private = host.path("private");
    fs_err::create_dir(&private).unwrap();
    let sudo = private.join("sudo");
    fs_err::copy("/usr/bin/true", &sudo).unwrap();
    chmod(&private, 0o700);
    host.replace_setting("sudo = ''", &format!("sudo = '{}'", sudo.display()));
    let message = format!(
        "permission denied: {} (its folder {} is not accessible to user 12345)",
        sudo.display(),
        private.display()
    );
    let mut check = host.command();
    check.arg("check");
    as_another_user(&host, &check).expect(2).prints(&message);
    let job = host.job(7, "a");
    as_another_user(&host, &job.command(&["prepare"]))
        .expect(41)
        .prints(&message);
    expect_final(&job, &message);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_unreadable_settings() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let host = Host::start(QUICK).await;
    let job = host.job(7, "a");
    let expect = |settings: &Path, why: String| {
        let message = format!("permission denied: {} ({why})", settings.display());
        for (stage, code) in [("config", 41), ("prepare", 41), ("check", 2)] {
            let mut command = match stage {
                "check" => host.command(),
                _ => job.command(&[]),
            };
            command.env("BUILDBTW_EXECUTOR_CONFIG", settings);
            let mut wanted = Command::new(PROGRAM);
            wanted.arg(stage).current_dir(&job.tmp).envs(
                command
                    .get_envs()
                    .filter_map(|(key, value)| Some((key, value?))),
            );
            as_another_user(&host, &wanted)
                .expect(code)
                .prints(&message);
        }
    };
    chmod(&host.config(), 0o600);
    expect(
        &host.config(),
        "user 12345 is not allowed to read it".to_owned(),
    );
    let private = host.path("private");
    fs_err::create_dir(&private).unwrap();
    let inside = private.join("executor.toml");
    fs_err::rename(host.config(), &inside).unwrap();
    chmod(&inside, 0o644);
    chmod(&private, 0o700);
    let why = format!(
        "its folder {} is not accessible to user 12345",
        private.display()
    );
    expect(&inside, why);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_program_that_sudo_cannot_execute() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let host = Host::start(QUICK).await;
    let (sudo, program) = (host.path("sudo"), host.path("program"));
    let settings = format!(
        "sudo = '{}'\nprogram = '{}'",
        sudo.display(),
        program.display()
    );
    host.replace_setting("sudo = ''", &settings);
    let message = format!(
        "permission denied: {} (root is not allowed to execute it)",
        program.display()
    );
    for (id, phrase) in [
        (
            1,
            format!("unable to execute {}: Permission denied", program.display()),
        ),
        (2, format!("{}: command not found", program.display())),
    ] {
        fs_err::write(
            &sudo,
            format!("#!/bin/sh\necho 'sudo: {phrase}' >&2\nexit 1\n"),
        )
        .unwrap();
        chmod(&sudo, 0o755);
        let job = host.job(id, "a");
        as_another_user(&host, &job.command(&["prepare"]))
            .expect(41)
            .prints(&message);
        let attempt = job.attempt();
        assert!(attempt.is_final && attempt.outcomes.len() == 1);
    }
}
