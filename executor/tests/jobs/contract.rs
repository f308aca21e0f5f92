//! The behaviour that the runner relies on.

use serde_json::{Value, json};

use crate::support::{Host, QUICK, StageResult};

/// Every stage for which gitlab-runner 19.4 calls `run`, except the job's own script.
const STAGES: &[&str] = &[
    "prepare_script",
    "get_sources",
    "clear_worktree",
    "restore_cache",
    "download_artifacts",
    "step_release",
    "step_run",
    "after_script",
    "archive_cache",
    "archive_cache_on_failure",
    "upload_artifacts_on_success",
    "upload_artifacts_on_failure",
    "cleanup_file_variables",
];

#[tokio::test(flavor = "multi_thread")]
async fn runs_every_stage_script_and_builds_only_in_the_script_stage() {
    let host = Host::start(QUICK).await;
    let job = host.job(7, "a");
    job.stage(&["prepare"]).expect(0);
    for stage in STAGES {
        job.script(stage, "echo it ran").expect(0).prints("it ran");
        job.script(stage, "exit 3").expect(41);
    }
    assert!(job.attempt().outcomes.is_empty());
    let built = job.script("build_script", "echo it ran").expect(0);
    assert!(!built.out.contains("it ran"), "{}", built.out);
    job.clean_up();
}

#[tokio::test(flavor = "multi_thread")]
async fn repeats_prepare_after_cleanup() {
    let host = Host::start(QUICK).await;
    let job = host.job(7, "a");
    for _ in 0..3 {
        job.stage(&["config"]).expect(0);
        job.stage(&["prepare"]).expect(0);
        fs_err::write(job.builds().join("old"), "").unwrap();
        job.clean_up();
        assert!(host.leftovers().is_empty(), "{:?}", host.leftovers());
    }
    // Also without a cleanup: the runner was interrupted.
    for _ in 0..3 {
        job.stage(&["prepare"]).expect(0);
        assert!(!job.builds().join("old").exists());
        fs_err::write(job.builds().join("old"), "").unwrap();
    }
    job.prepare();
    job.script("build_script", "").expect(0);
    job.clean_up();
    assert!(host.leftovers().is_empty(), "{:?}", host.leftovers());
}

#[tokio::test(flavor = "multi_thread")]
async fn cleanup_without_job_only_reaps() {
    let host = Host::start(QUICK).await;
    let (dead, alive) = (host.job(1, "a"), host.job(2, "b"));
    dead.prepare_with_exited_runner();
    alive.prepare();
    let without = |file: Option<&str>| {
        let mut command = alive.command(&["cleanup"]);
        command.env_remove("JOB_RESPONSE_FILE");
        if let Some(file) = file {
            command.env("JOB_RESPONSE_FILE", file);
        }
        StageResult::from(command.output().unwrap()).expect(0)
    };
    without(None);
    assert!(!dead.builds().exists() && alive.builds().exists());
    without(Some(""));
    without(Some("/nonexistent/response.json"));
    assert!(alive.builds().exists());
    alive.clean_up();
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_cache_with_a_final_failure() {
    let host = Host::start(QUICK).await;
    let mut job = host.job(7, "a");
    job.describe("cache", json!([{ "key": "default", "paths": [] }]));
    job.stage(&["prepare"]).expect(0);
    job.clean_up();
    job.describe("cache", json!([{ "key": "default", "paths": ["vendor/"] }]));
    job.stage(&["prepare"]).expect(41).prints("remove `cache:`");
    let attempt = job.attempt();
    let text = format!("{:?}", attempt.outcomes);
    assert!(text.contains("cache:") && attempt.is_final, "{text}");
    job.clean_up();
}

#[tokio::test(flavor = "multi_thread")]
async fn config_prints_json_and_nothing_else() {
    let host = Host::start(QUICK).await;
    let job = host.job(7, "a");
    let result = job.stage(&["config"]).expect(0);
    assert_eq!(result.err, "");
    let config: Value = serde_json::from_str(&result.out).unwrap();
    assert_eq!(config["driver"]["name"], "buildbtw");
    assert_eq!(config["builds_dir"], job.builds().to_str().unwrap());
    assert_eq!(config["builds_dir_is_shared"], false);
    assert!(config["cache_dir"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn cleanup_is_idempotent_at_any_stage() {
    let host = Host::start(QUICK).await;
    let job = host.job(7, "a");
    job.clean_up();
    job.stage(&["prepare"]).expect(0);
    assert!(!host.leftovers().is_empty());
    job.clean_up();
    job.clean_up();
    assert!(host.leftovers().is_empty(), "{:?}", host.leftovers());
    // A later stage finds nothing, which is not an error of the job.
    job.script("after_script", "true")
        .expect(42)
        .prints("not prepared");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_reports_host_readiness() {
    let host = Host::start(QUICK).await;
    let check = || {
        let output = host.command().arg("check").output().unwrap();
        crate::support::StageResult::from(output)
    };
    check().expect(0).prints("ready");
    host.configure("builder.simulated = {}\ngitlab_runner = '/nonexistent'");
    // A duplicate key.
    check().expect(2).prints("duplicate");
    fs_err::write(host.config(), "server = 'nonsense'\n").unwrap();
    check().expect(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_unreachable_server_as_system_failure() {
    let host = Host::start(QUICK).await;
    host.server.kill();
    host.job(7, "a")
        .stage(&["prepare"])
        .expect(42)
        .prints("server");
}
