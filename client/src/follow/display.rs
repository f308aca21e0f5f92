//! Shows a rebuild while it runs: a live area at the bottom of a terminal, plain lines in a pipe, or
//! the events as JSON.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::time::Duration;

use buildbtw_model::api::{BuildCounts, Event, IterationDetail};
use buildbtw_model::{BuildId, BuildStatus};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use jiff::Timestamp;

use super::tracker::{Change, Tracker, label};
use crate::error::Result;
use crate::output::{Output, clean, style, time};

/// The most running builds that are shown.
const SHOWN: usize = 10;
/// The interval at which elapsed times and spinners are drawn.
const TICK: Duration = Duration::from_millis(250);

/// Prints the progress of a rebuild.
pub(crate) struct Display {
    output: Output,
    live: Option<LiveDisplay>,
    stalled: Vec<String>,
}

struct LiveDisplay {
    bars: MultiProgress,
    counts: ProgressBar,
    running: BTreeMap<BuildId, ProgressBar>,
    colors: bool,
}

impl Display {
    pub(crate) fn new(output: Output) -> Self {
        let live = !output.json && output.terminal && std::io::stderr().is_terminal();
        Self {
            output,
            live: live.then(LiveDisplay::new),
            stalled: Vec::new(),
        }
    }

    /// Prints the headline and the notes of the iteration.
    pub(crate) fn start(&mut self, tracker: &Tracker, detail: &IterationDetail) -> Result<()> {
        if !self.output.json {
            self.text(&headline(detail))?;
            for note in &detail.notes {
                self.text(&format!("note: {}", clean(&note.text)))?;
            }
        }
        self.stalled(detail)?;
        if let Some(live) = &mut self.live {
            live.update(tracker);
        }
        Ok(())
    }

    /// Prints the headline of a newer iteration, which is followed from now on.
    pub(crate) fn switched(&mut self, detail: &IterationDetail) -> Result<()> {
        if self.output.json {
            return Ok(());
        }
        if let Some(live) = &mut self.live {
            live.forget_builds();
        }
        self.text(&headline(detail))
    }

    /// Prints an event as JSON.
    pub(crate) fn event(&self, event: &Event) -> Result<()> {
        if self.output.json {
            self.output.json_line(event)?;
        }
        Ok(())
    }

    /// Prints the changes since the last call.
    pub(crate) fn changes(&mut self, tracker: &mut Tracker) -> Result<()> {
        let changes = tracker.take_changes();
        if self.output.json {
            return Ok(());
        }
        for change in &changes {
            // The live area shows running builds; only finished ones get a line.
            if self.live.is_none() || change.status != BuildStatus::Building {
                self.text(&line(change))?;
            }
        }
        if let Some(live) = &mut self.live {
            live.update(tracker);
        }
        Ok(())
    }

    /// Prints why builds wait, each reason once.
    pub(crate) fn stalled(&mut self, detail: &IterationDetail) -> Result<()> {
        let reasons: Vec<String> = detail
            .architectures
            .iter()
            .filter_map(|architecture| architecture.stalled.clone())
            .collect();
        if !self.output.json {
            for reason in reasons
                .iter()
                .filter(|reason| !self.stalled.contains(reason))
            {
                self.text(&format!("stalled: {}", clean(reason)))?;
            }
        }
        self.stalled = reasons;
        Ok(())
    }

    /// Prints that the connection broke.
    pub(crate) fn lost(&self, reason: &str) {
        let text = format!("connection lost, reconnecting: {}", clean(reason));
        match &self.live {
            Some(live) => live.print(&text),
            None => self.output.note(text),
        }
    }

    /// Removes the live area.
    pub(crate) fn clear(&mut self) {
        if let Some(live) = self.live.take() {
            // A closed terminal needs no cleaning up.
            let _ = live.bars.clear();
        }
    }

    fn text(&self, text: &str) -> Result<()> {
        match &self.live {
            Some(live) => {
                live.print(text);
                Ok(())
            }
            None => self.output.line(text),
        }
    }
}

impl LiveDisplay {
    fn new() -> Self {
        let bars = MultiProgress::new();
        let counts = ProgressBar::new(0).with_style(bar_style("{bar:24} {pos}/{len}  {msg}"));
        let colors =
            anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
        Self {
            counts: bars.add(counts),
            bars,
            running: BTreeMap::new(),
            colors,
        }
    }

    fn print(&self, text: &str) {
        let printed = if self.colors {
            self.bars.println(text)
        } else {
            self.bars
                .println(anstream::adapter::strip_str(text).to_string())
        };
        // Progress that cannot be printed is not an error: the result is printed at the end.
        let _ = printed;
    }

    fn update(&mut self, tracker: &Tracker) {
        let counts = tracker.counts();
        self.counts.set_length(counts.total());
        self.counts.set_position(counts.done);
        let all = tracker.running();
        let mut message = counts_text(&counts);
        if all.len() > SHOWN {
            message = format!("{message} ({} not shown)", all.len() - SHOWN);
        }
        self.counts.set_message(message);
        let shown = all.get(..SHOWN).unwrap_or(&all);
        self.running.retain(|id, bar| {
            let stays = shown.iter().any(|build| build.id == *id);
            if !stays {
                bar.finish_and_clear();
            }
            stays
        });
        for build in shown {
            if self.running.contains_key(&build.id) {
                continue;
            }
            let since = build.started_at.unwrap_or_else(Timestamp::now);
            let elapsed = Timestamp::now().duration_since(since);
            let bar = ProgressBar::new_spinner()
                .with_style(bar_style("  {spinner} {msg} {elapsed}"))
                // Zero when the server's clock is ahead of this one.
                .with_elapsed(Duration::try_from(elapsed).unwrap_or_default())
                .with_message(format!("{} {}", build.pkgbase, build.version));
            let bar = self.bars.add(bar);
            bar.enable_steady_tick(TICK);
            self.running.insert(build.id, bar);
        }
    }

    fn forget_builds(&mut self) {
        for bar in std::mem::take(&mut self.running).into_values() {
            bar.finish_and_clear();
        }
    }
}

fn bar_style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

fn headline(detail: &IterationDetail) -> String {
    let summary = &detail.summary;
    let builds = match summary.counts.total() {
        1 => "1 build".to_owned(),
        total => format!("{total} builds"),
    };
    let reason = clean(&summary.reason);
    let text = format!("iteration {}: {builds} ({reason})", summary.number);
    style::paint(style::HEADER, text)
}

fn line(change: &Change) -> String {
    let status = style::paint(style::build(change.status), label(change.status));
    format!(
        "{} {status} {}",
        time::clock(change.at),
        clean(&change.text)
    )
}

/// Formats counts: `3 building, 1 failed, 5 blocked`.
pub(crate) fn counts_text(counts: &BuildCounts) -> String {
    let parts = [
        (counts.building, "building"),
        (counts.failed, "failed"),
        (counts.cancelled, "cancelled"),
        (counts.ready, "ready"),
        (counts.blocked, "blocked"),
    ];
    let parts: Vec<String> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, state)| format!("{count} {state}"))
        .collect();
    parts.join(", ")
}
