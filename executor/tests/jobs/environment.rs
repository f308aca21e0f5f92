//! Variables that change the environment of scripts.

use crate::support::{Host, QUICK};

/// Starts a host whose `gitlab-runner` creates a temporary file, as the uploader of artifacts does.
async fn host() -> Host {
    let host = Host::start(QUICK).await;
    host.replace_setting("/usr/bin/true", "/usr/bin/mktemp");
    host
}

#[tokio::test(flavor = "multi_thread")]
async fn creates_temporary_folder_of_runner_settings() {
    let host = host().await;
    for (id, folder) in (1..).zip(["/somewhere", "/var/tmp", "/tmp/of/runner", "/run/user/0"]) {
        let mut job = host.job(id, "a");
        job.set("TMPDIR", folder);
        job.prepare();
        // The runner's scripts export all variables of the job.
        let script = format!(
            "export TMPDIR={folder}\nmktemp | grep ^{folder}/ && echo \"helper $(gitlab-runner)\""
        );
        for stage in ["get_sources", "upload_artifacts_on_success"] {
            job.script(stage, &script)
                .expect(0)
                .prints(&format!("helper {folder}/"));
        }
        job.script("build_script", "").expect(0);
        job.clean_up();
    }
    assert!(host.leftovers().is_empty(), "{:?}", host.leftovers());
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_artifacts_without_a_usable_temporary_folder() {
    let host = host().await;
    let nonsense = [
        "/usr/x",
        "/proc/x",
        "/",
        "relative",
        "/a/../../etc",
        "/etc",
        "'",
    ];
    for (id, folder) in (1..).zip(nonsense) {
        let mut job = host.job(id, "a");
        job.set("TMPDIR", folder);
        job.prepare();
        let script = format!("export TMPDIR=\"{folder}\"\nfile=$(gitlab-runner) && test -e $file");
        job.script("upload_artifacts_on_success", &script).expect(0);
        job.clean_up();
    }
    // Nor on one within the job's own folders, which its script may have removed.
    let mut job = host.job(99, "a");
    let inside = job.builds().join("gone");
    job.set("TMPDIR", inside.to_str().unwrap());
    job.prepare();
    let script = format!("export TMPDIR='{}'\ngitlab-runner", inside.display());
    job.script("upload_artifacts_on_success", &script).expect(0);
    job.clean_up();
    assert!(host.leftovers().is_empty(), "{:?}", host.leftovers());
}
