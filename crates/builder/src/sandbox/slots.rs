//! Ranges of user ids, one for each sandbox at a time on the whole machine.

use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};

/// How many ids a sandbox has: 0 to 65535.
pub(crate) const RANGE: u32 = 65_536;
/// Sandboxes at the same time on one machine.
const SLOTS: u32 = 1024;

/// A range of ids that nobody else on this machine uses while this value lives.
///
/// The name of a socket is the lock: it holds between processes, needs no file, and the kernel
/// frees it when its owner dies. The first range is never handed out; it belongs to roots that
/// stay.
#[derive(Debug)]
pub(crate) struct Slot {
    _lock: UnixListener,
    first_uid: u32,
}

impl Slot {
    pub(crate) fn take(uid_base: u32) -> io::Result<Self> {
        for slot in 1..SLOTS {
            let Some(first_uid) = slot
                .checked_mul(RANGE)
                .and_then(|offset| uid_base.checked_add(offset))
                .filter(|first| first.checked_add(RANGE).is_some())
            else {
                break;
            };
            let name = SocketAddr::from_abstract_name(format!("buildbtw-uid-range-{first_uid}"))?;
            match UnixListener::bind_addr(&name) {
                Ok(lock) => {
                    return Ok(Self {
                        _lock: lock,
                        first_uid,
                    });
                }
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other(format!(
            "no free range of user ids above {uid_base}"
        )))
    }

    pub(crate) fn first_uid(&self) -> u32 {
        self.first_uid
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_at_the_same_time_do_not_overlap() {
        // A range of the test's own, so that real builds on this machine do not matter.
        let base = 3_000_000_000;
        let first = Slot::take(base).unwrap();
        let second = Slot::take(base).unwrap();
        assert!(first.first_uid() > base);
        assert_eq!(first.first_uid() + RANGE, second.first_uid());
        let freed = first.first_uid();
        drop(first);
        assert_eq!(Slot::take(base).unwrap().first_uid(), freed);
    }

    #[test]
    fn ids_do_not_overflow() {
        assert!(Slot::take(u32::MAX - RANGE).is_err());
    }
}
