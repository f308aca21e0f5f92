//! Shows a rebuild while it runs: a live area at the bottom of a terminal, plain lines in a pipe, or
//! the events as JSON.

use std::io::IsTerminal as _;

use buildbtw_model::api::{Event, IterationDetail};
use buildbtw_model::{BuildStatus, NamespaceName};
use jiff::Timestamp;

use super::frame::{View, frame, most_scrolled};
use super::keys::Key;
use super::painter::Painter;
use super::text::{failed_before, headline, line, notes};
use super::tracker::{Change, Tracker};
use crate::cli::LimitArgs;
use crate::error::Result;
use crate::output::{Eta, Output, clean};

/// How many entries one key scrolls.
const SCROLLED_AT_ONCE: usize = 5;
/// The lines besides those about earlier failures: the headline, four for notes, one above the failures, and the prompt.
const LINES_BESIDES_EARLIER: usize = 7;

/// Prints the progress of a rebuild.
pub(crate) struct Display<'a> {
    output: &'a Output,
    live: Option<Live>,
    eta: Eta,
    stalled: Vec<String>,
}

/// The live area.
struct Live {
    painter: Painter,
    scrolled: usize,
    failed_only: bool,
    has_keys: bool,
}

impl<'a> Display<'a> {
    pub(crate) fn new(output: &'a Output) -> Self {
        let is_terminal = output.terminal && std::io::stderr().is_terminal();
        // A terminal that cannot move its cursor gets lines, as a pipe does.
        let is_dumb = std::env::var_os("TERM").is_some_and(|kind| kind == "dumb");
        let live = !output.is_json() && is_terminal && !is_dumb;
        let live = live.then(|| Live {
            painter: Painter::new(),
            scrolled: 0,
            failed_only: false,
            has_keys: false,
        });
        Self {
            output,
            live,
            eta: Eta::default(),
            stalled: Vec::new(),
        }
    }

    /// Returns whether there is a live area.
    pub(crate) fn is_live(&self) -> bool {
        self.live.is_some()
    }

    /// Explains the keys from now on.
    pub(crate) fn explain_keys(&mut self) {
        if let Some(live) = &mut self.live {
            live.has_keys = true;
        }
    }

    /// Prints the headline and the notes of the iteration.
    pub(crate) fn start(
        &mut self,
        namespace: &NamespaceName,
        tracker: &Tracker,
        detail: &IterationDetail,
    ) -> Result<()> {
        if !self.output.is_json() {
            self.print(tracker, &[headline(detail)])?;
            self.print(tracker, &notes(namespace, detail))?;
        }
        self.refresh(tracker, detail)
    }

    /// Prints the headline of a newer iteration, which is followed from now on.
    pub(crate) fn switched(&mut self, tracker: &Tracker, detail: &IterationDetail) -> Result<()> {
        match self.output.is_json() {
            true => Ok(()),
            false => self.print(tracker, &[headline(detail)]),
        }
    }

    /// Prints the changes of before following began, as many as a screen has room for.
    pub(crate) fn earlier(&mut self, tracker: &mut Tracker, limit: LimitArgs) -> Result<()> {
        let height = self.output.screen.height;
        // The live area, which lists failures too, takes the other half.
        let room = if self.is_live() { height / 2 } else { height };
        let most = limit.rows(room.saturating_sub(LINES_BESIDES_EARLIER));
        let (changes, failed) = tracker.take_earlier(most);
        if self.output.is_json() {
            return Ok(());
        }
        if let Some(failed) = failed {
            self.print(tracker, &[failed_before(failed, most)])?;
        }
        self.print_changes(tracker, &changes)
    }

    /// Prints an event as JSON.
    pub(crate) fn event(&self, event: &Event) -> Result<()> {
        match self.output.is_json() {
            true => self.output.json_line(event),
            false => Ok(()),
        }
    }

    /// Prints the changes since the last call.
    pub(crate) fn changes(&mut self, tracker: &mut Tracker) -> Result<()> {
        let changes = tracker.take_changes();
        if self.output.is_json() {
            return Ok(());
        }
        self.print_changes(tracker, &changes)
    }

