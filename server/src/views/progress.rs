//! The progress of an iteration as a bar and as numbers.

use askama::Template;
use buildbtw_model::api::BuildCounts;

use super::html_part;

/// Width of the bar in its own units.
const WIDTH: u64 = 1000;

/// The progress of an iteration.
#[derive(Template)]
#[template(path = "parts/progress.html")]
pub(crate) struct Progress {
    segments: Vec<Segment>,
    pub(crate) done: u64,
    pub(crate) total: u64,
    /// Numbers of the other states.
    pub(crate) rest: Vec<Share>,
}

/// A segment of the bar.
struct Segment {
    tone: &'static str,
    x: u64,
    width: u64,
}

/// The number of builds in a state.
pub(crate) struct Share {
    pub(crate) tone: &'static str,
    pub(crate) count: u64,
    pub(crate) label: &'static str,
}

html_part!(Progress);

impl Progress {
    pub(crate) fn new(counts: &BuildCounts) -> Self {
        let total = counts.total();
        let mut segments = Vec::new();
        let mut before = 0;
        for (tone, count) in [
            ("ok", counts.done),
            ("run", counts.building),
            ("bad", counts.failed),
            ("off", counts.cancelled),
        ] {
            // Computed from sums, so that rounding leaves no gaps.
            let place = |builds: u64| (builds * WIDTH).checked_div(total).unwrap_or_default();
            let x = place(before);
            before += count;
            if count > 0 {
                // A single failure among thousands must be visible.
                let width = (place(before) - x).max(8);
                segments.push(Segment { tone, x, width });
            }
        }
        let shares = [
            ("bad", counts.failed, "failed"),
            ("run", counts.building, "building"),
            ("next", counts.ready, "ready"),
            ("wait", counts.blocked, "blocked"),
            ("off", counts.cancelled, "cancelled"),
        ];
        Self {
            segments,
            done: counts.done,
            total,
            rest: shares
                .into_iter()
                .filter(|(_, count, _)| *count > 0)
                .map(|(tone, count, label)| Share { tone, count, label })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_bars_without_gaps_and_shows_single_failures() {
        let counts = BuildCounts {
            done: 2_998,
            building: 1,
            failed: 1,
            ..BuildCounts::default()
        };
        let progress = Progress::new(&counts);
        let tones: Vec<_> = progress.segments.iter().map(|part| part.tone).collect();
        assert_eq!(tones, ["ok", "run", "bad"]);
        assert_eq!(
            progress.segments[1].x, progress.segments[0].width,
            "the second begins where the first ends"
        );
        assert!(progress.segments.iter().all(|part| part.width >= 8));
    }

    #[test]
    fn handles_zero_builds() {
        let html = Progress::new(&BuildCounts::default()).render().unwrap();
        assert!(html.contains("0 of 0 done"), "{html}");
    }
}
