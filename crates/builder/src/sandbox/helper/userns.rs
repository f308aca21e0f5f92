//! The namespaces of a sandbox: its user namespace has a range of ids that no user of the host has.

use std::fs::File;
use std::io::{self, Read as _, Write as _};

use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use super::failures::{self, MAXIMUM};
use crate::failure::Failure;
use crate::sandbox::id_ranges::RANGE;
use crate::sys;

/// Creates a user namespace that maps id 0 to `first_uid`, and in which no further one can be created. It
/// exists as long as the file is open.
pub(super) fn create(first_uid: u32) -> Result<File, Failure> {
    let (mut ready, mut say_ready) = io::pipe()?;
    let (mut done, say_done) = io::pipe()?;
    let Some(child) = sys::fork()? else {
        drop((ready, say_done));
        let ok = unshare(CloneFlags::CLONE_NEWUSER).is_ok() && say_ready.write_all(b"1").is_ok();
        drop(say_ready);
        // Waits until its namespace was opened: end of file.
        let _ = done.read(&mut [0]);
        // Other processes in the namespace cannot revert this, which requires CAP_SYS_RESOURCE.
        let ok = ok && fs_err::write(MAXIMUM, "0").is_ok();
        std::process::exit(i32::from(!ok));
    };
    drop((say_ready, done));
    let opened = open(&mut ready, child, first_uid);
    drop(say_done);
    let status = waitpid(child, None)?;
    let opened = opened?;
    if status != WaitStatus::Exited(child, 0) {
        return Err(failures::nested_namespaces());
    }
    Ok(opened)
}

/// Creates a network namespace that belongs to the user namespace. It exists as long as the file is open.
pub(super) fn network(user: &File) -> Result<File, Failure> {
    let (mut ready, mut say_ready) = io::pipe()?;
    let (mut done, say_done) = io::pipe()?;
    let Some(child) = sys::fork()? else {
        drop((ready, say_done));
        let ok = setns(user, CloneFlags::CLONE_NEWUSER).is_ok()
            && unshare(CloneFlags::CLONE_NEWNET).is_ok()
            && say_ready.write_all(b"1").is_ok();
        drop(say_ready);
        // Waits until its namespace was opened: end of file.
        let _ = done.read(&mut [0]);
        std::process::exit(i32::from(!ok));
    };
    drop((say_ready, done));
    let opened = ready
        .read_exact(&mut [0])
        .map_err(|_| failures::no_network_namespace())
        .and_then(|()| Ok(fs_err::File::open(format!("/proc/{child}/ns/net"))?));
    drop(say_done);
    waitpid(child, None)?;
    Ok(opened?.into_parts().0)
}

fn open(ready: &mut io::PipeReader, child: Pid, first_uid: u32) -> Result<File, Failure> {
    ready
        .read_exact(&mut [0])
        .map_err(|_| failures::no_user_namespace())?;
    let map = format!("0 {first_uid} {RANGE}\n");
    fs_err::write(format!("/proc/{child}/uid_map"), &map)?;
    fs_err::write(format!("/proc/{child}/gid_map"), &map)?;
    let namespace = fs_err::File::open(format!("/proc/{child}/ns/user"))?;
    Ok(namespace.into_parts().0)
}
