//! What this machine is, and how busy it is, for the list of workers.

use std::path::Path;

use buildbtw_model::api::{WorkerLoad, WorkerMachine};
use buildbtw_model::{WorkerTag, saturating};

const MIB: u64 = 1 << 20;

/// Measures this machine. Builds may use at most `build_memory_bytes` each.
pub(crate) fn measure(tags: &[WorkerTag], build_memory_bytes: u64) -> WorkerMachine {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let limit = build_memory_bytes / MIB;
    let memory = memory_mib(&fs_err::read_to_string("/proc/meminfo").unwrap_or_default());
    WorkerMachine {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        tags: tags.to_vec(),
        cores: saturating(cores),
        memory_mib: saturating(memory.unwrap_or(limit)),
        // A limit above the memory of the machine gives a build no more than that.
        build_memory_mib: saturating(memory.unwrap_or(limit).min(limit)),
    }
}

/// Reads how busy this machine is; `None` when the system does not say.
pub(crate) fn load(scratch: &Path) -> Option<WorkerLoad> {
    let text = fs_err::read_to_string("/proc/loadavg").ok()?;
    let space = buildbtw_metrics::space(scratch).ok()?;
    Some(WorkerLoad {
        load: text.split_whitespace().next()?.parse().ok()?,
        disk_free_bytes: space.available,
        disk_total_bytes: space.total,
    })
}

/// Returns the memory that `/proc/meminfo` reports (proc(5)), in MiB.
fn memory_mib(text: &str) -> Option<u64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kib / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_this_machine() {
        let folder = tempfile::tempdir().unwrap();
        let load = load(folder.path()).unwrap();
        assert!(load.load >= 0.0 && load.disk_total_bytes >= load.disk_free_bytes);
        let machine = measure(&["big".parse().unwrap()], u64::MAX);
        assert!(machine.cores > 0 && machine.memory_mib > 0);
        assert_eq!(machine.build_memory_mib, machine.memory_mib);
        assert_eq!(measure(&[], 64 * MIB).build_memory_mib, 64);
    }

    #[test]
    fn reads_memory_of_the_machine() {
        let text = "MemFree:    1 kB\nMemTotal:       16384000 kB\n";
        assert_eq!(memory_mib(text), Some(16_000));
        assert_eq!(memory_mib("MemTotal: none"), None);
    }
}
