//! Takes back what whoever started the root side could set: it is reached through sudo by a user who runs
//! foreign scripts. The folder it is in, limits and signals are inherited, and so would be a core dump.

use std::io;

use nix::sys::prctl;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};

/// Soft limits of a service (systemd.exec(5), "LimitNOFILE="; setrlimit(2)), where the hard limit allows them.
const SOFT: &[(Resource, u64)] = &[
    (Resource::RLIMIT_CPU, RLIM_INFINITY),
    (Resource::RLIMIT_FSIZE, RLIM_INFINITY),
    (Resource::RLIMIT_DATA, RLIM_INFINITY),
    (Resource::RLIMIT_AS, RLIM_INFINITY),
    (Resource::RLIMIT_STACK, 8 << 20),
    (Resource::RLIMIT_NOFILE, 65_536),
];

/// Makes this process the same whoever started it. Before any other thread, and before anything is opened.
///
/// # Errors
/// When the kernel refuses.
pub(super) fn isolate() -> io::Result<()> {
    std::env::set_current_dir("/")?;
    // Tokens are in its memory: no core dump, and nobody of the same user may look into it.
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    prctl::set_dumpable(false)?;
    for &(resource, wanted) in SOFT {
        let (soft, hard) = getrlimit(resource)?;
        // Only root may raise a hard limit; a limit of the whole machine's service stays.
        if soft < wanted && setrlimit(resource, wanted, wanted.max(hard)).is_err() {
            setrlimit(resource, wanted.min(hard), hard)?;
        }
    }
    buildbtw_builder::reset_signals()
}
