//! The system calls that have no safe wrapper, and the only unsafe code of the crate.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigHandler, SigSet, Signal};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::unistd::{ForkResult, Gid, Pid, Uid, setgroups, setresgid, setresuid};

use crate::permissions::RunAs;

/// Forks; returns `None` in the child, which must end by `std::process::exit`.
///
/// Only for the helper, which has one thread: after a fork, locks that other threads held would stay locked.
pub(crate) fn fork() -> io::Result<Option<Pid>> {
    // SAFETY: the helper is single-threaded (it forks before it starts any thread and starts none
    // afterwards), so the child may use everything the parent may.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { child } => Ok(Some(child)),
        ForkResult::Child => Ok(None),
    }
}

/// Unblocks all signals and resets their effects to the defaults, except SIGPIPE, which stays ignored. The
/// parent may have blocked or ignored some, for example SIGCHLD, without which the exit of a child goes
/// unnoticed. Must be called before a handler is set.
pub(crate) fn reset_signals() -> io::Result<()> {
    for signal in Signal::iterator() {
        if !matches!(signal, Signal::SIGKILL | Signal::SIGSTOP | Signal::SIGPIPE) {
            // SAFETY: the default action runs no code of this process.
            unsafe { nix::sys::signal::signal(signal, SigHandler::SigDfl) }?;
        }
    }
    SigSet::empty().thread_set_mask()?;
    Ok(())
}

/// Resets the scheduling of this process to that of a service, whatever it inherited: the ordinary policy,
/// niceness 0 and the default I/O priority. Must be called before another thread is started.
pub(crate) fn reset_scheduling() -> io::Result<()> {
    const IOPRIO_WHO_PROCESS: libc::c_long = 1;
    const IOPRIO_DEFAULT: libc::c_long = 0;
    // SAFETY: all fields of the structure may be 0, and the ordinary policy requires priority 0.
    let parameters: libc::sched_param = unsafe { std::mem::zeroed() };
    // SAFETY: `parameters` lives through the call, and 0 means this thread.
    let policy = unsafe { libc::sched_setscheduler(0, libc::SCHED_OTHER, &raw const parameters) };
    check(policy.into())?;
    // SAFETY: takes three numbers and touches no memory.
    check(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 0) }.into())?;
    // SAFETY: takes three numbers and touches no memory.
    let ioprio =
        unsafe { libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_DEFAULT) };
    check(ioprio).map(drop)
}

/// Mounts a read-only clone of the tree at `source` onto `target`, with its owners mapped into the user
/// namespace, so that root's files belong to the namespace's root.
pub(crate) fn mount_idmapped(
    source: &Path,
    target: &Path,
    namespace: BorrowedFd<'_>,
) -> io::Result<()> {
    let source = CString::new(source.as_os_str().as_bytes())?;
    let target = CString::new(target.as_os_str().as_bytes())?;
    let flags = libc::OPEN_TREE_CLONE | libc::O_CLOEXEC as libc::c_uint;
    // SAFETY: `source` is a valid C string for the duration of the call.
    let tree =
        unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, source.as_ptr(), flags) };
    let tree = RawFd::try_from(check(tree)?).map_err(io::Error::other)?;
    // SAFETY: the kernel just returned this descriptor and nothing else owns it.
    let tree = unsafe { OwnedFd::from_raw_fd(tree) };

    let attributes = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_IDMAP
            | libc::MOUNT_ATTR_RDONLY
            | libc::MOUNT_ATTR_NOSUID
            | libc::MOUNT_ATTR_NODEV,
        attr_clr: 0,
        propagation: 0,
        userns_fd: u64::try_from(namespace.as_raw_fd()).map_err(io::Error::other)?,
    };
    // SAFETY: the path is an empty C string, as AT_EMPTY_PATH wants it; `attributes` lives through
    // the call and its size is given.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    })?;
    // SAFETY: both paths are valid C strings for the duration of the call.
    check(unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_FDCWD,
            target.as_ptr(),
            libc::MOVE_MOUNT_F_EMPTY_PATH,
        )
    })?;
    Ok(())
}

