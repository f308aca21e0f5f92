//! Processes of a job's environment. When its first process dies, the kernel kills all of it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(5);

/// Kills every environment that was given this folder, and waits until none is left.
pub(super) fn kill_environments_with(folder: &Path) -> std::io::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = environments_with(folder)?;
        if found.is_empty() {
            return Ok(());
        }
        for pid in &found {
            // It may be gone already.
            let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
        }
        if Instant::now() > deadline {
            return Err(std::io::Error::other(format!(
                "the processes {found:?} of {} do not end",
                folder.display()
            )));
        }
        std::thread::sleep(PAUSE);
    }
}

fn environments_with(folder: &Path) -> std::io::Result<Vec<i32>> {
    let mut found = Vec::new();
    for entry in fs_err::read_dir("/proc")? {
        let Some(pid) = entry?
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        // A process that ended meanwhile has none.
        let Ok(line) = fs_err::read(format!("/proc/{pid}/cmdline")) else {
            continue;
        };
        let mut arguments = line.split(|byte| *byte == 0);
        let program = arguments.next().unwrap_or_default();
        let is_environment = Path::new(OsStr::from_bytes(program)).file_name()
            == Some(OsStr::new("bwrap"))
            && arguments.any(|argument| argument == folder.as_os_str().as_bytes());
        if is_environment {
            found.push(pid);
        }
    }
    Ok(found)
}
