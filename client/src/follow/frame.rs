//! The live area of a rebuild: counts, the causes of failures, running builds and keys, in as many lines and columns
//! as the terminal has.

use buildbtw_model::api::{BuildCounts, BuildSummary};
use buildbtw_model::saturating;
use jiff::Timestamp;

use super::text::counts_text;
use crate::output::{Eta, Screen, clean, style, time};

/// The columns of the bar on a wide terminal.
const BAR: usize = 24;
/// The fewest columns for which a bar is drawn.
const WIDTH_WITH_BAR: usize = 60;
/// The fewest lines for which the keys are explained.
const HEIGHT_WITH_KEYS: usize = 6;

/// What the live area shows.
#[derive(Debug)]
pub(super) struct View<'a> {
    pub(super) counts: BuildCounts,
    /// Failed builds with the number of builds that they block, those that block most first.
    pub(super) causes: Vec<(&'a BuildSummary, usize)>,
    /// Running builds, the longest-running first.
    pub(super) running: Vec<&'a BuildSummary>,
    pub(super) eta: Eta,
    pub(super) now: Timestamp,
    /// How many entries are scrolled past.
    pub(super) scrolled: usize,
    /// Whether running builds are hidden.
    pub(super) failed_only: bool,
    /// Whether keys are read.
    pub(super) has_keys: bool,
}

/// Returns the lines of the live area: fewer than the screen has, none wider.
pub(super) fn frame(view: &View<'_>, screen: &Screen) -> Vec<String> {
    let (room, with_keys) = room(view, screen);
    let mut lines = vec![headline(view, screen)];
    let entries = entries(view);
    let total = entries.len();
    let shown = shown(total, room);
    let scrolled = view.scrolled.min(total.saturating_sub(shown));
    lines.extend(entries.into_iter().skip(scrolled).take(shown));
    if total > room && room > 0 {
        let below = total - scrolled - shown;
        lines.push(style::paint(
            style::FAINT,
            format!("  and {} more", scrolled + below),
        ));
    }
    if with_keys {
        let keys = "up/down: scroll  f: failed only  q: leave, the rebuild continues";
        lines.push(style::paint(style::FAINT, keys));
    }
    lines.iter().map(|line| screen.fit(line)).collect()
}

/// Returns how many entries can be scrolled past: the last ones stay visible.
pub(super) fn most_scrolled(view: &View<'_>, screen: &Screen) -> usize {
    let running = match view.failed_only {
        true => 0,
        false => view.running.len(),
    };
    let total = view.causes.len() + running;
    let (room, _) = room(view, screen);
    total.saturating_sub(shown(total, room))
}

/// Returns the number of lines below the headline and above the keys, and whether the keys are explained.
fn room(view: &View<'_>, screen: &Screen) -> (usize, bool) {
    // The cursor is on the line below.
    let lines = screen.height.saturating_sub(1).max(1);
    let with_keys = view.has_keys && lines >= HEIGHT_WITH_KEYS;
    (lines - 1 - usize::from(with_keys), with_keys)
}

/// Returns how many of some entries are shown: if not all have room, a line says how many there are besides.
fn shown(total: usize, room: usize) -> usize {
    match total <= room {
        true => room,
        false => room.saturating_sub(1),
    }
}

fn headline(view: &View<'_>, screen: &Screen) -> String {
    let (done, total) = (view.counts.done, view.counts.total());
    let mut parts = vec![format!("{done}/{total}")];
    if let Some(eta) = view.eta.brief(view.now) {
        parts.push(format!("ETA {eta}"));
    }
    parts.push(counts_text(&view.counts));
    parts.retain(|part| !part.is_empty());
    let text = parts.join("  ");
    match screen.width {
        Some(width) if width < WIDTH_WITH_BAR => text,
        _ => format!("{} {text}", bar(done, total)),
    }
}

fn bar(done: u64, total: u64) -> String {
    let columns = (1..=BAR).rev().find(|column| {
        // The column is filled when that part of the builds is done.
        let part: u64 = saturating(*column);
        done.saturating_mul(saturating(BAR)) >= total.saturating_mul(part)
    });
    let filled = columns.unwrap_or(0);
    let head = if filled < BAR { ">" } else { "" };
    format!("[{:BAR$}]", format!("{}{head}", "=".repeat(filled)))
}

fn entries(view: &View<'_>) -> Vec<String> {
    let failed = style::paint(style::ERROR, "failed");
    let causes = view.causes.iter().map(|(build, blocked)| {
        let blocks = match blocked {
            0 => String::new(),
            blocked => format!(" blocks {blocked}:"),
        };
        let message = build
            .message
            .as_deref()
            .and_then(|text| text.lines().next());
        let message = clean(message.unwrap_or_default());
        format!(
            "  {failed} {} {}{blocks} {message}",
            build.pkgbase, build.version
        )
    });
    let running = view.running.iter().filter(|_| !view.failed_only);
    let running = running.map(|build| {
        let since = build.started_at.unwrap_or(view.now);
        // Zero when the server's clock is ahead of this one.
        let took = time::duration(view.now.duration_since(since));
        format!("  building {} {} {took}", build.pkgbase, build.version)
    });
    causes.chain(running).collect()
}

