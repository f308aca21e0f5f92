//! What workers are capable of, which decides the builds that they get.

use buildbtw_model::WorkerTag;
use buildbtw_model::api::WorkerMachine;

/// What a worker is capable of. Claims with the same capability are served together, so memory is rounded.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Capability {
    /// Its tags, in order.
    pub tags: Vec<WorkerTag>,
    /// The memory that one build may use, in MiB; 0 where that is not known.
    pub memory_mib: u32,
}

impl Capability {
    /// Returns the capability of a worker, of which earlier versions say nothing.
    #[must_use]
    pub fn of(machine: Option<&WorkerMachine>) -> Self {
        let Some(machine) = machine else {
            return Self::default();
        };
        let mut tags = machine.tags.clone();
        tags.sort();
        tags.dedup();
        Self {
            tags,
            memory_mib: rounded(machine.build_memory_mib),
        }
    }

    /// Returns whether it suffices for a build that needs a tag, and more memory than it exceeded before.
    #[must_use]
    pub fn suffices(&self, tag: Option<&WorkerTag>, exceeded_memory_mib: Option<u32>) -> bool {
        let has_memory = exceeded_memory_mib.is_none_or(|exceeded| exceeded < self.memory_mib);
        has_memory && tag.is_none_or(|tag| self.tags.contains(tag))
    }
}

/// Rounds memory down to a quarter of the power of two below it: 8, 10, 12, 14, 16, 20 GiB and so on.
#[must_use]
fn rounded(mib: u32) -> u32 {
    let Some(power) = mib.checked_ilog2() else {
        return 0;
    };
    let quarter = (1 << power) / 4;
    if quarter == 0 {
        mib
    } else {
        mib - mib % quarter
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_memory_down() {
        for (mib, expected) in [
            (0, 0),
            (3, 3),
            (8_191, 7_168),
            (8_192, 8_192),
            (9_000, 8_192),
            (12_400, 12_288),
            (64_300, 57_344),
        ] {
            assert_eq!(rounded(mib), expected, "{mib}");
        }
    }

    #[test]
    fn suffices_with_the_tag_and_more_memory() {
        let big: WorkerTag = "big".parse().unwrap();
        let worker = Capability {
            tags: vec![big.clone()],
            memory_mib: 16_384,
        };
        assert!(worker.suffices(None, None));
        assert!(worker.suffices(Some(&big), Some(8_192)));
        assert!(!worker.suffices(Some(&big), Some(16_384)));
        assert!(!worker.suffices(Some(&"gpu".parse().unwrap()), None));
        assert!(Capability::default().suffices(None, None));
        assert!(!Capability::default().suffices(None, Some(1)));
    }
}
