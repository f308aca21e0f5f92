//! The helper process of one attempt. A supervisor starts a child as the first process of new pid and mount
//! namespaces and waits; the child does the work. If the parent program, the supervisor or the child dies,
//! the kernel kills every process and drops every mount.

mod accounts;
mod attempt;
mod base_of;
mod blame;
mod bwrap;
mod collect;
mod disk;
mod failures;
mod fetch;
mod files;
mod headings;
mod host_base;
mod kept_pkgbuild;
mod login;
mod login_shell;
mod makepkg;
mod mounts;
mod network;
mod pacman;
mod release;
mod root;
mod run;
mod shell;
mod skeleton;
mod srcinfo;
mod transaction;
mod unreadable_pkgbuild;
mod userns;
mod verify;

use std::io::{self, BufRead as _, Write as _};
use std::os::fd::AsFd as _;

use nix::mount::{MsFlags, mount};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::Resource;
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::{Mode, umask};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;

use self::accounts::BUILD_USER;
use self::headings::heading;
use super::id_ranges;
use super::job::{Job, Report, Task};
use crate::failure::{Context as _, Failure};
use crate::reset_process::drop_inherited;
use crate::sys;

/// The soft and hard limit of open files per process, as with systemd-nspawn.
const OPEN_FILES: (u64, u64) = (1024, 524_288);

/// The argument that turns a program into the helper.
pub(crate) const HELPER_ARGUMENT: &str = "buildbtw-sandbox-helper";

/// Turns this process into the helper of one attempt if it was started as such, and then never returns. Every
/// program that builds calls this first in `main`, before any thread exists.
pub fn run_helper_if_asked() {
    if std::env::args_os()
        .nth(1)
        .is_some_and(|a| a == HELPER_ARGUMENT)
    {
        std::process::exit(exit_code(supervise()));
    }
}

fn supervise() -> Result<(), Failure> {
    drop_inherited().context("closing inherited descriptors")?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    let job: Job = serde_json::from_str(&line)
        .map_err(|error| Failure::infrastructure(format!("reading the job: {error}")))?;
    headings::set_mark(&job.mark);

    let _held = match job.task {
        Task::Build(_) => {
            Some(id_ranges::hold(job.first_uid).context("locking the range of user ids")?)
        }
        Task::Run(_) => None,
    };
    // Users of the root must be able to read what is created here, whatever umask this process inherited.
    umask(Mode::from_bits_truncate(0o022));
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID).context("unsharing")?;
    // Later mounts are invisible outside, and disappear with the last process.
    remount_private()?;
    // The child holds the write end as long as it lives.
    let (alive, held) = io::pipe()?;
    let (parent_alive, parent_held) = io::pipe()?;
    let Some(child) = sys::fork()? else {
        drop(parent_held);
        let result = die_with_parent(&parent_alive).and_then(|()| run_job(&job));
        drop(held);
        std::process::exit(exit_code(result));
    };
    drop(held);
    wait(child, &alive)
}

fn exit_code(result: Result<(), Failure>) -> i32 {
    match result {
        Ok(()) => 0,
        Err(failure) => {
            heading(&format!("the sandbox failed: {failure}"));
            1
        }
    }
}

fn remount_private() -> Result<(), Failure> {
    let flags = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, flags, None::<&str>).context("making mounts private")
}

/// Waits for the child, and kills it when the supervisor's parent is gone.
fn wait(child: Pid, alive: &io::PipeReader) -> Result<(), Failure> {
    let stdin = io::stdin();
    loop {
        let mut watched = [
            PollFd::new(stdin.as_fd(), PollFlags::POLLIN),
            PollFd::new(alive.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut watched, PollTimeout::NONE) {
            Err(nix::Error::EINTR) => continue,
            Err(error) => return Err(error.into()),
            Ok(_) => {}
        }
        let happened = |watched: &PollFd| watched.any().unwrap_or(true);
        if happened(&watched[0]) {
            // The parent closed the pipe or died. Killing the first process of a pid namespace kills all
            // processes in it, and waiting for it waits for all of them.
            kill(child, Signal::SIGKILL)?;
        }
        if happened(&watched[0]) || happened(&watched[1]) {
            waitpid(child, None)?;
            return Ok(());
        }
    }
}

fn die_with_parent(parent: &io::PipeReader) -> Result<(), Failure> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
    // The parent may have died before the line above.
    let mut watched = [PollFd::new(parent.as_fd(), PollFlags::POLLIN)];
    if poll(&mut watched, PollTimeout::ZERO)? > 0 {
        return Err(Failure::infrastructure("the supervisor has exited"));
    }
    Ok(())
}

/// Runs the job in the child process and writes the report.
fn run_job(job: &Job) -> Result<(), Failure> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), flags, None::<&str>).context("mounting /proc")?;
    for procs in &job.cgroup_procs {
        fs_err::write(procs, "0").context("joining the cgroup")?;
    }
    set_rlimits(job)?;
    let result = match &job.task {
        Task::Build(task) => {
            set_login_uid(job);
            attempt::build(job, task)
        }
        Task::Run(command) => attempt::run(job, command).map(Report::Exited),
    };
    let report = result.unwrap_or_else(Report::Failed);
    let text = serde_json::to_vec(&report).map_err(io::Error::other)?;
    fs_err::write(&job.report, text)?;
    Ok(())
}

fn set_rlimits(job: &Job) -> Result<(), Failure> {
    if let Some(limits) = &job.rlimits {
        sys::lower_limit(Resource::RLIMIT_NPROC, limits.processes).context("limiting processes")?;
        sys::lower_limit(Resource::RLIMIT_AS, limits.memory_bytes).context("limiting memory")?;
    }
    let (soft, hard) = OPEN_FILES;
    sys::limit_softly(Resource::RLIMIT_NOFILE, soft, hard).context("limiting open files")?;
    sys::lower_limit(Resource::RLIMIT_CORE, 0).context("disabling core dumps")
}

/// Sets the login uid of the build's processes, which getlogin(3) returns. Fails without effect on kernels
/// without audit, and where it can be set only once.
fn set_login_uid(job: &Job) {
    let id = job.first_uid + BUILD_USER;
    let _ = fs_err::OpenOptions::new()
        .write(true)
        .open("/proc/self/loginuid")
        .and_then(|mut file| file.write_all(id.to_string().as_bytes()));
}
