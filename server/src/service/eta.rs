//! Estimates when builds will end, by simulating the rest of an iteration on the available workers.

use std::collections::HashMap;

use buildbtw_model::{Architecture, BuildId, BuildStatus, saturating};
use buildbtw_planner::Estimate;
use jiff::{SignedDuration, Timestamp};

use super::iteration_graph::IterationGraph;
use super::learned::Learned;
use crate::db::builds::NodeRow;
use crate::error::Error;

/// The builds of an iteration and what is known of their durations.
pub(super) struct Rest<'a> {
    /// The builds.
    pub(super) nodes: &'a [NodeRow],
    /// The same, with their needs.
    pub(super) graph: &'a IterationGraph<'a, NodeRow>,
    /// How long the builds took that have ended, in seconds.
    pub(super) ended: &'a HashMap<BuildId, u64>,
    /// When the running builds started.
    pub(super) started: &'a HashMap<BuildId, Timestamp>,
}

/// When builds are expected to end.
#[derive(Debug, Default)]
pub(super) struct Etas {
    /// When each build is expected to end.
    pub(super) builds: HashMap<BuildId, Timestamp>,
    /// When the last one is expected to end; `None` if that of an architecture is not known.
    pub(super) last: Option<Range>,
}

/// An expected time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    /// If all builds take as little time as the fastest quarter of their earlier ones.
    pub(super) from: Timestamp,
    /// The most likely time.
    pub(super) middle: Timestamp,
    /// If all builds take as much time as the slowest quarter of their earlier ones.
    pub(super) to: Timestamp,
}

/// Which of the durations that a build might take is simulated.
#[derive(Clone, Copy)]
enum Assumed {
    Low,
    Middle,
    High,
}

impl Assumed {
    /// Returns how long a build still takes, in seconds, after it has run for `elapsed_s`.
    fn remaining_s(self, expected: Estimate, elapsed_s: u64) -> u64 {
        let expected_s = match self {
            Self::Low => expected.low_s,
            Self::Middle => expected.seconds,
            Self::High => expected.high_s,
        };
        match self {
            // The longer it exceeds what was expected, the less is known about its end.
            Self::High if elapsed_s >= expected_s => elapsed_s / 2,
            // A build that has exceeded its estimate may end at any moment.
            Self::Low | Self::Middle | Self::High => expected_s.saturating_sub(elapsed_s),
        }
    }
}

/// Returns when the builds that can still be built are expected to end, for all architectures with workers.
///
/// # Errors
/// When the builds form a cycle, which no plan has.
pub(super) fn estimate(
    rest: &Rest<'_>,
    workers: &HashMap<Architecture, usize>,
    now: Timestamp,
) -> Result<Etas, Error> {
    let mut etas = Etas::default();
    let mut are_known = true;
    for (architecture, &workers) in workers.iter().filter(|(_, workers)| **workers > 0) {
        let learned = Learned::new(rest.nodes, architecture, rest.ended);
        let is_open = |node: &&NodeRow| node.architecture == *architecture && is_open(node);
        let mut open = rest.nodes.iter().filter(is_open);
        if open.any(|node| learned.expected(node).is_none()) {
            are_known = false;
            continue;
        }
        let ends = |assumed: Assumed| {
            let remaining_s = |node: &NodeRow| {
                let elapsed_s = rest.started.get(&node.id).map_or(0, |start| {
                    let elapsed = now.duration_since(*start).as_secs();
                    elapsed.max(0).unsigned_abs()
                });
                let expected = learned.expected(node);
                expected.map_or(0, |expected| assumed.remaining_s(expected, elapsed_s))
            };
            let ends = rest.graph.ends(architecture, remaining_s, workers)?;
            let ends = ends.into_iter().filter_map(|(build, end_s)| {
                let end = SignedDuration::from_secs(saturating(end_s));
                Some((build, now.checked_add(end).ok()?))
            });
            Ok::<HashMap<BuildId, Timestamp>, Error>(ends.collect())
        };
        let middle = ends(Assumed::Middle)?;
        let last = range(&ends(Assumed::Low)?, &middle, &ends(Assumed::High)?);
        etas.last = etas.last.into_iter().chain(last).reduce(Range::or_later);
        etas.builds.extend(middle);
    }
    etas.last = etas.last.filter(|_| are_known);
    Ok(etas)
}

/// Returns whether a build has not ended.
fn is_open(node: &NodeRow) -> bool {
    match node.status {
        BuildStatus::Blocked
        | BuildStatus::Ready
        | BuildStatus::Dispatched
        | BuildStatus::Building => true,
        BuildStatus::Built | BuildStatus::Reused | BuildStatus::Failed | BuildStatus::Cancelled => {
            false
        }
    }
}

/// Returns how many builds that have not ended are of packages without an earlier build.
pub(super) fn unknown_durations(nodes: &[NodeRow]) -> u64 {
    let open = nodes.iter().filter(|node| is_open(node));
    let unknown = open.filter(|node| node.estimate().is_none());
    saturating(unknown.count())
}

/// Returns when the last build ends, from the ends of all builds under each assumption.
fn range(
    low: &HashMap<BuildId, Timestamp>,
    middle: &HashMap<BuildId, Timestamp>,
    high: &HashMap<BuildId, Timestamp>,
) -> Option<Range> {
    let last = |ends: &HashMap<BuildId, Timestamp>| ends.values().max().copied();
    let middle = last(middle)?;
    // Shorter builds can end later together: they occupy other workers when a long one becomes ready.
    Some(Range {
        from: last(low)?.min(middle),
        middle,
        to: last(high)?.max(middle),
    })
}

impl Range {
    /// Returns when both of two things have happened.
    fn or_later(self, other: Self) -> Self {
        Self {
            from: self.from.max(other.from),
            middle: self.middle.max(other.middle),
            to: self.to.max(other.to),
        }
    }
}

#[cfg(test)]
mod tests;
