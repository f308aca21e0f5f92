//! Notices that nobody waits for a stage any more: the runner was killed, which tells nobody and stops
//! nothing.
//!
//! `PR_SET_PDEATHSIG` is of no use here: it fires when the *thread* ends that started the process, and the
//! runner's threads come and go.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::runner::Process;

/// How often a runner is looked for where the kernel has no descriptors of processes.
const PAUSE: Duration = Duration::from_secs(1);

/// What a stage ends with whose runner is gone; nobody reads it.
pub(crate) const LOST: &str =
    "the runner of this job is gone, and everything of the job was removed";

type Action = Box<dyn FnOnce() + Send>;

/// Whether the runner is lost, and what is to be done then. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Watch {
    state: Arc<Mutex<State>>,
    runners: Arc<[Process]>,
}

#[derive(Default)]
struct State {
    is_lost: bool,
    actions: Vec<Action>,
}

impl Watch {
    /// Watches the runner, and whether somebody reads what this process prints.
    pub(crate) fn start(runners: Vec<Process>) -> Self {
        let watch = Self {
            state: Arc::default(),
            runners: runners.into(),
        };
        let watching = watch.clone();
        std::thread::spawn(move || {
            wait_for_end(&watching.runners, Some(io::stdout().as_fd()));
            watching.lose();
        });
        watch
    }

    /// Whether the runner is lost. Others may have noticed before the thread that watches.
    pub(crate) fn is_lost(&self) -> bool {
        self.state().is_lost || !self.runners.iter().all(Process::is_alive)
    }

    /// Does this when the runner gets lost; at once if it is.
    pub(crate) fn on_loss(&self, action: impl FnOnce() + Send + 'static) {
        let mut state = self.state();
        if state.is_lost {
            drop(state);
            action();
        } else {
            state.actions.push(Box::new(action));
        }
    }

    /// Notes that the runner is lost.
    pub(crate) fn lose(&self) {
        let actions = {
            let mut state = self.state();
            state.is_lost = true;
            std::mem::take(&mut state.actions)
        };
        for action in actions {
            action();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns when one of the processes has ended, or nobody reads the output any more.
pub(crate) fn wait_for_end(processes: &[Process], output: Option<BorrowedFd<'_>>) {
    let mut descriptors = Vec::new();
    let mut blind = Vec::new();
    for process in processes {
        match process.descriptor() {
            Some(descriptor) => descriptors.push(descriptor),
            None => blind.push(process),
        }
    }
    loop {
        // Without a descriptor a process is looked for, the first time right away.
        if !blind.iter().all(|process| process.is_alive()) {
            return;
        }
        let pause = (!blind.is_empty()).then_some(PAUSE);
        if wait(&descriptors, output, pause) {
            return;
        }
    }
}

/// Waits for the end of any, or for a while.
fn wait(processes: &[OwnedFd], output: Option<BorrowedFd<'_>>, pause: Option<Duration>) -> bool {
    const GONE: PollFlags = PollFlags::ERR.union(PollFlags::HUP);
    let mut watched: Vec<_> = processes
        .iter()
        .map(|process| PollFd::new(process, PollFlags::IN))
        .collect();
    if let Some(output) = output {
        // Errors are always told.
        watched.push(PollFd::from_borrowed_fd(output, PollFlags::empty()));
    }
    let pause = pause.and_then(|pause| Timespec::try_from(pause).ok());
    match poll(&mut watched, pause.as_ref()) {
        Ok(_) => watched
            .iter()
            .any(|one| one.revents().intersects(GONE | PollFlags::IN)),
        Err(rustix::io::Errno::INTR) => false,
        Err(_) => {
            // Not to be expected; not to be asked again at once either.
            std::thread::sleep(PAUSE);
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn detects_exit_while_output_stays_open() {
        let (output, input) = io::pipe().unwrap();
        let mut child = std::process::Command::new("/bin/sleep")
            .arg("86400")
            .spawn()
            .unwrap();
        let process = Process::of(i32::try_from(child.id()).unwrap()).unwrap();
        let (sender, receiver) = channel();
        let waiting = std::thread::spawn(move || {
            sender.send(()).unwrap();
            wait_for_end(&[process], Some(input.as_fd()));
        });
        receiver.recv().unwrap();
        // It is not reaped yet: a zombie counts as ended.
        child.kill().unwrap();
        waiting.join().unwrap();
        child.wait().unwrap();
        drop(output);
    }

    #[test]
    fn detects_closed_output() {
        let (output, input) = io::pipe().unwrap();
        let own = Process::of(i32::try_from(std::process::id()).unwrap()).unwrap();
        drop(output);
        wait_for_end(&[own], Some(input.as_fd()));
    }

    #[test]
    fn runs_each_callback_once() {
        let watch = Watch::default();
        let (sender, receiver) = channel();
        let (first, second) = (sender.clone(), sender);
        watch.on_loss(move || first.send(1).unwrap());
        assert!(!watch.is_lost());
        watch.lose();
        watch.lose();
        watch.on_loss(move || second.send(2).unwrap());
        assert_eq!(receiver.iter().collect::<Vec<_>>(), [1, 2]);
        assert!(watch.is_lost());
    }
}