/// Attaches a file to a loop device. The kernel frees the device as soon as it is neither open nor mounted,
/// even if this process is killed.
pub(crate) fn attach_loop(file: BorrowedFd<'_>) -> io::Result<(File, PathBuf)> {
    let config = LoopConfig::of(file)?;
    for _ in 0..LOOP_TRIES {
        let (device, path) = free_loop()?;
        // SAFETY: `config` has the layout that the request reads, and lives through the call.
        let configured =
            unsafe { libc::ioctl(device.as_raw_fd(), LOOP_CONFIGURE, &raw const config) };
        match check(configured.into()) {
            Ok(_) => return Ok((device, path)),
            // Another program took the device first.
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("other programs took every free one"))
}

/// Opens a currently free loop device.
pub(crate) fn free_loop() -> io::Result<(File, PathBuf)> {
    let control = open_device(Path::new("/dev/loop-control"))?;
    // SAFETY: the request takes no argument and returns a number.
    let number = unsafe { libc::ioctl(control.as_raw_fd(), LOOP_CTL_GET_FREE) };
    let number = check(number.into())?;
    let path = PathBuf::from(format!("/dev/loop{number}"));
    Ok((open_loop(&path, number)?, path))
}

/// How many times to retry when another program takes the free device first.
const LOOP_TRIES: usize = 64;
const LOOP_MAJOR: u64 = 7;
// linux/loop.h
const LOOP_CONFIGURE: libc::Ioctl = 0x4C0A;
const LOOP_CTL_GET_FREE: libc::Ioctl = 0x4C82;
const LO_FLAGS_AUTOCLEAR: u32 = 4;

/// `struct loop_config` of linux/loop.h, with the fields of its `struct loop_info64`.
#[repr(C)]
struct LoopConfig {
    fd: u32,
    block_size: u32,
    /// Device, inode, device number, offset, size limit.
    numbers: [u64; 5],
    number: u32,
    encryption: [u32; 2],
    flags: u32,
    file_name: [u8; 64],
    crypt_name: [u8; 64],
    encrypt_key: [u8; 32],
    init: [u64; 2],
    reserved: [u64; 8],
}

impl LoopConfig {
    fn of(file: BorrowedFd<'_>) -> io::Result<Self> {
        Ok(Self {
            fd: u32::try_from(file.as_raw_fd()).map_err(io::Error::other)?,
            block_size: 0,
            numbers: [0; 5],
            number: 0,
            encryption: [0; 2],
            flags: LO_FLAGS_AUTOCLEAR,
            file_name: [0; 64],
            crypt_name: [0; 64],
            encrypt_key: [0; 32],
            init: [0; 2],
            reserved: [0; 8],
        })
    }
}

/// Opens a loop device. In a container, `/dev` often lacks devices that were created after its start.
fn open_loop(path: &Path, number: libc::c_long) -> io::Result<File> {
    match open_device(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let minor = u64::try_from(number).map_err(io::Error::other)?;
            let mode = Mode::S_IRUSR | Mode::S_IWUSR;
            mknod(path, SFlag::S_IFBLK, mode, makedev(LOOP_MAJOR, minor))?;
            open_device(path)
        }
        opened => opened,
    }
}

fn open_device(path: &Path) -> io::Result<File> {
    let device = fs_err::OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)?;
    Ok(device.into_parts().0)
}

/// The user of a command in a user namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Identity {
    /// Root of the namespace, with a few of its capabilities.
    Root,
    /// The build user, without any capability or a way to gain one.
    User(u32),
}

/// A file system to mount.
#[derive(Clone, Debug)]
pub(crate) struct Mount {
    pub(crate) kind: CString,
    pub(crate) target: CString,
    pub(crate) options: CString,
}

/// The namespaces, mounts and descriptors of one sandbox step.
#[derive(Debug)]
pub(crate) struct StepContext {
    /// The user namespace in which the step becomes root.
    pub(crate) namespace: OwnedFd,
    /// The network namespace to join; `None`: the one of this process.
    pub(crate) network: Option<OwnedFd>,
    /// File systems to mount for this step alone, in its own mount namespace.
    pub(crate) mounts: Vec<Mount>,
    /// The only descriptors that the step inherits besides the three standard ones.
    pub(crate) inherited: Vec<OwnedFd>,
}

/// Makes the command start as root of the user namespace, without the keys and other descriptors of this
/// process.
pub(crate) fn enter(command: &mut Command, step: StepContext) {
    // SAFETY: the closure only makes system calls, allocates nothing and takes no lock; the
    // descriptors it uses are owned by it.
    unsafe {
        command.pre_exec(move || {
            new_session_keyring()?;
            unshare(CloneFlags::CLONE_NEWNS)?;
            for wanted in &step.mounts {
                let kind = Some(wanted.kind.as_c_str());
                // bubblewrap refuses devices where it binds the mount, except terminals.
                mount(
                    kind,
                    wanted.target.as_c_str(),
                    kind,
                    MsFlags::MS_NOSUID,
                    Some(wanted.options.as_c_str()),
                )?;
            }
            if let Some(network) = &step.network {
                setns(network, CloneFlags::CLONE_NEWNET)?;
            }
            setns(&step.namespace, CloneFlags::CLONE_NEWUSER)?;
            become_user(RunAs { uid: 0, gid: 0 })?;
            inherit_only(&step.inherited)
        });
    }
}

