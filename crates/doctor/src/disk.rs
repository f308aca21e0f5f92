//! Whether a disk has room.

use std::path::Path;

use crate::Check;

const MIB: u64 = 1 << 20;

/// Compares the free space below a folder with what must stay free; `setting` controls that.
#[must_use]
pub fn check(name: &str, folder: &Path, free: u64, reserve: u64, setting: &str) -> Check {
    let folder = folder.display();
    let (free_mib, reserve_mib) = (free / MIB, reserve / MIB);
    if free < reserve {
        let message = format!(
            "the disk of `{folder}` has {free_mib} MiB left, less than its reserve of {reserve_mib} MiB"
        );
        let repair = format!("free space on that disk, or lower {setting}");
        return Check::failure(name, message, repair);
    }
    if free < reserve.saturating_mul(2) {
        let message = format!(
            "the disk of `{folder}` has {free_mib} MiB left, and its reserve is {reserve_mib} MiB"
        );
        return Check::warning(name, message, "free space on that disk");
    }
    let message = format!("`{folder}` has {free_mib} MiB left, its reserve is {reserve_mib} MiB");
    Check::ok(name, message)
}

/// The least free space with which a machine can build at all.
const MIN_SPACE_FOR_BUILDS: u64 = 1024 * MIB;

/// Compares the free space below a folder with what one build may write; `setting` limits that.
#[must_use]
pub fn for_builds(name: &str, folder: &Path, free: u64, limit: u64, setting: &str) -> Check {
    let folder = folder.display();
    let (free_mib, limit_mib) = (free / MIB, limit / MIB);
    if free < MIN_SPACE_FOR_BUILDS.min(limit) {
        let message =
            format!("the disk of `{folder}` has {free_mib} MiB left, too little to build");
        return Check::failure(name, message, "free space on that disk");
    }
    if free < limit {
        let message = format!(
            "the disk of `{folder}` has {free_mib} MiB left, and one build may write {limit_mib} MiB"
        );
        return Check::warning(
            name,
            message,
            format!("free space on that disk, or lower {setting}"),
        );
    }
    let message =
        format!("`{folder}` has {free_mib} MiB left, and one build may write {limit_mib} MiB");
    Check::ok(name, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Status;

    #[test]
    fn compares_free_space_with_the_reserve() {
        for (free_mib, status) in [
            (0, Status::Failure),
            (99, Status::Failure),
            (100, Status::Warning),
            (199, Status::Warning),
            (200, Status::Ok),
        ] {
            let folder = Path::new("/data");
            let check = check(
                "disk",
                folder,
                free_mib * MIB,
                100 * MIB,
                "--disk-reserve-mib",
            );
            assert_eq!(check.status, status, "{free_mib}: {check:?}");
        }
        let check = check("disk", Path::new("/data"), MIB, 2 * MIB, "--reserve");
        let expected = "the disk of `/data` has 1 MiB left, less than its reserve of 2 MiB";
        assert_eq!(check.message, expected);
        assert_eq!(
            check.repair.unwrap(),
            "free space on that disk, or lower --reserve"
        );
    }

    #[test]
    fn compares_free_space_with_the_limit_of_a_build() {
        for (free_mib, limit_mib, status) in [
            (1_023, 40_960, Status::Failure),
            (1_024, 40_960, Status::Warning),
            (40_960, 40_960, Status::Ok),
            (500, 400, Status::Ok),
            (300, 400, Status::Failure),
        ] {
            let (free, limit) = (free_mib * MIB, limit_mib * MIB);
            let check = for_builds(
                "disk",
                Path::new("/scratch"),
                free,
                limit,
                "--limit-disk-mib",
            );
            assert_eq!(check.status, status, "{check:?}");
        }
    }
}
