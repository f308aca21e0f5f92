//! Runs a script of the runner in an environment that contains only the job's own folders and the host's `/usr`.

use std::fs::File;
use std::io::{self, PipeWriter, Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::thread::JoinHandle;

use buildbtw_builder::{Confinement, permission_denied};

use super::deleted_files::DeletedFiles;
use super::disk::{DiskWatch, LimitExceeded};
use super::jobs::JobFolder;
use super::processes::kill_environments_with;
use super::{Host, is_root, tmp_dir, wait_for};
use crate::contract::Stage;
use crate::explanations;
use crate::failure::Failure;
use crate::watch::Watch;

const BWRAP: &str = "/usr/bin/bwrap";
/// The folder of `gitlab-runner` in the environment, wherever it is on the host.
const TOOLS: &str = "/run/buildbtw";
/// The path of the program itself, under the name that it expects.
const HELPER: &str = "/run/buildbtw/helper/gitlab-runner";
const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin";

/// Files of this host that all programs need.
const SHARED_FILES: &[&str] = &[
    "/etc/alternatives",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/nsswitch.conf",
];
/// Files of this host that name resolution and TLS need.
const NETWORK_FILES: &[&str] = &[
    "/etc/ca-certificates",
    "/etc/hosts",
    "/etc/pki",
    "/etc/resolv.conf",
    "/etc/ssl",
];

/// The tmpfs mounts: path, size in bytes, mode.
const IN_MEMORY: [(&str, &str, &str); 3] = [
    ("/dev/shm", "67108864", "1777"),
    ("/run", "67108864", "0755"),
    ("/tmp", "268435456", "1777"),
];
/// The exit code of a script that was killed together with its environment.
const KILLED: i32 = 137;

/// Runs the script, whose output goes to this process's.
pub(crate) fn run(
    host: &Host,
    folder: &JobFolder,
    script: &Path,
    stage: Stage,
    watch: &Watch,
) -> Result<(), Failure> {
    // The script is standard input, because its user cannot read the runner's files.
    let script = fs_err::File::open(script)?.into_parts().0;
    let (mut status, status_writer) = io::pipe()?;
    let confinement = confinement(host, &folder.limits())?;
    let mut command = command(host, folder, stage, &status_writer)?;
    command
        .stdin(script)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    confinement.apply(&mut command, vec![status_writer.into()])?;
    command.args(["--", "/usr/bin/bash"]);
    let mut child = command
        .spawn()
        .map_err(|error| Failure::not_started(Path::new(BWRAP), host.script_user, &error))?;
    // Closes the write end of the status pipe, so that reading it ends.
    drop(command);
    let output = [
        forward(child.stdout.take(), io::stdout().as_fd())?,
        forward(child.stderr.take(), io::stderr().as_fd())?,
    ];
    let (builds, script_user) = (folder.builds(), host.script_user);
    // Processes that cannot be killed now are killed when the job is removed.
    let kill = move || drop(kill_environments_with(&builds, script_user));
    let limit = host.config.limits.limits().disk_bytes;
    let deleted = DeletedFiles::of(folder.builds(), host.script_user);
    let disk = DiskWatch::start(folder.own().to_vec(), Some(deleted), limit, kill.clone());
    watch.on_runner_exit(kill);
    let exit_status = child.wait()?;
    kill_environments_with(&folder.builds(), host.script_user)?;
    for thread in output.into_iter().flatten() {
        // Output that could not be forwarded has no reader.
        let _ = thread.join();
    }
    let mut report = String::new();
    status.read_to_string(&mut report)?;
    let code = exit_code(&report);
    let excess = disk.end();
    let exceeded = remove_cgroup(confinement)?;
    if let Some(excess) = excess {
        let code = code.filter(|code| *code != 0);
        return Err(Failure::Build {
            explanation: disk_limit_message(limit, excess).into(),
            exit_code: code.unwrap_or(KILLED),
        });
    }
    outcome(host, code, exceeded, exit_status)
}

/// Returns the result of a script within the disk limit. There is no exit code when it never started or was killed.
fn outcome(
    host: &Host,
    code: Option<i32>,
    exceeded: Option<String>,
    exit_status: ExitStatus,
) -> Result<(), Failure> {
    match (code, exceeded) {
        (None, None) => {
            check_permissions(host)?;
            Err(Failure::system(explanations::script_died(exit_status)))
        }
        (code, exceeded) => exit_result(code.unwrap_or(KILLED), exceeded),
    }
}

/// Returns the command for the script's environment, without the program that runs in it. bubblewrap writes its
/// report to `status`.
fn command(
    host: &Host,
    folder: &JobFolder,
    stage: Stage,
    status: &PipeWriter,
) -> Result<Command, Failure> {
    let accounts = accounts(host, folder)?;
    let mut command = Command::new(BWRAP);
    command
        .env_clear()
        .env("PATH", SEARCH_PATH)
        .current_dir("/");
    // The kernel kills the environment together with this process, unless it has only just been started.
    command.args(["--die-with-parent", "--new-session", "--clearenv"]);
    command.arg("--json-status-fd");
    command.arg(status.as_raw_fd().to_string());
    add_namespaces(&mut command, stage);
    add_files(&mut command, host, folder, stage)?;
    for (file, path) in ["/etc/passwd", "/etc/group"].iter().zip(&accounts) {
        command.arg("--ro-bind").arg(path).arg(file);
    }
    // bubblewrap limits the size of neither, and scripts could write to both. Nothing is created there afterwards.
    command.args(["--remount-ro", "/dev", "--remount-ro", "/"]);
    add_environment(&mut command, folder);
    Ok(command)
}

/// Forwards the output of a script in a thread. The runner waits for all processes that hold its pipes: a script that
/// held them and outlived this process would delay the cleanup that kills it.
fn forward(
    from: Option<impl io::Read + Send + 'static>,
    to: BorrowedFd<'_>,
) -> io::Result<Option<JoinHandle<()>>> {
    // Bypasses the buffer of the standard library, so that output appears immediately.
    let mut to = File::from(to.try_clone_to_owned()?);
    Ok(from.map(|mut from| {
        std::thread::spawn(move || {
            // When the runner stops reading, the script's next write fails.
            let _ = io::copy(&mut from, &mut to);
        })
    }))
}

fn disk_limit_message(limit: u64, excess: LimitExceeded) -> String {
    match excess {
        LimitExceeded::Folders => {
            format!("the disk limit of {limit} bytes was exceeded by files of the job's scripts")
        }
        LimitExceeded::FileSystem(lost) => format!(
            "the file system of the job's folders has lost {lost} bytes since the script began, and the disk limit is \
             {limit} bytes: unreadable folders or removed files that are open may use them"
        ),
    }
}

fn exit_result(exit_code: i32, exceeded: Option<String>) -> Result<(), Failure> {
    if exit_code == 0 {
        return Ok(());
    }
    let mut message = format!("the script ended with exit code {exit_code}");
    if let Some(limit) = exceeded {
        message = format!("{limit}; {message}");
    }
    Err(Failure::Build {
        explanation: message.into(),
        exit_code,
    })
}

/// Returns the confinement of a script, with the limits of a build. Only root can create cgroups.
fn confinement(host: &Host, folder: &Path) -> io::Result<Confinement> {
    let limits = host.config.limits.limits();
    let user = host.script_user;
    if host.config.limits.cgroups && is_root() {
        Confinement::with_cgroup(limits, user, folder)
    } else {
        Ok(Confinement::without_cgroup(limits, user))
    }
}

/// Removes the cgroup of a script that has ended, and returns the limit that it exceeded.
fn remove_cgroup(confinement: Confinement) -> io::Result<Option<String>> {
    let exceeded = confinement.exceeded();
    if let Err(error) = wait_for(confinement.remove())? {
        // The removal of the job tries again.
        let _ = writeln!(io::stderr(), "WARNING: {error}");
    }
    Ok(exceeded)
}

/// Checks whether environments can be created: some hosts forbid ordinary users to create namespaces.
pub(crate) fn check(host: &Host) -> Result<(), Failure> {
    let mut command = Command::new(BWRAP);
    command
        .env_clear()
        .env("PATH", SEARCH_PATH)
        .current_dir("/");
    add_namespaces(&mut command, Stage::Local);
    command.args(["--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev"]);
    let limits = host.config.limits.limits();
    Confinement::without_cgroup(limits, host.script_user).apply(&mut command, Vec::new())?;
    command.args(["--", "/usr/bin/true"]);
    let output = command
        .output()
        .map_err(|error| Failure::not_started(Path::new(BWRAP), host.script_user, &error))?;
    if output.status.success() {
        return Ok(());
    }
    let reason = String::from_utf8_lossy(&output.stderr);
    Err(Failure::system(explanations::no_script_environment(
        reason.trim(),
    )))
}

/// Checks that the user of scripts has access to the state folder and gitlab-runner.
pub(crate) fn check_permissions(host: &Host) -> Result<(), Failure> {
    let user = host.script_user;
    let helper = host.config.gitlab_runner();
    [Some(host.config.state_dir.clone()), helper]
        .into_iter()
        .flatten()
        .find_map(|path| permission_denied(&path, user))
        .map_or(Ok(()), |denied| Err(denied.into()))
}

fn add_namespaces(command: &mut Command, stage: Stage) {
    command.args([
        "--unshare-user",
        "--disable-userns",
        "--unshare-pid",
        "--unshare-ipc",
        "--unshare-uts",
        "--unshare-cgroup-try",
        "--hostname",
        "buildbtw",
    ]);
    if !has_network(stage) {
        command.arg("--unshare-net");
    }
}

fn has_network(stage: Stage) -> bool {
    match stage {
        Stage::Transfer => true,
        Stage::Local | Stage::Build => false,
    }
}

fn add_files(
    command: &mut Command,
    host: &Host,
    folder: &JobFolder,
    stage: Stage,
) -> io::Result<()> {
    command.args(["--ro-bind", "/usr", "/usr"]);
    for name in ["bin", "sbin", "lib", "lib64"] {
        // Not every distribution has all of them.
        if Path::new("/usr").join(name).is_dir() {
            command.args(["--symlink", &format!("usr/{name}"), &format!("/{name}")]);
        }
    }
    let network: &[&str] = if has_network(stage) {
        NETWORK_FILES
    } else {
        &[]
    };
    for file in SHARED_FILES.iter().chain(network) {
        command.args(["--ro-bind-try", file, file]);
    }
    command.args(["--proc", "/proc", "--dev", "/dev"]);
    for (folder, bytes, mode) in IN_MEMORY {
        command.args(["--perms", mode, "--size", bytes, "--tmpfs", folder]);
    }
    let own = folder.own();
    for path in &own {
        command.arg("--bind").arg(path).arg(path);
    }
    if let Some(program) = host.config.gitlab_runner() {
        command.arg("--ro-bind").arg(program).arg(HELPER);
        command
            .arg("--ro-bind")
            .arg(write_helper(folder)?)
            .arg(format!("{TOOLS}/gitlab-runner"));
    }
    if let Some(path) = tmp_dir::to_create(&own) {
        command.arg("--bind").arg(folder.tmp()).arg(path);
    }
    Ok(())
}

/// Writes the wrapper that scripts run as `gitlab-runner`. The program writes its archives to `TMPDIR`, which a job or
/// the runner's settings can set to a folder that does not exist.
fn write_helper(folder: &JobFolder) -> io::Result<std::path::PathBuf> {
    let path = folder.helper();
    // The administrator's state folder may contain quotes.
    let tmp = folder.tmp().display().to_string().replace('\'', "'\\''");
    let text = format!(
        "#!/bin/bash\n[[ -d $TMPDIR && -w $TMPDIR ]] || export TMPDIR='{tmp}'\nexec {HELPER} \"$@\"\n"
    );
    fs_err::write(&path, text)?;
    fs_err::set_permissions(&path, PermissionsExt::from_mode(0o755))?;
    Ok(path)
}

fn add_environment(command: &mut Command, folder: &JobFolder) {
    command.args(["--setenv", "PATH", &format!("{TOOLS}:{SEARCH_PATH}")]);
    for (name, value) in [
        ("LANG", "C.UTF-8"),
        ("SHELL", "/bin/bash"),
        ("TERM", "dumb"),
        ("USER", "buildbtw"),
    ] {
        command.args(["--setenv", name, value]);
    }
    command.args(["--setenv", "HOME"]).arg(folder.home());
    command.args(["--setenv", "TMPDIR"]).arg(folder.tmp());
    command.arg("--chdir").arg(folder.builds());
}

/// Writes the account files with the environment's only user, whose name programs look up.
fn accounts(host: &Host, folder: &JobFolder) -> io::Result<[std::path::PathBuf; 2]> {
    let (uid, gid) = host.script_user.map_or_else(
        || {
            let (uid, gid) = (nix::unistd::getuid(), nix::unistd::getgid());
            (uid.as_raw(), gid.as_raw())
        },
        |user| (user.uid, user.gid),
    );
    let home = folder.home();
    let passwd = format!(
        "root:x:0:0:root:/root:/bin/bash\nbuildbtw:x:{uid}:{gid}:buildbtw:{}:/bin/bash\n",
        home.display()
    );
    let group = format!("root:x:0:\nbuildbtw:x:{gid}:\n");
    let paths = folder.accounts();
    for (path, text) in paths.iter().zip([passwd, group]) {
        fs_err::write(path, text)?;
    }
    Ok(paths)
}

/// Returns the script's own exit code, or `None` when it never started or was killed.
fn exit_code(report: &str) -> Option<i32> {
    report
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .find_map(|value| value.get("exit-code")?.as_i64())
        .and_then(|code| i32::try_from(code).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_on_exit_code_of_script() {
        let report = "{ \"child-pid\": 7 }\n{ \"exit-code\": 3 }\n";
        assert_eq!(exit_code(report), Some(3));
        assert_eq!(exit_code("{ \"child-pid\": 7 }\n"), None);
        assert_eq!(exit_code(""), None);
    }
}