/// The bounds of a command outside a sandbox.
#[derive(Debug)]
pub(crate) struct Bounds {
    /// The files through which the command joins its cgroup.
    pub(crate) procs: Vec<File>,
    /// The bytes of memory per process, and the number of processes, where there is no cgroup.
    pub(crate) rlimits: Option<(u64, u64)>,
    /// The maximum bytes of each file.
    pub(crate) file_bytes: u64,
    /// The user of the command; `None`: the user of this process.
    pub(crate) user: Option<RunAs>,
    /// The only descriptors that the command inherits besides the three standard ones.
    pub(crate) inherited: Vec<OwnedFd>,
}

/// Makes the command start within the bounds.
pub(crate) fn confine(command: &mut Command, bounds: Bounds) {
    // SAFETY: the closure only makes system calls, allocates nothing and takes no lock; the
    // descriptors it uses are owned by it.
    unsafe {
        command.pre_exec(move || {
            for mut procs in &bounds.procs {
                procs.write_all(b"0")?;
            }
            new_session_keyring()?;
            if let Some((memory, processes)) = bounds.rlimits {
                lower_limit(Resource::RLIMIT_NPROC, processes)?;
                lower_limit(Resource::RLIMIT_AS, memory)?;
            }
            lower_limit(Resource::RLIMIT_FSIZE, bounds.file_bytes)?;
            lower_limit(Resource::RLIMIT_CORE, 0)?;
            if let Some(user) = bounds.user {
                become_user(user)?;
            }
            inherit_only(&bounds.inherited)
        });
    }
}

/// Lowers both limits of a resource to a value. A lower hard limit stays, because raising it requires
/// CAP_SYS_RESOURCE.
pub(crate) fn lower_limit(resource: Resource, value: u64) -> io::Result<()> {
    let (_, hard) = getrlimit(resource)?;
    let value = value.min(hard);
    setrlimit(resource, value, value)?;
    Ok(())
}

/// Sets the soft limit, which programs may raise again, and lowers the hard limit.
pub(crate) fn limit_softly(resource: Resource, soft: u64, hard: u64) -> io::Result<()> {
    let (_, most) = getrlimit(resource)?;
    let hard = hard.min(most);
    setrlimit(resource, soft.min(hard), hard)?;
    Ok(())
}

fn become_user(user: RunAs) -> io::Result<()> {
    setgroups(&[])?;
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    setresgid(gid, gid, gid)?;
    setresuid(uid, uid, uid)?;
    Ok(())
}

/// Sets the size of a terminal.
pub(crate) fn set_terminal_size(
    terminal: BorrowedFd<'_>,
    lines: u16,
    columns: u16,
) -> io::Result<()> {
    let size = libc::winsize {
        ws_row: lines,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: `size` has the layout that the request reads, and lives through the call.
    let result = unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
    check(result.into()).map(drop)
}

/// Replaces the session keyring, which children inherit even if they change their user.
pub(crate) fn new_session_keyring() -> io::Result<()> {
    const JOIN_SESSION_KEYRING: libc::c_long = 1;
    // SAFETY: the name of the keyring is null, which creates an anonymous one; no memory is touched.
    let result = unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            JOIN_SESSION_KEYRING,
            std::ptr::null::<libc::c_char>(),
        )
    };
    match check(result) {
        // The kernel has no keys, or a filter around this program also denies them to its children.
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => Ok(()),
        result => result.map(drop),
    }
}

/// Closes all descriptors except the three standard ones. Must run before any is opened.
pub(crate) fn close_inherited() -> io::Result<()> {
    close_range(0)
}

/// Makes the next execve(2) close all descriptors except the three standard ones and `kept`.
fn inherit_only(kept: &[OwnedFd]) -> io::Result<()> {
    // Marked, not closed: the standard library reports a failed execve(2) through one of them.
    close_range(libc::CLOSE_RANGE_CLOEXEC)?;
    for descriptor in kept {
        fcntl(descriptor, FcntlArg::F_SETFD(FdFlag::empty()))?;
    }
    Ok(())
}

fn close_range(flags: libc::c_uint) -> io::Result<()> {
    const FIRST: libc::c_uint = 3;
    // SAFETY: takes three numbers and touches no memory.
    let result = unsafe { libc::syscall(libc::SYS_close_range, FIRST, libc::c_uint::MAX, flags) };
    check(result).map(drop)
}

fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}
