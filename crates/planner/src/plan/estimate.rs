//! How long builds are expected to take.

use buildbtw_model::{Pkgbase, saturating};

/// With fewer earlier builds than this, nothing is known about how much they differ.
const ENOUGH_BUILDS: usize = 4;

/// How long earlier builds of a package took, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// The duration that a quarter of the builds stay below.
    pub low_s: u64,
    /// The duration that half of the builds stay below.
    pub seconds: u64,
    /// The duration that a quarter of the builds exceed.
    pub high_s: u64,
}

impl Estimate {
    /// Returns the estimate from the durations of earlier builds, in seconds; `None` if there are none. That of fewer
    /// than four builds is half as wide again on both sides.
    #[must_use]
    pub fn of_builds(mut durations_s: Vec<u64>) -> Option<Self> {
        durations_s.sort_unstable();
        let seconds = quantile(&durations_s, 50)?;
        let (first, last) = (*durations_s.first()?, *durations_s.last()?);
        let few = durations_s.len() < ENOUGH_BUILDS;
        Some(Self {
            low_s: match few {
                true => (first.saturating_mul(2) / 3).max(1),
                false => quantile(&durations_s, 25)?,
            },
            seconds,
            high_s: match few {
                true => last.saturating_add(last.div_ceil(2)),
                false => quantile(&durations_s, 75)?,
            },
        })
    }
}

/// Returns the smallest of some sorted values that at least `percent` percent of them do not exceed; `None` if there
/// are none.
#[must_use]
pub fn quantile(sorted: &[u64], percent: u32) -> Option<u64> {
    let count: u64 = saturating(sorted.len());
    let rank = count.saturating_mul(percent.min(100).into()).div_ceil(100);
    let index: usize = saturating(rank.saturating_sub(1));
    sorted.get(index).copied()
}

/// Estimates of the durations of builds.
pub trait Estimates {
    /// Returns the expected duration of a build, if known.
    fn of(&self, pkgbase: &Pkgbase) -> Option<Estimate>;
}

impl<F: Fn(&Pkgbase) -> Option<Estimate>> Estimates for F {
    fn of(&self, pkgbase: &Pkgbase) -> Option<Estimate> {
        self(pkgbase)
    }
}

/// No estimates.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoEstimates;

impl Estimates for NoEstimates {
    fn of(&self, _: &Pkgbase) -> Option<Estimate> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(durations_s: &[u64]) -> Option<(u64, u64, u64)> {
        let estimate = Estimate::of_builds(durations_s.to_vec())?;
        Some((estimate.low_s, estimate.seconds, estimate.high_s))
    }

    #[test]
    fn ranges_over_the_middle_half_of_the_builds() {
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[1]), Some((1, 1, 2)));
        assert_eq!(of(&[60]), Some((40, 60, 90)));
        assert_eq!(of(&[90, 60]), Some((40, 60, 135)));
        // One build that took all night changes nothing.
        assert_eq!(of(&[100, 40_000, 90, 110, 120, 105]), Some((100, 105, 120)));
    }

    #[test]
    fn finds_quantiles_of_the_nearest_rank() {
        assert_eq!(quantile(&[], 50), None);
        let found =
            [0, 1, 25, 50, 51, 90, 100, 200].map(|percent| quantile(&[1, 2, 3, 4], percent));
        assert_eq!(found, [1, 1, 1, 2, 3, 4, 4, 4].map(Some));
    }
}
