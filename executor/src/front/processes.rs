//! Processes of a job's environment. When the first one dies, the kernel kills the others.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use buildbtw_builder::RunAs;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const KILL_TIMEOUT: Duration = Duration::from_secs(5);
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Kills every environment that contains this folder, and waits until none is left.
///
/// `script_user` is the user that scripts run as, if it is not this process's own. Processes of other users do not
/// belong to jobs, whatever their names are.
pub(super) fn kill_environments_with(
    folder: &Path,
    script_user: Option<RunAs>,
) -> std::io::Result<()> {
    let owners = owners(script_user);
    let deadline = Instant::now() + KILL_TIMEOUT;
    loop {
        let found = environments_with(folder, &owners)?;
        if found.is_empty() {
            return Ok(());
        }
        for pid in &found {
            // It may have ended already.
            let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
        }
        if Instant::now() > deadline {
            return Err(std::io::Error::other(format!(
                "the processes {found:?} of `{}` were killed, but have not ended",
                folder.display()
            )));
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}

/// Returns the processes of the environments that contain this folder.
pub(super) fn processes_with(
    folder: &Path,
    script_user: Option<RunAs>,
) -> std::io::Result<Vec<i32>> {
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    for entry in fs_err::read_dir("/proc")? {
        let name = entry?.file_name();
        // A process that has ended meanwhile has no status.
        let found = name.to_str().and_then(|name| {
            let pid = name.parse::<i32>().ok()?;
            Some((pid, Status::of(name)?.parent))
        });
        if let Some((pid, parent)) = found {
            children.entry(parent).or_default().push(pid);
        }
    }
    // Orphans become children of the first process of their environment, so following children finds them all.
    let mut found = environments_with(folder, &owners(script_user))?;
    let mut at = 0;
    while let Some(pid) = found.get(at) {
        found.extend(children.remove(pid).unwrap_or_default());
        at += 1;
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

fn owners(script_user: Option<RunAs>) -> Vec<u32> {
    let own = nix::unistd::geteuid().as_raw();
    let of_scripts = script_user.map(|user| user.uid);
    [own].into_iter().chain(of_scripts).collect()
}

fn environments_with(folder: &Path, owners: &[u32]) -> std::io::Result<Vec<i32>> {
    let Some(own) = Status::of("self") else {
        return Err(std::io::Error::other("/proc does not show this process"));
    };
    let mut found = Vec::new();
    for entry in fs_err::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some((name, pid)) = name
            .to_str()
            .and_then(|name| Some((name, name.parse().ok()?)))
        else {
            continue;
        };
        // A process that has ended meanwhile has no command line.
        let Ok(line) = fs_err::read(format!("/proc/{name}/cmdline")) else {
            continue;
        };
        let mut arguments = line.split(|byte| *byte == 0);
        let program = arguments.next().unwrap_or_default();
        let is_named_so = Path::new(OsStr::from_bytes(program)).file_name()
            == Some(OsStr::new("bwrap"))
            && arguments.any(|argument| argument == folder.as_os_str().as_bytes());
        let is_environment = |status: &Status| {
            owners.contains(&status.owner) && status.may_be_environment(own.pids.len())
        };
        if is_named_so && Status::of(name).as_ref().is_some_and(is_environment) {
            found.push(pid);
        }
    }
    Ok(found)
}

/// Fields of `/proc/<pid>/status`.
struct Status {
    /// The real user. The owner of the folder in /proc is root for many processes (proc(5)).
    owner: u32,
    parent: i32,
    /// The process number in each pid namespace, beginning with the outermost one visible to this process.
    pids: Vec<u32>,
}

impl Status {
    fn of(process: &str) -> Option<Self> {
        let status = fs_err::read_to_string(format!("/proc/{process}/status")).ok()?;
        let words = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key))?;
            Some(line.split_whitespace())
        };
        let pids = words("NSpid:")?.map(|word| word.parse().ok());
        Some(Self {
            owner: words("Uid:")?.next()?.parse().ok()?,
            parent: words("PPid:")?.next()?.parse().ok()?,
            pids: pids.collect::<Option<_>>()?,
        })
    }

    /// Returns whether this may be the process that creates an environment, or the first one in it. A script can give
    /// its processes any name, but they are at another depth: it cannot create pid namespaces.
    fn may_be_environment(&self, own_depth: usize) -> bool {
        match self.pids.len().checked_sub(own_depth) {
            Some(0) => true,
            Some(1) => self.pids.last() == Some(&1),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt as _;
    use std::process::{Child, Command, Stdio};

    use super::*;

    /// Waits with the process name of an environment with this folder.
    fn called_bwrap(folder: &Path, user: Option<u32>) -> Child {
        let mut command = Command::new("sh");
        command
            .arg0("bwrap")
            .args(["-c", "read line", "x"])
            .arg(folder);
        command.stdin(Stdio::piped());
        if let Some(user) = user {
            command.uid(user);
        }
        command.spawn().unwrap()
    }

    #[test]
    fn ignores_processes_inside_an_environment() {
        let status = |pids: &[u32]| Status {
            owner: 0,
            parent: 1,
            pids: pids.to_vec(),
        };
        assert!(status(&[70]).may_be_environment(1));
        assert!(status(&[71, 1]).may_be_environment(1));
        assert!(!status(&[72, 2]).may_be_environment(1));
        assert!(!status(&[73, 2, 1]).may_be_environment(1));
        assert!(status(&[70, 7]).may_be_environment(2));
        assert!(!status(&[70]).may_be_environment(2));
        let own = Status::of("self").unwrap();
        assert_eq!(own.pids.last(), Some(&std::process::id()));
    }

    #[test]
    fn ignores_processes_of_other_users() {
        let folder = tempfile::tempdir().unwrap();
        let mut own = called_bwrap(folder.path(), None);
        let is_root = nix::unistd::geteuid().is_root();
        let other = is_root.then(|| called_bwrap(folder.path(), Some(65_534)));
        let reaper = std::thread::spawn(move || own.wait());
        kill_environments_with(folder.path(), None).unwrap();
        assert!(!reaper.join().unwrap().unwrap().success());
        match other {
            None => println!("tried with one user only: another one needs root"),
            Some(mut other) => {
                assert!(other.try_wait().unwrap().is_none());
                other.kill().unwrap();
                other.wait().unwrap();
            }
        }
    }
}
