//! What the builds of an iteration that have ended teach about the durations of the others.

use std::collections::HashMap;

use buildbtw_model::{Architecture, BuildId, saturating};
use buildbtw_planner::{Estimate, quantile};

use crate::db::builds::NodeRow;

/// A duration as expected, in thousandths.
const AS_EXPECTED: u64 = 1_000;
/// The smallest and the largest correction. A larger difference has other causes than the speed of the workers.
const CORRECTIONS: (u64, u64) = (AS_EXPECTED / 4, AS_EXPECTED * 4);
/// How many builds that took as long as expected the expectation itself counts for.
const WEIGHT: u64 = 5;

/// The expected durations of the builds of an iteration for one architecture.
pub(super) struct Learned {
    /// How much longer the builds take than expected, in thousandths.
    correction: u64,
    /// The durations of the builds that are known: the expected one of builds without earlier ones.
    others: Option<Estimate>,
}

impl Learned {
    /// Learns from the builds of an architecture that have ended, given how long these took in seconds.
    pub(super) fn new(
        nodes: &[NodeRow],
        architecture: &Architecture,
        ended: &HashMap<BuildId, u64>,
    ) -> Self {
        let nodes = nodes
            .iter()
            .filter(|node| node.architecture == *architecture);
        let relations = nodes.clone().filter_map(|node| {
            let (expected, took) = (node.estimate()?, ended.get(&node.id)?);
            Some(took.saturating_mul(AS_EXPECTED) / expected.seconds.max(1))
        });
        let correction = correction(relations.collect());
        let known = nodes.filter_map(|node| match ended.get(&node.id) {
            Some(took) => Some(*took),
            None => Some(corrected(node.estimate()?.seconds, correction)),
        });
        Self {
            correction,
            others: others(known.collect()),
        }
    }

    /// Returns how long a build is expected to take; `None` if no duration of the iteration is known.
    pub(super) fn expected(&self, node: &NodeRow) -> Option<Estimate> {
        let Some(known) = node.estimate() else {
            return self.others;
        };
        Some(Estimate {
            low_s: corrected(known.low_s, self.correction),
            seconds: corrected(known.seconds, self.correction),
            high_s: corrected(known.high_s, self.correction),
        })
    }
}

/// Returns how much longer builds take than expected, from how much longer those took that have ended: the median,
/// so that builds that differ for reasons of their own do not count, drawn towards the expectation while they are few.
fn correction(mut relations: Vec<u64>) -> u64 {
    relations.sort_unstable();
    let Some(median) = quantile(&relations, 50) else {
        return AS_EXPECTED;
    };
    let median = median.clamp(CORRECTIONS.0, CORRECTIONS.1);
    let count: u64 = saturating(relations.len());
    (median * count + AS_EXPECTED * WEIGHT) / (count + WEIGHT)
}

fn corrected(seconds: u64, correction: u64) -> u64 {
    (seconds.saturating_mul(correction) / AS_EXPECTED).max(1)
}

/// Returns the expected duration of builds without earlier ones, from all known durations of the iteration. One in ten
/// builds takes longer than its upper bound, not one in four: a package that was never built is a greater risk.
fn others(mut known: Vec<u64>) -> Option<Estimate> {
    known.sort_unstable();
    Some(Estimate {
        low_s: quantile(&known, 25)?,
        seconds: quantile(&known, 50)?,
        high_s: quantile(&known, 90)?,
    })
}

#[cfg(test)]
mod tests {
    use buildbtw_model::BuildStatus;

    use super::*;

    fn architecture() -> Architecture {
        "x86_64".parse().unwrap()
    }

    /// Returns a build whose package was built in 80 to 120 seconds before, or never.
    fn node(id: i64, is_known: bool) -> NodeRow {
        NodeRow {
            id: BuildId(id),
            pkgbase: format!("p{id}").parse().unwrap(),
            architecture: architecture(),
            status: BuildStatus::Built,
            estimate_s: 100,
            estimate_low_s: is_known.then_some(80),
            estimate_high_s: is_known.then_some(120),
        }
    }

    /// Returns the expectation of a known and an unknown build after builds that were expected to take 100 seconds and
    /// took this long.
    fn after(took: &[u64]) -> (Estimate, Option<Estimate>) {
        let ended: HashMap<BuildId, u64> = (1..).map(BuildId).zip(took.iter().copied()).collect();
        let nodes = ended.keys().map(|id| node(id.0, true));
        let nodes: Vec<NodeRow> = nodes
            .chain([node(1_000, true), node(1_001, false)])
            .collect();
        let learned = Learned::new(&nodes, &architecture(), &ended);
        let [.., known, unknown] = nodes.as_slice() else {
            panic!("two builds");
        };
        (learned.expected(known).unwrap(), learned.expected(unknown))
    }

    fn estimate(low_s: u64, seconds: u64, high_s: u64) -> Estimate {
        Estimate {
            low_s,
            seconds,
            high_s,
        }
    }

    #[test]
    fn keeps_estimates_that_nothing_contradicts() {
        let expected = estimate(80, 100, 120);
        assert_eq!(after(&[]).0, expected);
        assert_eq!(after(&[100; 20]).0, expected);
    }

    #[test]
    fn doubles_the_rest_after_many_builds_that_took_twice_as_long() {
        let (known, unknown) = after(&[200; 95]);
        assert_eq!(known, estimate(156, 195, 234));
        assert_eq!(unknown, Some(estimate(200, 200, 200)));
    }

    #[test]
    fn changes_little_after_one_build() {
        assert_eq!(after(&[200]).0.seconds, 116);
        // A hundred times as long counts as four times as long.
        assert_eq!(after(&[10_000]).0.seconds, 150);
        assert_eq!(after(&[1]).0.seconds, 87);
    }

    #[test]
    fn ignores_a_few_outliers() {
        let mut took = vec![100; 10];
        took.extend([2_000, 3_000, 4_000]);
        let (known, unknown) = after(&took);
        assert_eq!(known, estimate(80, 100, 120));
        // Each unknown build might be one of them.
        assert_eq!(unknown, Some(estimate(100, 100, 3_000)));
    }

    #[test]
    fn knows_nothing_without_any_duration() {
        let nodes = [node(1, false), node(2, false)];
        let learned = Learned::new(&nodes, &architecture(), &HashMap::new());
        assert_eq!(learned.expected(&nodes[0]), None);
        // The first build that ends says how long others take.
        let ended = HashMap::from([(BuildId(1), 30)]);
        let learned = Learned::new(&nodes, &architecture(), &ended);
        assert_eq!(learned.expected(&nodes[1]), Some(estimate(30, 30, 30)));
        // Builds of another architecture say nothing.
        let learned = Learned::new(&nodes, &"aarch64".parse().unwrap(), &ended);
        assert_eq!(learned.expected(&nodes[1]), None);
    }
}