#[cfg(test)]
mod tests {
    use buildbtw_model::api::IterationSummary;
    use serde_json::json;

    use super::*;

    fn build(pkgbase: &str, status: &str, message: Option<&str>) -> BuildSummary {
        serde_json::from_value(json!({
            "id": 1, "pkgbase": pkgbase, "architecture": "x86_64", "stage": 1, "level": 0, "status": status,
            "commit": "a".repeat(40), "version": "2.0-1", "reason": [pkgbase], "message": message,
            "started_at": "2026-11-30T10:00:00Z",
        }))
        .unwrap()
    }

    /// Returns an iteration that is expected to end two to three hours later, by the durations of most builds.
    fn iteration() -> IterationSummary {
        let counts = BuildCounts {
            blocked: 2_700,
            ..BuildCounts::default()
        };
        serde_json::from_value(json!({
            "number": 1, "status": "running", "reason": "first", "counts": counts,
            "created_at": "2026-11-30T10:00:00Z", "eta_from": "2026-11-30T12:00:00Z",
            "eta": "2026-11-30T12:30:00Z", "eta_to": "2026-11-30T13:00:00Z", "unknown_durations": 12,
        }))
        .unwrap()
    }

    fn view<'a>(failed: &'a [BuildSummary], running: &'a [BuildSummary]) -> View<'a> {
        View {
            counts: BuildCounts {
                blocked: 2_500,
                ready: 100,
                building: running.len() as u64,
                done: 1_000,
                failed: failed.len() as u64,
                cancelled: 0,
            },
            causes: failed.iter().map(|build| (build, 412)).collect(),
            running: running.iter().collect(),
            eta: Eta::of(&iteration()),
            now: "2026-11-30T10:02:05Z".parse().unwrap(),
            scrolled: 0,
            failed_only: false,
            has_keys: true,
        }
    }

    fn plain(view: &View<'_>, width: usize, height: usize) -> Vec<String> {
        let width = Some(width);
        let lines = frame(view, &Screen { width, height }).into_iter();
        lines
            .map(|line| console::strip_ansi_codes(&line).into_owned())
            .collect()
    }

    #[test]
    fn fits_every_terminal_and_shows_causes_of_failures_first() {
        let message = "build() failed: \x1b[2Jno such file\nmore";
        let failed: Vec<_> = (0..40)
            .map(|n| build(&format!("lib{n}"), "failed", Some(message)))
            .collect();
        let running: Vec<_> = (0..60)
            .map(|n| build(&format!("pkg{n}"), "building", None))
            .collect();
        let view = view(&failed, &running);
        for width in [1, 20, 60, 80, 200] {
            for height in [1, 2, 5, 10, 24, 200] {
                let lines = plain(&view, width, height);
                assert!(lines.len() < height.max(2), "{width}x{height}: {lines:#?}");
                for line in &lines {
                    assert!(
                        console::measure_text_width(line) <= width,
                        "{width}: {line:?}"
                    );
                    assert!(!line.contains('\x1b'), "{line:?}");
                }
            }
        }
        let lines = plain(&view, 80, 10);
        assert!(lines[0].starts_with("[======>"), "{lines:#?}");
        assert!(lines[0].contains("1000/3700  ETA "), "{lines:#?}");
        let headline = &plain(&view, 200, 10)[0];
        assert!(headline.contains(" to "), "{headline}");
        assert!(
            headline.contains(" (12 unknown)  60 building"),
            "{headline}"
        );
        assert!(
            lines[1].starts_with("  failed lib0 2.0-1 blocks 412: build() failed"),
            "{lines:#?}"
        );
        assert_eq!(lines[7], "  and 94 more");
        assert!(lines[8].contains("q: leave"), "{lines:#?}");
        assert_eq!(lines.len(), 9);
    }

    #[test]
    fn scrolls_to_the_last_entry_and_hides_running_builds() {
        let failed = [build("lib", "failed", None)];
        let running: Vec<_> = (0..60)
            .map(|n| build(&format!("pkg{n}"), "building", None))
            .collect();
        let mut view = view(&failed, &running);
        view.scrolled = 1_000;
        let lines = plain(&view, 80, 10);
        assert!(
            lines[6].starts_with("  building pkg59 2.0-1 2 min 05 s"),
            "{lines:#?}"
        );
        let screen = |height| Screen {
            width: Some(80),
            height,
        };
        assert_eq!(most_scrolled(&view, &screen(10)), 61 - 6);
        assert_eq!(most_scrolled(&view, &screen(100)), 0);
        view.failed_only = true;
        assert_eq!(most_scrolled(&view, &screen(10)), 0);
        let lines = plain(&view, 80, 10);
        assert_eq!(lines.len(), 3, "{lines:#?}");
        assert!(lines[1].contains("failed lib"), "{lines:#?}");
    }
}
