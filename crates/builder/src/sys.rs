//! The system calls that have no safe wrapper, and nothing else: the only unsafe code of the crate.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use nix::sched::{CloneFlags, setns};
use nix::unistd::{ForkResult, Gid, Pid, Uid, setgroups, setresgid, setresuid};

/// Forks; `None` in the child, which must end by `std::process::exit`.
///
/// Only for the helper, which has one thread: after a fork, the locks that other threads held
/// would stay locked.
pub(crate) fn fork() -> io::Result<Option<Pid>> {
    // SAFETY: the helper is single-threaded (it forks before it starts any thread and starts none
    // afterwards), so the child may use everything the parent may.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { child } => Ok(Some(child)),
        ForkResult::Child => Ok(None),
    }
}

/// Mounts a read-only clone of the tree at `source` onto `target`, with its owners mapped into the
/// user namespace, so that files of root belong to the namespace's root.
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

/// Who a command is, in a user namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Identity {
    /// Root of the namespace.
    Root,
    /// The unprivileged user that builds: no capability and no way to get one.
    User(u32),
}

/// Makes the command start inside the user namespace, as `identity`.
pub(crate) fn enter_namespace(
    command: &mut Command,
    namespace: &File,
    identity: Identity,
) -> io::Result<()> {
    let namespace = namespace.as_fd().try_clone_to_owned()?;
    // SAFETY: the closure only makes system calls, allocates nothing and takes no lock; the
    // descriptor it uses is owned by it.
    unsafe {
        command.pre_exec(move || become_identity(namespace.as_fd(), identity));
    }
    Ok(())
}

fn become_identity(namespace: BorrowedFd<'_>, identity: Identity) -> io::Result<()> {
    setns(namespace, CloneFlags::CLONE_NEWUSER)?;
    setgroups(&[])?;
    let id = match identity {
        Identity::Root => 0,
        Identity::User(id) => {
            drop_bounding_set()?;
            id
        }
    };
    let (uid, gid) = (Uid::from_raw(id), Gid::from_raw(id));
    setresgid(gid, gid, gid)?;
    setresuid(uid, uid, uid)?;
    if identity != Identity::Root {
        nix::sys::prctl::set_no_new_privs()?;
    }
    Ok(())
}

fn drop_bounding_set() -> io::Result<()> {
    for capability in 0..64 {
        // SAFETY: takes two numbers and touches no memory.
        let result = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
        if result == 0 {
            continue;
        }
        let error = io::Error::last_os_error();
        // The first number that is no capability any more.
        if error.raw_os_error() == Some(libc::EINVAL) {
            return Ok(());
        }
        return Err(error);
    }
    Ok(())
}

fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}
