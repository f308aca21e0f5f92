//! Resets what a process inherits from its parent, at the start of programs that handle foreign code.

use std::io;

use crate::sys;

/// Closes all descriptors except the three standard ones and replaces the session keyring, so that a program
/// that handles foreign code holds nothing of its parent. Must be the first call in `main`, because it also
/// closes what the program itself has opened.
///
/// # Errors
///
/// When the kernel lacks close_range(2) (Linux 5.9), or the quota of keys is exhausted.
pub fn drop_inherited() -> io::Result<()> {
    sys::close_inherited()?;
    sys::new_session_keyring()
}

/// Unblocks all signals and resets their effects to the defaults, whatever this process inherited. Must be
/// called before a handler is set or a thread is started.
///
/// # Errors
///
/// When the kernel refuses.
pub fn reset_signals() -> io::Result<()> {
    sys::reset_signals()
}

/// Resets the scheduling of this process and of those that it starts to that of a service, whatever it
/// inherited. Must be called before a thread is started.
///
/// # Errors
///
/// When the kernel refuses, for example because the process is not allowed to raise its priority.
pub fn reset_scheduling() -> io::Result<()> {
    sys::reset_scheduling()
}
