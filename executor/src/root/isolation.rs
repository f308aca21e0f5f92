//! Resets what the user who started the root side could set: it is reached through sudo by a user who runs
//! foreign scripts. The folder it is in, limits, signals, scheduling and who is killed first without memory are
//! inherited, by the builds too, and so would be a core dump.

use std::io;

use nix::sys::prctl;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};

/// Soft limits of a service (systemd.exec(5), "LimitNOFILE="; setrlimit(2)), where the hard limit allows them. The
/// kernel's default number of processes and of pending signals depends on the machine's memory: no machine has fewer.
const SOFT: &[(Resource, u64)] = &[
    (Resource::RLIMIT_CPU, RLIM_INFINITY),
    (Resource::RLIMIT_FSIZE, RLIM_INFINITY),
    (Resource::RLIMIT_DATA, RLIM_INFINITY),
    (Resource::RLIMIT_AS, RLIM_INFINITY),
    (Resource::RLIMIT_STACK, 8 << 20),
    (Resource::RLIMIT_NOFILE, 65_536),
    (Resource::RLIMIT_RSS, RLIM_INFINITY),
    (Resource::RLIMIT_NPROC, RLIM_INFINITY),
    (Resource::RLIMIT_MEMLOCK, 8 << 20),
    (Resource::RLIMIT_LOCKS, RLIM_INFINITY),
    (Resource::RLIMIT_SIGPENDING, RLIM_INFINITY),
    (Resource::RLIMIT_MSGQUEUE, 819_200),
    (Resource::RLIMIT_RTTIME, RLIM_INFINITY),
];
/// Limits of a service that allow nothing: priorities above the default.
const NONE: &[Resource] = &[Resource::RLIMIT_NICE, Resource::RLIMIT_RTPRIO];
/// How likely the kernel is to kill a process when there is no memory left.
const OOM_SCORE: &str = "/proc/self/oom_score_adj";

/// Makes this process the same for every caller. Before any other thread, and before anything is opened.
///
/// # Errors
/// When the kernel refuses.
pub(super) fn isolate() -> io::Result<()> {
    std::env::set_current_dir("/")?;
    // Tokens are in its memory: no core dump, and other processes of its user may not read it.
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    prctl::set_dumpable(false)?;
    for &(resource, wanted) in SOFT {
        let (soft, hard) = getrlimit(resource)?;
        // Only root may raise a hard limit; a limit of the whole machine's service stays.
        if soft < wanted && setrlimit(resource, wanted, wanted.max(hard)).is_err() {
            setrlimit(resource, wanted.min(hard), hard)?;
        }
    }
    for &resource in NONE {
        let (_, hard) = getrlimit(resource)?;
        setrlimit(resource, 0, hard)?;
    }
    // A container may lack the capabilities for these, and then builds are as slow or as likely to be killed as whoever
    // started them.
    let _ = buildbtw_builder::reset_scheduling();
    let _ = fs_err::write(OOM_SCORE, "0");
    buildbtw_builder::reset_signals()
}
