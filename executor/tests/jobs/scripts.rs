//! The environment of the runner's scripts.

use nix::unistd::geteuid;

use crate::support::{Host, QUICK};

#[tokio::test(flavor = "multi_thread")]
async fn forwards_exit_code_of_script() {
    let host = Host::start(QUICK).await;
    let job = host.job(7, "a");
    job.prepare();
    job.script("after_script", "exit 7").expect(41);
    assert_eq!(fs_err::read_to_string(job.exit_code_file()).unwrap(), "7\n");
    job.script("after_script", "kill -KILL $$").expect(41);
    assert_eq!(
        fs_err::read_to_string(job.exit_code_file()).unwrap(),
        "137\n"
    );
    // Commands of a job get no input, as with the runner.
    job.script("step_other", ": | eval $'cat; echo end\\n'")
        .expect(0)
        .prints("end");
}

#[tokio::test(flavor = "multi_thread")]
async fn isolates_script_from_other_jobs() {
    let host = Host::start(QUICK).await;
    let (job, other) = (host.job(7, "a"), host.job(8, "b"));
    job.prepare();
    other.prepare();
    fs_err::write(other.builds().join("secret"), "").unwrap();
    let script = format!(
        r#"
        set -u
        fail() {{ echo "FAIL: $*"; exit 9; }}
        [[ ! -e '{other}' ]] || fail 'sees another job'
        [[ ! -e '{config}' ]] || fail 'sees the settings'
        [[ ! -e '{state}/root' ]] || fail 'sees the root side'
        [[ ! -e '{tmp}' ]] || fail 'sees the files of the runner'
        [[ ! -e '{state}/jobs/7/job.json' ]] || fail 'sees the notes of the driver'
        for folder in /home /root /var /srv /boot /sys/fs /etc/shadow /etc/ssh /etc/buildbtw; do
            [[ ! -e $folder ]] || fail "sees $folder"
        done
        env | grep -i -e CUSTOM_ENV -e JOB_RESPONSE -e TOKEN -e BUILDBTW_ && fail 'sees variables'
        [[ $(id -u) != 0 ]] || fail 'is root'
        (( $(ls -d /proc/[0-9]* | wc -l) < 12 )) || fail 'sees processes'
        touch /usr/x 2>/dev/null && fail 'changes /usr'
        unshare -Ur true 2>/dev/null && fail 'makes user namespaces'
        [[ $HOME = '{state}/jobs/7/home' && $(whoami) = buildbtw ]] || fail 'has no home'
        touch "$HOME/a" "$TMPDIR/b" '{builds}/c' '{state}/jobs/7/cache/d' || fail 'cannot write'
        grep -q '^CapEff:.*[1-9a-f]' <(sed -n 's/^CapEff:\t/CapEff:/p' /proc/self/status) && fail 'has capabilities'
        git --version && gitlab-runner && echo all is well
        "#,
        other = other.builds().display(),
        config = host.config().display(),
        state = host.state().display(),
        tmp = job.tmp.display(),
        builds = job.builds().display(),
    );
    for stage in [
        "prepare_script",
        "get_sources",
        "after_script",
        "step_release",
    ] {
        job.script(stage, &script).expect(0).prints("all is well");
    }
    if geteuid().is_root() {
        use std::os::unix::fs::MetadataExt as _;
        assert_eq!(job.builds().join("c").metadata().unwrap().uid(), 65534);
    }
    job.clean_up();
    assert!(other.builds().exists() && !job.builds().exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn allows_network_only_in_stages_that_talk_to_gitlab() {
    let host = Host::start(QUICK).await;
    let job = host.job(7, "a");
    job.prepare();
    let address = host.server.url().replace("http://", "");
    let (name, port) = address.split_once(':').unwrap();
    let connect = format!("exec 3<>/dev/tcp/{name}/{port}");
    for (stage, code) in [
        ("get_sources", 0),
        ("upload_artifacts_on_failure", 0),
        ("prepare_script", 41),
        ("after_script", 41),
        ("step_other", 41),
    ] {
        job.script(stage, &connect).expect(code);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_background_processes_with_their_stage() {
    let host = Host::start(QUICK).await;
    let job = host.job(7, "a");
    job.prepare();
    // Other runs of these tests may be active.
    let name = format!("buildbtw-test-daemon-{}", std::process::id());
    let daemon =
        format!("setsid bash -c 'exec -a {name} sleep 86400' >/dev/null 2>&1 </dev/null & disown");
    job.script("after_script", &daemon).expect(0);
    let runs = |process: std::io::Result<std::fs::DirEntry>| {
        let line = fs_err::read(process.unwrap().path().join("cmdline"));
        line.is_ok_and(|line| line.starts_with(name.as_bytes()))
    };
    // The kernel kills it with the first process of the environment, but does not wait for it.
    let wait = async {
        while std::path::Path::new("/proc").read_dir().unwrap().any(runs) {
            tokio::task::yield_now().await;
        }
    };
    let patience = std::time::Duration::from_secs(60);
    tokio::time::timeout(patience, wait).await.unwrap();
}
