//! Builds in the real sandbox. They need root and the tools; elsewhere they print that they are
//! skipped.

use std::path::Path;
use std::process::Command;

use buildbtw_fake_server::build;
use buildbtw_model::api::{Outcome, Repository};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use crate::stopping::pid_of;
use crate::support::{Host, Job, StageResult};

async fn host() -> Option<Host> {
    let host = Host::start("").await;
    let result = StageResult::from(host.command().arg("check").output().unwrap());
    if result.code != Some(0) {
        eprintln!("SKIPPED: {}", result.err);
        return None;
    }
    Some(host)
}

/// Returns a job for a package with this body of `package()`.
pub(crate) fn job<'a>(host: &'a Host, id: u64, package: &str) -> Job<'a> {
    let source = host.path(&format!("source{id}"));
    fs_err::create_dir(&source).unwrap();
    let pkgbuild =
        format!("pkgname=hello\npkgver=1.0\npkgrel=1\narch=(any)\npackage() {{\n{package}\n}}\n");
    fs_err::write(source.join("PKGBUILD"), pkgbuild).unwrap();
    let repository = host.path("repository");
    fs_err::create_dir_all(&repository).unwrap();
    let git = "bsdtar -czf ../repository/space.db -T /dev/null && git init -q && git add . && git -c user.name=t -c user.email=t@localhost commit -qm 1 \
               && git rev-parse HEAD";
    let output = Command::new("/usr/bin/bash")
        .args(["-c", git])
        .current_dir(&source)
        .output()
        .unwrap();
    let mut build = build("hello");
    build.packages.truncate(1);
    build.packages[0].architecture = "any".parse().unwrap();
    build.source.clone_url = source.to_str().unwrap().into();
    build.repositories = vec![Repository {
        name: "space".parse().unwrap(),
        servers: vec![format!("file://{}", repository.display())],
        sig_level: "Optional TrustAll".into(),
    }];
    let commit = String::from_utf8(output.stdout).unwrap();
    build.source.commit = commit.trim().parse().unwrap();
    build.pkgrel = Some("1.1".into());
    host.job_for(id, &build)
}

pub(crate) fn cgroups_of(job: &Job<'_>) -> usize {
    let name = format!("buildbtw-{}", job.attempt.unwrap());
    let find = Command::new("/usr/bin/find")
        .args(["/sys/fs/cgroup", "-name", &name])
        .output()
        .unwrap();
    find.stdout.iter().filter(|byte| **byte == b'\n').count()
}

#[tokio::test(flavor = "multi_thread")]
async fn builds_package_from_its_commit() {
    let Some(host) = host().await else { return };
    let script = "id -u; env; ls -A / /root /home /var/lib || true; install -D /dev/null \"$pkgdir/usr/share/hello\"";
    let job = job(&host, 1, script);
    job.prepare();
    let result = job
        .script("build_script", "")
        .expect(0)
        .prints("hello-1.0-1.1-any.pkg.tar")
        .prints("creating a clean root");
    assert!(!result.out.contains(crate::support::ID_TOKEN));
    assert!(!result.out.contains("bbtw_") && !result.out.contains("buildbtw-executor"));
    let attempt = job.attempt();
    assert!(matches!(attempt.outcomes[..], [Outcome::Succeeded { .. }]));
    let kept = String::from_utf8_lossy(attempt.pkgbuild.as_deref().unwrap());
    assert!(kept.contains("pkgrel=1.1\n"), "{kept}");
    assert_eq!(cgroups_of(&job), 0);
    job.clean_up();
    assert!(host.leftovers().is_empty(), "{:?}", host.leftovers());
}

#[tokio::test(flavor = "multi_thread")]
async fn fails_broken_package_with_its_first_errors() {
    let Some(host) = host().await else { return };
    let job = job(&host, 1, "echo 'x.c:3:1: error: boom'; return 4");
    job.prepare();
    job.script("step_script", "")
        .expect(41)
        .prints("The build failed: ")
        .prints("boom");
    job.clean_up();
    assert!(host.leftovers().is_empty(), "{:?}", host.leftovers());
}

