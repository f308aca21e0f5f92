//! An unprivileged runner with the real sudo. Needs root, sudo and a private mount namespace; the
//! machine's own settings of sudo are not touched.

use std::path::Path;
use std::process::Command;

use crate::support::{Host, PROGRAM, QUICK, StageResult, chmod};

/// Runs a shell script as the runner's user, in a mount namespace where /etc is copy-on-write.
const IN_NAMESPACE: &str = r#"
    set -eu
    mount -t tmpfs tmpfs "$1/upper"
    mkdir -m 755 "$1/upper/files" "$1/upper/work"
    mount -t overlay overlay -o "lowerdir=/etc,upperdir=$1/upper/files,workdir=$1/upper/work" /etc
    mount -t tmpfs -o mode=755 tmpfs /etc/sudoers.d
    # sudo wants to know who asks.
    echo 'runner:x:12345:12345::/:/bin/sh' >> /etc/passwd
    echo 'runner:*:19000:0:99999:7:::' >> /etc/shadow
    mkdir -p /etc/buildbtw
    printf 'root ALL=(ALL:ALL) ALL\n@includedir /etc/sudoers.d\n' > /etc/sudoers
    chmod 440 /etc/sudoers
    printf '%s' "$RULE" > /etc/sudoers.d/buildbtw-executor
    cp "$1/executor.toml" /etc/buildbtw/executor.toml
    exec setpriv --reuid 12345 --regid 12345 --clear-groups bash -c "$SCRIPT" bash
"#;

fn can_run() -> bool {
    let missing = if !nix::unistd::geteuid().is_root() {
        "root"
    } else if !Path::new("/usr/bin/sudo").exists() {
        "/usr/bin/sudo"
    } else {
        return true;
    };
    eprintln!("SKIPPED: needs {missing}");
    false
}

fn run(host: &Host, rule: &str, script: &str) -> StageResult {
    let folder = host.state().parent().unwrap().to_owned();
    let upper = folder.join("upper");
    if !upper.exists() {
        fs_err::create_dir(&upper).unwrap();
    }
    let output = Command::new("/usr/bin/unshare")
        .args([
            "--mount",
            "--propagation",
            "private",
            "bash",
            "-c",
            IN_NAMESPACE,
            "bash",
        ])
        .arg(&folder)
        .env("RULE", rule)
        .env("SCRIPT", script)
        .output()
        .unwrap();
    StageResult::from(output)
}

#[tokio::test(flavor = "multi_thread")]
async fn unprivileged_runner_builds_with_one_sudo_rule() {
    if !can_run() {
        return;
    }
    // Newer versions of sudo set the second by default.
    for settings in ["", "Defaults use_pty\n"] {
        builds_with(settings).await;
    }
}

async fn builds_with(settings_of_sudo: &str) {
    let host = Host::start(QUICK).await;
    let folder = host.state().parent().unwrap().to_owned();
    // A copy that every user can execute, even if the folder of the tests is private.
    let program = host.path("buildbtw-executor");
    fs_err::copy(PROGRAM, &program).unwrap();
    chmod(&program, 0o755);
    let settings = fs_err::read_to_string(host.config()).unwrap();
    let settings = settings.replace(
        "sudo = ''",
        &format!("sudo = '/usr/bin/sudo'\nprogram = '{}'", program.display()),
    );
    fs_err::write(host.config(), settings).unwrap();
    let job = host.job(7, "zlib");
    // The runner's own files belong to its user.
    let command = job.command(&["config"]);
    let environment: String = command
        .get_envs()
        .map(|(key, value)| format!("export {key:?}={:?}\n", value.unwrap_or_default()))
        .collect();
    std::os::unix::fs::chown(&job.tmp, Some(12345), Some(12345)).unwrap();
    let response = job.tmp.join("response.json");
    std::os::unix::fs::chown(&response, Some(12345), Some(12345)).unwrap();
    let stages = |stages: &str| {
        format!(
            "set -eu\n{environment}cd $TMPDIR\nexecutor={}\n{stages}",
            program.display()
        )
    };

    let denied = run(&host, "", &stages("exec $executor prepare"));
    denied.expect(42).prints(&format!(
        "runner ALL=(root) NOPASSWD: {} as-root",
        program.display()
    ));

    let rule = format!(
        "{settings_of_sudo}runner ALL=(root) NOPASSWD: {} as-root\n",
        program.display()
    );
    let all = format!(
        "$executor prepare\n\
         echo 'mkdir -p {project}; id -u; sudo -n true && exit 9; exit 0' > script\n\
         $executor run script get_sources\n\
         $executor run script step_script\n\
         stat -c '%u %n' {project}/buildbtw/zlib-1.0-1.1-x86_64.pkg.tar.zst\n\
         ls {root} 2>/dev/null && exit 9\n\
         sudo -n $executor as-root --help 2>/dev/null && exit 9\n\
         sudo -n $executor check 2>/dev/null && exit 9\n\
         $executor cleanup\n\
         ls -A {jobs} | wc -l",
        project = job.project().display(),
        root = host.state().join("root").display(),
        jobs = host.state().join("jobs").display(),
    );
    let result = run(&host, &rule, &stages(&all)).expect(0);
    let result = result
        .prints("12345\n")
        .prints("12345 ")
        .prints("section_start");
    assert!(result.out.ends_with("\n0\n"), "{}", result.out);
    assert_eq!(job.attempt().packages.len(), 2);
    assert!(host.leftovers().is_empty(), "{:?}", host.leftovers());

    // The runner's SIGKILL reaches the front only; the processes started by sudo end without it.
    let host_server = &host.server;
    host_server.change(|inner| inner.attempts.clear());
    let endless = fs_err::read_to_string(host.config()).unwrap();
    let endless = endless.replace("seconds = 0.0", "seconds = 86400.0");
    fs_err::write(host.config(), endless).unwrap();
    let killed = "$executor prepare\n\
                  echo > script\n\
                  set -m\n\
                  $executor run script step_script > log 2>&1 &\n\
                  until grep -q 'This build' log; do :; done\n\
                  kill -KILL -$!\n\
                  wait $! || true\n\
                  exec $executor cleanup";
    run(&host, &rule, &stages(killed)).expect(0);
    assert!(host.leftovers().is_empty(), "{:?}", host.leftovers());
    let outcomes = job.attempt().outcomes;
    let text = format!("{outcomes:?}");
    assert!(text.contains("Cancelled"), "{text}");
    assert!(folder.exists());
}
