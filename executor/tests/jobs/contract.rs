//! What the runner relies on.

use serde_json::Value;

use crate::support::{Host, QUICK};

#[tokio::test(flavor = "multi_thread")]
async fn config_prints_json_and_nothing_else() {
    let host = Host::start(QUICK).await;
    let job = host.job(7, "a");
    let ended = job.stage(&["config"]).expect(0);
    assert_eq!(ended.err, "");
    let config: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(config["driver"]["name"], "buildbtw");
    assert_eq!(config["builds_dir"], job.builds().to_str().unwrap());
    assert_eq!(config["builds_dir_is_shared"], false);
    assert!(config["cache_dir"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn cleanup_works_at_any_time_and_twice() {
    let host = Host::start(QUICK).await;
    let job = host.job(7, "a");
    job.clean_up();
    job.stage(&["prepare"]).expect(0);
    assert!(!host.left().is_empty());
    job.clean_up();
    job.clean_up();
    assert!(host.left().is_empty(), "{:?}", host.left());
    // A stage after it finds nothing, which is no fault of the job.
    job.script("after_script", "true")
        .expect(42)
        .says("not prepared");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_says_whether_the_host_is_ready() {
    let host = Host::start(QUICK).await;
    let check = || {
        let output = host.command().arg("check").output().unwrap();
        crate::support::Ended::from(output)
    };
    check().expect(0).says("ready");
    host.configure("builder.simulated = {}\ngitlab_runner = '/nonexistent'");
    // A key that is there twice.
    check().expect(2).says("duplicate");
    fs_err::write(host.config(), "server = 'nonsense'\n").unwrap();
    check().expect(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_is_no_fault_of_the_job() {
    let host = Host::start(QUICK).await;
    host.server.kill();
    host.job(7, "a")
        .stage(&["prepare"])
        .expect(42)
        .says("server");
}