/// Returns the lines of a job's log, without colours.
fn lines(log: &str) -> Vec<String> {
    let mut pieces = log.split("\x1b[");
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let end = piece.find(|c: char| c.is_ascii_alphabetic()).unwrap();
        text.push_str(&piece[end + 1..]);
    }
    text.split(['\n', '\r']).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn package_output_cannot_forge_or_hide_log_lines() {
    let Some(host) = host().await else { return };
    let forged = r#"
        printf '\033[1;34m==> collecting the packages\033[0m\n'
        printf '\033[1;34mPackages:\033[0m\n  evil\nRepository: http://evil\n'
        printf '\u200bBuild: http://evil\n10%%\r==> verifying the installed packages\n'
        printf '\033[8m\033[30;40mconcealed\n'
        install -D /dev/null "$pkgdir/usr/share/hello"; printf '\033[48;5;0;7;8;1m\033[30;40m'"#;
    let built = job(&host, 1, forged);
    built.prepare();
    let result = built.script("build_script", "").expect(0);
    let shown = lines(&result.out);
    let count = |beginning: &str| {
        let found = shown.iter().filter(|line| line.starts_with(beginning));
        found.count()
    };
    for ours in [
        "==> collecting the packages",
        "==> verifying the installed packages",
        "Packages:",
        "Repository: ",
        "Build: ",
    ] {
        assert!(count(ours) <= 1, "{ours}: {}", result.out);
    }
    assert_eq!(count("Repository: http://evil"), 0);
    assert!(result.out.contains("concealed"));
    for hidden in ["\x1b[8m", "\x1b[30;40m", "\x1b[30m", ";40m", "8;1m", "48;5"] {
        assert!(!result.out.contains(hidden), "{hidden:?} {:?}", result.out);
    }
    // No line of the package leaves its colour to the next one.
    for line in result.out.lines() {
        let last = line.rsplit_once("\x1b[").map(|(_, style)| style);
        let is_plain = last.is_none_or(|style| style.starts_with("0m") || style.starts_with("0K"));
        assert!(is_plain, "{line:?}");
    }
    built.clean_up();

    let failing =
        "printf '\\033[1;8mx\\n'; echo 'Repository: http://evil'; printf '\\033[8m'; return 4";
    let broken = job(&host, 2, failing);
    broken.prepare();
    let result = broken.script("build_script", "").expect(41);
    let all = [lines(&result.out), lines(&result.err)].concat();
    let forged = |line: &String| line.starts_with("Repository: ");
    assert!(!all.iter().any(forged), "{result:?}");
    assert!(result.err.starts_with("\x1b[0;1;31mERROR: "), "{result:?}");
    broken.clean_up();
}

#[tokio::test(flavor = "multi_thread")]
async fn leaves_nothing_when_any_process_of_the_sandbox_is_killed() {
    let Some(host) = host().await else { return };
    // Other runs of these tests may be active.
    let seconds = format!("98{:07}", std::process::id());
    let endless = format!(
        "echo it is running; trap '' TERM; setsid sleep {seconds} & setsid sleep {seconds}"
    );
    let sleeping = format!("sleep\0{seconds}\0");
    for (id, whom) in (1..).zip(["front gently", "front", "root side", "runner"]) {
        let job = job(&host, id, &endless);
        job.prepare();
        let script = job.write_script("");
        let arguments = ["run", script.to_str().unwrap(), "build_script"];
        let child = match whom {
            "runner" => job.start_with_runner(&arguments),
            _ => job.start(&arguments),
        };
        let attempt = job.attempt.unwrap();
        let running = b"\nit is running";
        host.server
            .until("the package's code", |inner| {
                let log = inner.attempts.get(&attempt).map(|a| a.log.as_slice());
                log.is_some_and(|log| log.windows(running.len()).any(|part| part == running))
            })
            .await;
        match whom {
            "front gently" => killpg(pid_of(&child), Signal::SIGTERM).unwrap(),
            "front" => killpg(pid_of(&child), Signal::SIGKILL).unwrap(),
            "runner" => kill(pid_of(&child), Signal::SIGKILL).unwrap(),
            _ => {
                let note = host.state().join(format!("root/jobs/{id}/pid"));
                let pid: i32 = fs_err::read_to_string(note).unwrap().parse().unwrap();
                kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
            }
        }
        child.wait_with_output().unwrap();
        if whom != "runner" {
            job.clean_up();
        }
        assert!(
            host.leftovers().is_empty(),
            "{whom}: {:?}",
            host.leftovers()
        );
        assert_eq!(cgroups_of(&job), 0, "{whom}");
        for process in Path::new("/proc").read_dir().unwrap() {
            let line = fs_err::read(process.unwrap().path().join("cmdline"));
            let is_left = line.is_ok_and(|line| line == sleeping.as_bytes());
            assert!(!is_left, "{whom}");
        }
    }
}
