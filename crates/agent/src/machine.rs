//! The name and architecture of this machine.

use buildbtw_model::{Architecture, WorkerName};

/// Returns pacman's name of this machine's architecture.
#[must_use]
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86" => "i686",
        "arm" => "armv7h",
        "loongarch64" => "loong64",
        "powerpc64" => "powerpc64le",
        other => other,
    }
}

/// Returns the default architectures to build for: this machine's.
#[must_use]
pub fn architectures() -> Vec<Architecture> {
    architecture().parse().into_iter().collect()
}

/// Returns the default worker name: the host name without characters that are invalid in a worker name.
#[must_use]
pub fn worker_name() -> Option<WorkerName> {
    let hostname = fs_err::read_to_string("/proc/sys/kernel/hostname").ok()?;
    name_from(&hostname)
}

/// Removes invalid characters of a worker name.
fn name_from(hostname: &str) -> Option<WorkerName> {
    let allowed = |c: &char| c.is_ascii_alphanumeric() || "._-".contains(*c);
    let name: String = hostname
        .trim()
        .chars()
        .filter(allowed)
        .skip_while(|c| !c.is_ascii_alphanumeric())
        .take(64)
        .collect();
    name.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derives_worker_name_from_hostname() {
        assert_eq!(name_from("build-1.lan\n").unwrap().as_str(), "build-1.lan");
        assert_eq!(name_from("-bäu!box\n").unwrap().as_str(), "bubox");
        assert!(name_from("\n").is_none());
        assert_eq!(name_from(&"a".repeat(100)).unwrap().as_str().len(), 64);
    }

    #[test]
    fn detects_architecture_of_this_machine() {
        assert_eq!(architectures().len(), 1);
    }
}
