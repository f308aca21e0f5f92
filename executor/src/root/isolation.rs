//! Resets the process attributes that the caller controls: a user who runs foreign scripts can start the root side
//! through sudo. Builds would inherit working directory, resource limits, core dumps, signals, scheduling and the
//! score of the OOM killer.

use std::io;

use nix::sys::prctl;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};

/// Soft limits of a service (systemd.exec(5), "LimitNOFILE="; setrlimit(2)), where the hard limit permits them. The
/// kernel derives its defaults for processes and pending signals from the host's memory, so those are unlimited.
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
/// Limits that are zero for a service: priorities above the default.
const ZERO: &[Resource] = &[Resource::RLIMIT_NICE, Resource::RLIMIT_RTPRIO];
/// How likely the kernel is to kill this process when memory runs out.
const OOM_SCORE: &str = "/proc/self/oom_score_adj";

/// Resets the attributes to those of a service. To be called before other threads start and before files are opened.
///
/// # Errors
/// When the kernel refuses to change one.
pub(super) fn isolate() -> io::Result<()> {
    std::env::set_current_dir("/")?;
    // Tokens are in this process's memory: no core dumps, and no other process of its user may read it.
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    prctl::set_dumpable(false)?;
    for &(resource, wanted) in SOFT {
        let (soft, hard) = getrlimit(resource)?;
        // Only root may raise a hard limit; without that right, the hard limit is the most.
        if soft < wanted && setrlimit(resource, wanted, wanted.max(hard)).is_err() {
            setrlimit(resource, wanted.min(hard), hard)?;
        }
    }
    for &resource in ZERO {
        let (_, hard) = getrlimit(resource)?;
        setrlimit(resource, 0, hard)?;
    }
    // A container may lack the capabilities for these; builds then keep the caller's scheduling and OOM score.
    let _ = buildbtw_builder::reset_scheduling();
    let _ = fs_err::write(OOM_SCORE, "0");
    buildbtw_builder::reset_signals()
}
