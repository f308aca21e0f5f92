//! Hosts where the user of scripts does not get to what they need.

use buildbtw_model::FailureKind;
use buildbtw_model::api::Outcome;

use crate::support::{Ended, Host, QUICK, chmod};

fn check(host: &Host) -> Ended {
    Ended::from(host.command().arg("check").output().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_helper_in_a_private_folder_fails_the_build_once_and_names_the_folder() {
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
    let said = format!(
        "permission denied: {} (its folder {} is not accessible to nobody)",
        helper.display(),
        private.display()
    );
    check(&host).expect(2).says(&said);
    let job = host.job(7, "a");
    job.stage(&["prepare"]).expect(41).says(&said);
    let attempt = job.attempt();
    let told = Outcome::Failed {
        kind: FailureKind::Infrastructure,
        message: said,
    };
    assert_eq!(attempt.outcomes, [told]);
    assert!(attempt.is_final, "the server is not to try it again");
    job.clean_up();
    // A job that is not from buildbtw has nothing to tell.
    host.empty_job(8).stage(&["prepare"]).expect(41);

    // Repaired, the same host builds.
    chmod(&private, 0o711);
    chmod(&helper, 0o644);
    check(&host).expect(2).says("nobody may not execute it");
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
async fn a_state_folder_that_scripts_cannot_enter_is_named() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let host = Host::start(QUICK).await;
    let folder = host.state().parent().unwrap().to_owned();
    chmod(&folder, 0o700);
    let said = format!(
        "(its folder {} is not accessible to nobody)",
        folder.display()
    );
    check(&host).expect(2).says(&said);
    let job = host.job(7, "a");
    job.stage(&["prepare"]).expect(41).says(&said);
    // Found out only later it is the same.
    chmod(&folder, 0o711);
    let job = host.job(8, "a");
    job.prepare();
    chmod(&folder, 0o700);
    job.script("get_sources", "true").expect(41).says(&said);
    assert!(job.attempt().is_final);
    job.clean_up();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sudo_that_this_user_may_not_run_is_named() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    // As another user, who needs sudo; the program is a copy that it can run.
    let host = Host::start(QUICK).await;
    let program = host.path("buildbtw-executor");
    fs_err::copy(crate::support::PROGRAM, &program).unwrap();
    chmod(&program, 0o755);
    let private = host.path("private");
    fs_err::create_dir(&private).unwrap();
    let sudo = private.join("sudo");
    fs_err::copy("/usr/bin/true", &sudo).unwrap();
    chmod(&private, 0o700);
    host.replace_setting("sudo = ''", &format!("sudo = '{}'", sudo.display()));
    let output = std::process::Command::new("/usr/bin/setpriv")
        .args(["--reuid", "12345", "--regid", "12345", "--clear-groups"])
        .arg(&program)
        .arg("--config")
        .arg(host.config())
        .arg("check")
        .env_clear()
        .output()
        .unwrap();
    Ended::from(output).expect(2).says(&format!(
        "permission denied: {} (its folder {} is not accessible to user 12345)",
        sudo.display(),
        private.display()
    ));
}
