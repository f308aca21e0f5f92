//! Detects that the runner was killed, which does not stop the stages that it started.
//!
//! `PR_SET_PDEATHSIG` does not work here: it fires when the *thread* that started the process ends, and the
//! runner's threads are short-lived.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::runner::Process;

/// The interval at which processes are polled where the kernel does not support pidfds.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The error of a stage whose runner is gone. It appears in no job's log.
pub(crate) const LOST: &str =
    "the runner of this job is gone; the job's processes and files were removed";

type Callback = Box<dyn FnOnce() + Send>;

/// Watches the runner, and runs callbacks when it is gone. Clones share their state.
#[derive(Clone, Default)]
pub(crate) struct Watch {
    state: Arc<Mutex<State>>,
    runners: Arc<[Process]>,
}

#[derive(Default)]
struct State {
    has_runner_exited: bool,
    callbacks: Vec<Callback>,
}

impl Watch {
    /// Starts to watch the runner and the reader of this process's standard output.
    pub(crate) fn start(runners: Vec<Process>) -> Self {
        let watch = Self {
            state: Arc::default(),
            runners: runners.into(),
        };
        let watching = watch.clone();
        std::thread::spawn(move || {
            wait_for_end(&watching.runners, Some(io::stdout().as_fd()));
            watching.mark_lost();
        });
        watch
    }

    /// Returns whether the runner is gone. The watching thread might not have noticed it yet.
    pub(crate) fn has_runner_exited(&self) -> bool {
        self.state().has_runner_exited || !self.runners.iter().all(Process::is_alive)
    }

    /// Calls `callback` when the runner is gone, immediately if it already is.
    pub(crate) fn on_runner_exit(&self, callback: impl FnOnce() + Send + 'static) {
        let mut state = self.state();
        if state.has_runner_exited {
            drop(state);
            callback();
        } else {
            state.callbacks.push(Box::new(callback));
        }
    }

    /// Records that the runner is gone, and runs the callbacks.
    pub(crate) fn mark_lost(&self) {
        let callbacks = {
            let mut state = self.state();
            state.has_runner_exited = true;
            std::mem::take(&mut state.callbacks)
        };
        for callback in callbacks {
            callback();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns when one of the processes has ended, or the reader of the output is gone.
pub(crate) fn wait_for_end(processes: &[Process], output: Option<BorrowedFd<'_>>) {
    let mut descriptors = Vec::new();
    let mut polled = Vec::new();
    for process in processes {
        match process.descriptor() {
            Some(descriptor) => descriptors.push(descriptor),
            None => polled.push(process),
        }
    }
    loop {
        // Processes without a descriptor are polled, the first time immediately.
        if !polled.iter().all(|process| process.is_alive()) {
            return;
        }
        let pause = (!polled.is_empty()).then_some(POLL_INTERVAL);
        if wait(&descriptors, output, pause) {
            return;
        }
    }
}

/// Waits until one of the processes or the output's reader is gone, or `pause` has passed. Returns whether one is.
fn wait(processes: &[OwnedFd], output: Option<BorrowedFd<'_>>, pause: Option<Duration>) -> bool {
    const GONE: PollFlags = PollFlags::ERR.union(PollFlags::HUP);
    let mut watched: Vec<_> = processes
        .iter()
        .map(|process| PollFd::new(process, PollFlags::IN))
        .collect();
    if let Some(output) = output {
        // Errors are always reported, without being requested.
        watched.push(PollFd::from_borrowed_fd(output, PollFlags::empty()));
    }
    let pause = pause.and_then(|pause| Timespec::try_from(pause).ok());
    match poll(&mut watched, pause.as_ref()) {
        Ok(_) => watched
            .iter()
            .any(|one| one.revents().intersects(GONE | PollFlags::IN)),
        Err(rustix::io::Errno::INTR) => false,
        Err(_) => {
            // Unexpected, but must not become a busy loop.
            std::thread::sleep(POLL_INTERVAL);
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
        // The child is not reaped yet: a zombie counts as ended.
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
        watch.on_runner_exit(move || first.send(1).unwrap());
        assert!(!watch.has_runner_exited());
        watch.mark_lost();
        watch.mark_lost();
        watch.on_runner_exit(move || second.send(2).unwrap());
        assert_eq!(receiver.iter().collect::<Vec<_>>(), [1, 2]);
        assert!(watch.has_runner_exited());
    }
}