    fn print_changes(&mut self, tracker: &Tracker, changes: &[Change]) -> Result<()> {
        // The live area shows running builds; only finished ones get a line.
        let is_live = self.is_live();
        let changes = changes
            .iter()
            .filter(|change| !is_live || change.status != BuildStatus::Building);
        self.print(tracker, &changes.map(line).collect::<Vec<_>>())
    }

    /// Takes what only a snapshot has: the expected end, and why builds wait, of which each reason is printed once.
    pub(crate) fn refresh(&mut self, tracker: &Tracker, detail: &IterationDetail) -> Result<()> {
        self.eta = Eta::of(&detail.summary);
        let architectures = detail.architectures.iter();
        let reasons: Vec<String> = architectures
            .filter_map(|architecture| architecture.stalled.clone())
            .collect();
        let known = std::mem::replace(&mut self.stalled, reasons.clone());
        if self.output.is_json() {
            return Ok(());
        }
        let new = reasons.iter().filter(|reason| !known.contains(reason));
        let lines = new.map(|reason| format!("stalled: {}", clean(reason)));
        self.print(tracker, &lines.collect::<Vec<_>>())
    }

    /// Prints that the connection broke.
    pub(crate) fn lost(&mut self, tracker: &Tracker, reason: &str) {
        let text = format!("connection lost, reconnecting: {}", clean(reason));
        match self.is_live() {
            // Printing above a live area does not fail.
            true => drop(self.print(tracker, &[text])),
            false => self.output.note(text),
        }
    }

    /// Draws the live area again: times elapse, and terminals change their size.
    pub(crate) fn tick(&mut self, tracker: &Tracker) {
        self.draw(tracker, &[]);
    }

    /// Does what a key asks for.
    pub(crate) fn key(&mut self, tracker: &Tracker, key: Key) {
        let (now, eta) = (Timestamp::now(), self.eta);
        let Some(live) = &mut self.live else { return };
        // Entries and lines of the terminal may be fewer than before.
        let most = most_scrolled(&live.view(tracker, eta, now), &live.painter.screen());
        let scrolled = live.scrolled.min(most);
        match key {
            Key::Up => live.scrolled = scrolled.saturating_sub(SCROLLED_AT_ONCE),
            Key::Down => live.scrolled = (scrolled + SCROLLED_AT_ONCE).min(most),
            Key::Failed => {
                live.failed_only = !live.failed_only;
                live.scrolled = 0;
            }
            Key::Quit => {}
        }
        self.draw(tracker, &[]);
    }

    /// Removes the live area.
    pub(crate) fn clear(&mut self) {
        if let Some(mut live) = self.live.take() {
            live.painter.clear();
        }
    }

    fn print(&mut self, tracker: &Tracker, lines: &[String]) -> Result<()> {
        if self.is_live() {
            self.draw(tracker, lines);
            return Ok(());
        }
        let screen = self.output.screen;
        let mut fitting = lines.iter().map(|line| screen.fit(line));
        fitting.try_for_each(|line| self.output.line(line))
    }

    fn draw(&mut self, tracker: &Tracker, above: &[String]) {
        let (now, eta) = (Timestamp::now(), self.eta);
        let Some(live) = &mut self.live else { return };
        let screen = live.painter.screen();
        let area = frame(&live.view(tracker, eta, now), &screen);
        let above: Vec<String> = above.iter().map(|line| screen.fit(line)).collect();
        live.painter.draw(&above, area);
    }
}

impl Live {
    fn view<'a>(&self, tracker: &'a Tracker, eta: Eta, now: Timestamp) -> View<'a> {
        View {
            counts: tracker.counts(),
            causes: tracker.causes(),
            running: tracker.running(),
            eta,
            now,
            scrolled: self.scrolled,
            failed_only: self.failed_only,
            has_keys: self.has_keys,
        }
    }
}
