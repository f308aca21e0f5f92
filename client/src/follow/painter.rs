//! Draws the live area at the bottom of the terminal, and lines above it.

use console::Term;

use crate::output::Screen;

/// The lines that are on the terminal, to be replaced by the next ones.
#[derive(Debug)]
pub(super) struct Painter {
    terminal: Term,
    drawn: Vec<String>,
    colors: bool,
}

impl Painter {
    pub(super) fn new() -> Self {
        let choice = anstream::AutoStream::choice(&std::io::stderr());
        Self {
            terminal: Term::buffered_stderr(),
            drawn: Vec::new(),
            colors: choice != anstream::ColorChoice::Never,
        }
    }

    pub(super) fn screen(&self) -> Screen {
        Screen::of_stderr()
    }

    /// Prints lines above the live area, which is drawn below them.
    pub(super) fn draw(&mut self, above: &[String], area: Vec<String>) {
        if above.is_empty() && area == self.drawn {
            return;
        }
        let _ = self.try_draw(above, &area);
        self.drawn = area;
    }

    /// Removes the live area.
    pub(super) fn clear(&mut self) {
        self.draw(&[], Vec::new());
    }

    // Progress that cannot be printed is not an error: the result is printed at the end.
    fn try_draw(&self, above: &[String], area: &[String]) -> std::io::Result<()> {
        self.terminal.clear_last_lines(self.drawn_rows())?;
        for line in above.iter().chain(area) {
            if self.colors {
                self.terminal.write_line(line)?;
            } else {
                self.terminal.write_line(&console::strip_ansi_codes(line))?;
            }
        }
        self.terminal.flush()
    }

    /// Returns how many lines of the terminal the area takes: more than it has, if the terminal became narrower.
    fn drawn_rows(&self) -> usize {
        let width = self.screen().width.unwrap_or(usize::MAX).max(1);
        let rows = |line: &String| console::measure_text_width(line).div_ceil(width).max(1);
        self.drawn.iter().map(rows).sum()
    }
}
