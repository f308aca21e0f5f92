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
            "the disk of `{folder}` has {free_mib} MiB left, and its reserve are {reserve_mib} MiB"
        );
        return Check::warning(name, message, "free space on that disk");
    }
    let message = format!("`{folder}` has {free_mib} MiB left, its reserve are {reserve_mib} MiB");
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
}
