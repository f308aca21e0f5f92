//! The runner's process: as long as it lives, so may its jobs, even while no stage of theirs runs.

use std::os::fd::OwnedFd;

use nix::unistd::{getpgrp, getppid};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::{Deserialize, Serialize};

/// What every process has in its environment that the runner started, and the runner has not.
const STARTED_BY_RUNNER: &[u8] = b"JOB_RESPONSE_FILE=";
/// Programs that may lie between the runner and this program, give what they start a session or a group
/// of its own, and live for one stage only. They are known by name where their environment is another
/// user's secret.
const BETWEEN: &[&str] = &[
    "sudo", "su", "doas", "runuser", "setpriv", "timeout", "setsid", "sh", "bash", "dash",
];
/// The first of them become another user, and may be found with an environment that they made themselves.
const CHANGE_USER: &[&str] = &["sudo", "su", "doas", "runuser"];
/// How many of them are looked through.
const MOST_BETWEEN: usize = 64;

/// A process, told apart from later ones with the same number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Process {
    pid: i32,
    /// In ticks since the boot.
    started: u64,
    boot: String,
}

/// What `/proc/<pid>/stat` says.
struct Stat {
    name: String,
    group: i32,
    parent: i32,
    started: u64,
}

impl Process {
    /// The runner that started this program, whatever lies between. It gives every executable a process
    /// group of its own, so that it is not in the group of anything it started; scripts between may make
    /// more groups.
    pub(crate) fn runner() -> Option<Self> {
        let mut pid = match stat(getpgrp().as_raw()) {
            Some(stat) => stat.parent,
            // A script that has ended since.
            None => getppid().as_raw(),
        };
        for _ in 0..MOST_BETWEEN {
            let between = stat(pid).filter(|stat| is_between(pid, &stat.name));
            let Some(between) = between else { break };
            pid = match stat(between.group) {
                Some(leader) => leader.parent,
                None => between.parent,
            };
        }
        Self::of(pid)
    }

    /// A descriptor that becomes readable when the process ends; `None` when it has ended, and where the
    /// kernel has no such descriptors.
    pub(crate) fn descriptor(&self) -> Option<OwnedFd> {
        let descriptor = pidfd_open(Pid::from_raw(self.pid)?, PidfdFlags::empty()).ok()?;
        // The number could have been given away before it was opened; now it cannot any more.
        self.is_alive().then_some(descriptor)
    }

    /// The process of this number.
    pub(crate) fn of(pid: i32) -> Option<Self> {
        Some(Self {
            pid,
            started: stat(pid)?.started,
            boot: boot()?,
        })
    }

    /// Whether it still lives.
    pub(crate) fn is_alive(&self) -> bool {
        Self::of(self.pid).is_some_and(|process| process == *self)
    }
}

fn boot() -> Option<String> {
    let id = fs_err::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned())
}

/// Whether the runner started this process, directly or not.
fn is_between(pid: i32, name: &str) -> bool {
    match fs_err::read(format!("/proc/{pid}/environ")) {
        Ok(environment) => {
            let mut variables = environment.split(|byte| *byte == 0);
            variables.any(|variable| variable.starts_with(STARTED_BY_RUNNER))
                || CHANGE_USER.contains(&name)
        }
        Err(_) => BETWEEN.contains(&name),
    }
}

fn stat(pid: i32) -> Option<Stat> {
    let text = fs_err::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before it can hold anything.
    let (name, rest) = text.rsplit_once(')')?;
    let (_, name) = name.split_once('(')?;
    let mut fields = rest.split_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    let started = fields.nth(16)?.parse().ok()?;
    // One that ended and was not waited for.
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
