//! The runner's process: as long as it lives, so may its jobs, even while no stage of theirs runs.

use nix::unistd::{getpgrp, getppid};
use serde::{Deserialize, Serialize};

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
    parent: i32,
    started: u64,
}

impl Process {
    /// The runner that started this program. It gives every executable a process group of its own, so
    /// that it is the parent of the group's first process, whatever scripts lie between.
    pub(crate) fn runner() -> Option<Self> {
        let leader = getpgrp().as_raw();
        let pid = match stat(leader) {
            Some(stat) => stat.parent,
            // A script that has ended since.
            None => getppid().as_raw(),
        };
        Self::of(pid)
    }

    fn of(pid: i32) -> Option<Self> {
        Some(Self {
            pid,
            started: stat(pid)?.started,
            boot: boot()?,
        })
    }

    /// Whether it still lives.
    pub(super) fn is_alive(&self) -> bool {
        Self::of(self.pid).is_some_and(|process| process == *self)
    }
}

fn boot() -> Option<String> {
    let id = fs_err::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned())
}

fn stat(pid: i32) -> Option<Stat> {
    let text = fs_err::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before it can hold anything.
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let started = fields.nth(17)?.parse().ok()?;
    // One that ended and was not waited for.
    (state != "Z").then_some(Stat { parent, started })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_itself_and_not_another() {
        let own = i32::try_from(std::process::id()).unwrap();
        let process = Process::of(own).unwrap();
        assert!(process.is_alive());
        let earlier = Process {
            started: process.started - 1,
            ..process.clone()
        };
        assert!(!earlier.is_alive());
        let mut child = std::process::Command::new("/bin/true").spawn().unwrap();
        let child_pid = i32::try_from(child.id()).unwrap();
        let child_process = Process::of(child_pid);
        child.wait().unwrap();
        assert!(child_process.is_none_or(|process| !process.is_alive()));
    }
}
