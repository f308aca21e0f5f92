//! Hostile jobs, users and files.

use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Host, PROGRAM, QUICK, StageResult, chmod, until};

#[tokio::test(flavor = "multi_thread")]
async fn rejects_malformed_job_without_side_effects() {
    let host = Host::start(QUICK).await;
    let mut job = host.job(7, "a");
    let huge = format!("{{\"id\": 7, \"x\": \"{}\"}}", "x".repeat(40 << 20));
    for response in [
        "",
        "{",
        "null",
        "[]",
        "{}",
        r#"{"id": "../../../etc"}"#,
        r#"{"id": -7}"#,
        r#"{"id": 7.5}"#,
        r#"{"id": 99999999999999999999999}"#,
        &huge,
    ] {
        job.response = response.to_owned();
        for stage in [&["config"][..], &["prepare"], &["cleanup"]] {
            let result = job.stage(stage);
            assert_eq!(
                result.code,
                Some(42),
                "{stage:?} {response:.50}: {result:?}"
            );
            assert_eq!(result.out, "");
        }
    }
    host.expect_nothing_left();
    // Fields that are missing or have another type do not matter where they are not needed.
    job.response =
        r#"{"id": 7, "variables": {"a": 1}, "runner_info": "x", "git_info": [], "features": null}"#
            .into();
    job.stage(&["config"]).expect(0);
    job.stage(&["prepare"]).expect(0);
    job.script("build_script", "")
        .expect(41)
        .prints("BUILDBTW_ATTEMPT");
    job.clean_up();
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_no_artifacts_outside_the_builds_folder() {
    let host = Host::start(QUICK).await;
    let outside = host.path("outside");
    fs_err::create_dir(&outside).unwrap();
    for (id, folder) in (1..).zip([
        "BUILDS/../../../../outside",
        "OUTSIDE",
        "BUILDS/link",
        "/",
        "relative",
        "BUILDS/./a/..",
    ]) {
        let mut job = host.job(id, "a");
        job.prepare();
        let link = format!(
            "ln -s '{}' '{}/link'",
            outside.display(),
            job.builds().display()
        );
        job.script("get_sources", &link).expect(0);
        let folder = folder
            .replace("BUILDS", job.builds().to_str().unwrap())
            .replace("OUTSIDE", outside.to_str().unwrap());
        job.set("CI_PROJECT_DIR", &folder);
        job.script("build_script", "")
            .expect(0)
            .prints("No artifacts");
        assert_eq!(job.attempt().packages.len(), 2);
        job.clean_up();
    }
    assert_eq!(outside.read_dir().unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn ignores_driver_variables_set_by_a_job() {
    let host = Host::start(QUICK).await;
    let mut job = host.job(7, "a");
    for name in [
        "CI_JOB_ID",
        "JOB_RESPONSE_FILE",
        "BUILDBTW_EXECUTOR_CONFIG",
        "BUILDBTW_SERVER",
    ] {
        job.set(name, "/nonexistent");
    }
    job.prepare();
    job.script("build_script", "").expect(0);
    job.clean_up();
}

#[tokio::test(flavor = "multi_thread")]
async fn does_not_reap_folders_of_other_users() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let host = Host::start(QUICK).await;
    let job = host.job(7, "a");
    job.stage(&["prepare"]).expect(0);
    let jobs = host.state().join("jobs");
    let kept = host.path("kept");
    fs_err::create_dir(&kept).unwrap();
    std::os::unix::fs::symlink(&kept, jobs.join("8")).unwrap();
    std::os::unix::fs::chown(&jobs, Some(12345), None).unwrap();
    StageResult::from(host.command().arg("reap").output().unwrap())
        .expect(2)
        .prints("12345");
    job.stage(&["cleanup"]).expect(42);
    job.stage(&["prepare"]).expect(42);
    assert!(kept.exists() && job.builds().exists());
    // A file that is not a folder was not created by this program.
    std::os::unix::fs::chown(&jobs, Some(0), None).unwrap();
    StageResult::from(host.command().arg("reap").output().unwrap()).expect(0);
    assert!(kept.exists() && jobs.join("8").is_symlink());
}

/// Returns the number of processes with a command line that starts with this text.
fn running(beginning: &str) -> usize {
    let processes = fs_err::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|process| fs_err::read(process.path().join("cmdline")).ok());
    lines
        .filter(|line| line.starts_with(beginning.as_bytes()))
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_processes_that_imitate_another_environment() {
    let host = Host::start(QUICK).await;
    let (first, second) = (host.job(7, "a"), host.job(8, "b"));
    first.prepare();
    let killed = first.builds().join("killed");
    // Each replaces one that was killed.
    let script = format!(
        r#"for number in {{1..20}}; do
            while :; do
                (exec -a bwrap sh -c 'read line <"$1/fifo"' '{other}' . '{other}')
                touch '{killed}'
            done &
        done
        wait"#,
        other = second.builds().display(),
        killed = killed.display(),
    );
    let script = first.write_script(&format!("mkfifo fifo; exec 8<>fifo\n{script}"));
    let mut stage = first.start(&["run", script.to_str().unwrap(), "after_script"]);
    let forged = format!(
        "bwrap\0-c\0read line <\"$1/fifo\"\0{}\0",
        second.builds().display()
    );
    until("the start of all processes", || running(&forged) >= 20).await;
    second.prepare();
    second.script("build_script", "").expect(0);
    second.clean_up();
    assert!(!killed.exists() && running(&forged) == 20);
    assert!(stage.try_wait().unwrap().is_none());
    // Its own cleanup ends them all.
    first.clean_up();
    stage.wait().unwrap();
    host.expect_nothing_left();
}

const REAP: &[u8] = b"{\"reap\":{}}\n";

/// The root side, which waits for a request.
struct RootSide(Child);

impl RootSide {
    fn start(host: &Host, command: &mut Command) -> Self {
        let child = command
            .env("BUILDBTW_EXECUTOR_CONFIG", host.config())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        Self(child.unwrap())
    }

    /// Starts it from a script, which executes `"$0" as-root`.
    fn start_through(host: &Host, script: &str) -> Self {
        Self::start(host, Command::new("bash").args(["-c", script, PROGRAM]))
    }

    /// Sends a request and waits for the end.
    fn send(mut self, input: &[u8]) -> StageResult {
        let mut stdin = self.0.stdin.take().unwrap();
        // It may stop reading before the end.
        let _ = stdin.write_all(input);
        drop(stdin);
        StageResult::from(self.0.wait_with_output().unwrap())
    }

    /// Waits until the process has brought itself into this state.
    fn expect_state<T: PartialEq + std::fmt::Debug>(&self, expected: &T, state: impl Fn(u32) -> T) {
        let id = self.0.id();
        let deadline = Instant::now() + Duration::from_secs(120);
        let is_started = || {
            let program = fs_err::read_link(format!("/proc/{id}/exe"));
            program.is_ok_and(|program| program == std::path::Path::new(PROGRAM))
        };
        while !is_started() || state(id) != *expected {
            let now = state(id);
            assert!(Instant::now() < deadline, "{now:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Sends requests to the root side as a front would.
fn send_to_root_side(host: &Host, input: &[u8]) -> StageResult {
    let mut command = Command::new(PROGRAM);
    RootSide::start(host, command.arg("as-root").env_clear()).send(input)
}

#[tokio::test(flavor = "multi_thread")]
async fn root_side_rejects_unknown_requests() {
    let host = Host::start(QUICK).await;
    let endless = vec![b'x'; 1 << 20];
    for input in [
        &b""[..],
        b"\n",
        b"{\"reap\":{}}",
        b"{\"reap\":{\"path\":\"/etc\"}}\n",
        b"{\"clean\":{\"job\":\"../../etc\"}}\n",
        b"{\"sh\":{}}\n",
        b"\xff\xfe\n",
        &endless,
    ] {
        let result = send_to_root_side(&host, input);
        assert_eq!(result.code, Some(1), "{result:?}");
        assert!(result.out.contains("request"), "{result:?}");
    }
    send_to_root_side(&host, REAP).expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn root_side_trusts_only_files_of_root() {
    let host = Host::start(QUICK).await;
    let reap = || send_to_root_side(&host, REAP);
    reap().expect(0);
    chmod(&host.config(), 0o666);
    reap().expect(1).prints("go-w");
    chmod(&host.config(), 0o644);
    chmod(&host.state(), 0o777);
    reap().expect(1).prints("go-w");
    chmod(&host.state(), 0o755);
    if nix::unistd::geteuid().is_root() {
        std::os::unix::fs::chown(host.config(), Some(65534), None).unwrap();
        reap().expect(1).prints("65534");
        std::os::unix::fs::chown(host.config(), Some(0), None).unwrap();
        std::os::unix::fs::chown(host.state(), Some(65534), None).unwrap();
        reap().expect(1).prints("65534");
        std::os::unix::fs::chown(host.state(), Some(0), None).unwrap();
    }
    // An unprivileged user whom sudo made root cannot choose the file.
    let output = Command::new(PROGRAM)
        .arg("as-root")
        .env("BUILDBTW_EXECUTOR_CONFIG", host.config())
        .env("SUDO_UID", "1000")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(!output.status.success());
    reap().expect(0);
}

/// Returns the state of the root side after it reset what it inherited: folder, core dumps, signals.
fn reset_state(pid: u32) -> (std::path::PathBuf, String, u64) {
    let read = |name| fs_err::read_to_string(format!("/proc/{pid}/{name}")).unwrap();
    let line = |text: String, name| {
        let found = text.lines().find_map(|line| line.strip_prefix(name));
        let words = found.unwrap_or_default().split_whitespace().take(2);
        words.collect::<Vec<_>>().join(" ")
    };
    (
        fs_err::read_link(format!("/proc/{pid}/cwd")).unwrap(),
        line(read("limits"), "Max core file size"),
        // Only of the standard signals; the C library uses others itself.
        u64::from_str_radix(&line(read("status"), "SigIgn:"), 16).unwrap() & 0x7fff_ffff,
    )
}

/// Returns the limits that are lower than those of a service although they could be raised, and the
/// priorities: niceness, policy, the OOM killer.
fn limits_and_priority(pid: u32) -> (Vec<String>, String) {
    let read = |name| fs_err::read_to_string(format!("/proc/{pid}/{name}")).unwrap();
    let limits = read("limits");
    // The columns have fixed widths.
    let lower = limits.lines().skip(1).filter(|line| {
        let (name, rest) = line.split_at(26);
        let mut numbers = rest.split_whitespace();
        let (soft, hard) = (numbers.next(), numbers.next());
        let expected = match name.trim() {
            "Max core file size" | "Max nice priority" | "Max realtime priority" => "0",
            "Max stack size" | "Max locked memory" => "8388608",
            "Max open files" => "65536",
            "Max msgqueue size" => "819200",
            _ => "unlimited",
        };
        soft != Some(expected) && soft != hard
    });
    let stat = read("stat");
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let [nice, policy] = [16, 38].map(|number| fields.split(' ').nth(number).unwrap());
    let score = read("oom_score_adj");
    (
        lower.map(str::to_owned).collect(),
        format!("{nice} {policy} {}", score.trim()),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn root_side_runs_with_limits_and_priority_of_a_service() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let host = Host::start(QUICK).await;
    let script = "ulimit -S -u 5; ulimit -S -l 0; ulimit -S -i 3; ulimit -S -q 0; ulimit -S -x 3; ulimit -S -n 64; \
                  ulimit -S -m 1000; ulimit -S -f 100; echo 900 >/proc/self/oom_score_adj; \
                  exec ionice -c 3 chrt --batch 0 nice -n 19 \"$0\" as-root";
    let root_side = RootSide::start_through(&host, script);
    root_side.expect_state(&(vec![], "0 0 0".to_owned()), limits_and_priority);
    let ionice = Command::new("ionice")
        .args(["-p", &root_side.0.id().to_string()])
        .output()
        .unwrap();
    let class = String::from_utf8(ionice.stdout).unwrap();
    // Newer kernels report the value of the default.
    let is_default = class.starts_with("none") || class.starts_with("best-effort: prio 4");
    assert!(is_default, "{class}");
    root_side.send(REAP).expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn root_side_resets_state_inherited_from_its_caller() {
    let host = Host::start(QUICK).await;
    let script = "cd /tmp; ulimit -S -c unlimited; trap '' TERM CHLD HUP; exec \"$0\" as-root";
    let root_side = RootSide::start_through(&host, script);
    // SIGPIPE alone stays ignored.
    let expected = ("/".into(), "0 0".to_owned(), 1 << 12);
    root_side.expect_state(&expected, reset_state);
    root_side.send(REAP).expect(0);
}
