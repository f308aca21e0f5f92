//! The runner's process. While it is alive, its jobs are too, even between their stages.

use std::os::fd::OwnedFd;

use nix::unistd::{getpgrp, getppid};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::{Deserialize, Serialize};

/// A variable that the environment of every process started by the runner has, and the runner's own has not.
const STARTED_BY_RUNNER: &[u8] = b"JOB_RESPONSE_FILE=";
/// Programs that may run between the runner and this program, create a session or process group, and live for one
/// stage only. They are recognized by name where another user's environment cannot be read.
const INTERMEDIATES: &[&str] = &[
    "sudo", "su", "doas", "runuser", "setpriv", "timeout", "setsid", "sh", "bash", "dash",
];
/// Those of them that change the user, and may have replaced their environment.
const CHANGE_USER: &[&str] = &["sudo", "su", "doas", "runuser"];
/// The largest number of them that is followed.
const MAX_INTERMEDIATES: usize = 64;

/// A process, distinguished from later ones with the same number by its start time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Process {
    pid: i32,
    /// Start time in clock ticks since boot.
    started: u64,
    boot: String,
}

/// Fields of `/proc/<pid>/stat`.
struct Stat {
    name: String,
    group: i32,
    parent: i32,
    started: u64,
}

impl Process {
    /// Finds the runner that started this program, directly or through other programs. The runner starts every
    /// executable in a process group of its own, so the parent of the group's leader is the runner or a program
    /// between.
    pub(crate) fn runner() -> Option<Self> {
        let mut pid = match stat(getpgrp().as_raw()) {
            Some(stat) => stat.parent,
            // The group's leader has ended.
            None => getppid().as_raw(),
        };
        for _ in 0..MAX_INTERMEDIATES {
            let between = stat(pid).filter(|stat| is_intermediate(pid, &stat.name));
            let Some(between) = between else { break };
            pid = match stat(between.group) {
                Some(leader) => leader.parent,
                None => between.parent,
            };
        }
        Self::of(pid)
    }

    /// Opens a descriptor that becomes readable when the process ends. Returns `None` when it has ended or the
    /// kernel does not support them.
    pub(crate) fn descriptor(&self) -> Option<OwnedFd> {
        let descriptor = pidfd_open(Pid::from_raw(self.pid)?, PidfdFlags::empty()).ok()?;
        // The number could have been reused before the descriptor was opened, but not afterwards.
        self.is_alive().then_some(descriptor)
    }

    /// Returns the process with this number if it exists.
    pub(crate) fn of(pid: i32) -> Option<Self> {
        Some(Self {
            pid,
            started: stat(pid)?.started,
            boot: boot()?,
        })
    }

    /// Returns whether the process has not ended.
    pub(crate) fn is_alive(&self) -> bool {
        Self::of(self.pid).is_some_and(|process| process == *self)
    }
}

fn boot() -> Option<String> {
    let id = fs_err::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned())
}

/// Returns whether the runner started this process, directly or indirectly.
fn is_intermediate(pid: i32, name: &str) -> bool {
    match fs_err::read(format!("/proc/{pid}/environ")) {
        Ok(environment) => {
            let mut variables = environment.split(|byte| *byte == 0);
            variables.any(|variable| variable.starts_with(STARTED_BY_RUNNER))
                || CHANGE_USER.contains(&name)
        }
        Err(_) => INTERMEDIATES.contains(&name),
    }
}

fn stat(pid: i32) -> Option<Stat> {
    let text = fs_err::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may contain any characters, also `)` and spaces.
    let (name, rest) = text.rsplit_once(')')?;
    let (_, name) = name.split_once('(')?;
    let mut fields = rest.split_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    let started = fields.nth(16)?.parse().ok()?;
    // A zombie has ended.
    (state != "Z").then(|| Stat {
        name: name.to_owned(),
        group,
        parent,
        started,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifies_process_by_start_time() {
        let own = i32::try_from(std::process::id()).unwrap();
        let process = Process::of(own).unwrap();
        assert!(process.is_alive());
        let earlier = Process {
            started: process.started - 1,
            ..process.clone()
        };
        assert!(!earlier.is_alive() && earlier.descriptor().is_none());
        assert!(process.descriptor().is_some());
        let mut child = std::process::Command::new("/bin/true").spawn().unwrap();
        let child_pid = i32::try_from(child.id()).unwrap();
        let child_process = Process::of(child_pid);
        child.wait().unwrap();
        assert!(child_process.is_none_or(|process| !process.is_alive()));
    }
}
