//! Runs a script of the runner in an environment that holds the job's own folders and nothing else of
//! this host but `/usr`.

use std::io::{self, Read as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use buildbtw_builder::{RunAs, permission_denied};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};

use super::Host;
use super::jobs::JobFolder;
use super::processes::kill_environments_with;
use super::tmp_dir;
use crate::contract::Stage;
use crate::failure::Failure;
use crate::watch::Watch;

const BWRAP: &str = "/usr/bin/bwrap";
/// Where `gitlab-runner` appears, wherever it is on this host.
const TOOLS: &str = "/run/buildbtw";
/// Where the program itself is, under the name that it expects to have.
const HELPER: &str = "/run/buildbtw/helper/gitlab-runner";
const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin";

/// Files of this machine that programs, name resolution and TLS need.
const SHARED_FILES: &[&str] = &[
    "/etc/alternatives",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/nsswitch.conf",
];
const NETWORK_FILES: &[&str] = &[
    "/etc/ca-certificates",
    "/etc/hosts",
    "/etc/pki",
    "/etc/resolv.conf",
    "/etc/ssl",
];

/// Runs the script; its output goes where this process's goes.
pub(crate) fn run(
    host: &Host,
    folder: &JobFolder,
    script: &Path,
    stage: Stage,
    watch: &Watch,
) -> Result<(), Failure> {
    // As standard input, because the user it runs as cannot read the runner's files.
    let script = fs_err::File::open(script)?.into_parts().0;
    let (mut status, status_writer) = io::pipe()?;
    fcntl(&status_writer, FcntlArg::F_SETFD(FdFlag::empty())).map_err(io::Error::from)?;
    let accounts = accounts(host, folder)?;
    let mut command = Command::new(BWRAP);
    command
        .env_clear()
        .env("PATH", SEARCH_PATH)
        .current_dir("/")
        .stdin(script);
    // When this process is killed, the kernel kills all of it.
    command.args(["--die-with-parent", "--new-session", "--clearenv"]);
    command.arg("--json-status-fd");
    command.arg(status_writer.as_raw_fd().to_string());
    add_namespaces(&mut command, stage);
    add_files(&mut command, host, folder, stage)?;
    for (file, path) in ["/etc/passwd", "/etc/group"].iter().zip(&accounts) {
        command.arg("--ro-bind").arg(path).arg(file);
    }
    add_environment(&mut command, folder);
    command.args(["--", "/usr/bin/bash"]);
    become_script_user(&mut command, host);
    let mut child = command
        .spawn()
        .map_err(|error| Failure::not_started(Path::new(BWRAP), host.script_user, &error))?;
    drop((status_writer, command));
    let builds = folder.builds();
    // What cannot be killed now is when the job is removed.
    watch.on_loss(move || drop(kill_environments_with(&builds)));
    let ended = child.wait()?;
    let mut report = String::new();
    status.read_to_string(&mut report)?;
    match exit_code(&report) {
        Some(0) => Ok(()),
        Some(code) => Err(Failure::Build {
            message: format!("the script ended with exit code {code}"),
            exit_code: code,
        }),
        None => {
            check_permissions(host)?;
            Err(Failure::system(format!(
                "the script's environment could not be made, or was killed ({ended})"
            )))
        }
    }
}

/// Whether environments can be made at all: some machines forbid ordinary users to make namespaces.
pub(crate) fn check(host: &Host) -> Result<(), Failure> {
    let mut command = Command::new(BWRAP);
    command
        .env_clear()
        .env("PATH", SEARCH_PATH)
        .current_dir("/");
    add_namespaces(&mut command, Stage::Local);
    command.args(["--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev"]);
    command.args(["--", "/usr/bin/true"]);
    become_script_user(&mut command, host);
    let output = command
        .output()
        .map_err(|error| Failure::not_started(Path::new(BWRAP), host.script_user, &error))?;
    if output.status.success() {
        return Ok(());
    }
    Err(Failure::system(format!(
        "the environment for scripts of jobs cannot be made; does this machine let users make \
         namespaces?\n{}",
        String::from_utf8_lossy(&output.stderr).trim()
    )))
}

/// Whether the user of scripts gets to what they need.
pub(crate) fn check_permissions(host: &Host) -> Result<(), Failure> {
    let user = host.script_user;
    let helper = host.config.gitlab_runner();
    [Some(host.config.state_dir.clone()), helper]
        .into_iter()
        .flatten()
        .find_map(|path| permission_denied(&path, user))
        .map_or(Ok(()), |denied| Err(Failure::Final(denied)))
}

fn become_script_user(command: &mut Command, host: &Host) {
    if let Some(RunAs { uid, gid }) = host.script_user {
        command.uid(uid).gid(gid);
    }
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
        // Not every machine has all of them.
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
    command.args(["--tmpfs", "/tmp", "--tmpfs", "/run"]);
    let own = [folder.builds(), folder.cache(), folder.home(), folder.tmp()];
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
    if let Some(path) = tmp_dir::to_make(&own) {
        command.arg("--bind").arg(folder.tmp()).arg(path);
    }
    Ok(())
}

/// What scripts start as `gitlab-runner`. It keeps its archives in `TMPDIR`, which a job or the runner's
/// settings can set to a folder that is not there.
fn write_helper(folder: &JobFolder) -> io::Result<std::path::PathBuf> {
    let path = folder.helper();
    // There are no quotes in the paths of jobs but those that an administrator has put there.
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

/// Names for the one user there is; programs ask for them.
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

/// The script's own exit code; `None` when it was never started or did not end by itself.
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
    fn an_exit_code_is_the_script_s_own() {
        let report = "{ \"child-pid\": 7 }\n{ \"exit-code\": 3 }\n";
        assert_eq!(exit_code(report), Some(3));
        assert_eq!(exit_code("{ \"child-pid\": 7 }\n"), None);
        assert_eq!(exit_code(""), None);
    }
}
