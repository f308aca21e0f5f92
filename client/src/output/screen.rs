//! The size of the terminal that results are read on.

use console::Term;

/// The lines of a terminal of the usual size, for output in a pipe.
const USUAL_HEIGHT: usize = 24;

/// The size of a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Screen {
    /// Its columns; unlimited in a pipe, where programs read whole lines.
    pub(crate) width: Option<usize>,
    /// Its lines.
    pub(crate) height: usize,
}

impl Screen {
    /// Returns the size of standard output. In a pipe, COLUMNS and LINES set it.
    pub(crate) fn of_stdout() -> Self {
        Self::of(&Term::stdout())
    }

    /// Returns the size of standard error, where progress is drawn.
    pub(crate) fn of_stderr() -> Self {
        Self::of(&Term::stderr())
    }

    fn of(terminal: &Term) -> Self {
        let size = terminal
            .is_term()
            .then(|| terminal.size_checked())
            .flatten();
        match size {
            // A terminal that does not know its size says 0.
            Some((height, width)) if height > 0 && width > 0 => Self {
                width: Some(width.into()),
                height: height.into(),
            },
            _ => Self {
                width: number("COLUMNS"),
                height: number("LINES").unwrap_or(USUAL_HEIGHT),
            },
        }
    }

    /// Returns a line that does not wrap: the part of it that fits, with an ellipsis.
    pub(crate) fn fit(self, line: &str) -> String {
        match self.width {
            Some(width) => console::truncate_str(line, width, "…").into_owned(),
            None => line.to_owned(),
        }
    }
}

/// Returns a number above 0 of an environment variable.
fn number(name: &str) -> Option<usize> {
    let text = std::env::var(name).ok()?;
    text.trim().parse().ok().filter(|number| *number > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shortens_lines_to_the_width_and_keeps_colours() {
        let screen = |width| Screen { width, height: 24 };
        assert_eq!(screen(Some(5)).fit("abcdefg"), "abcd…");
        assert_eq!(screen(Some(7)).fit("abcdefg"), "abcdefg");
        assert_eq!(screen(None).fit("abcdefg"), "abcdefg");
        let red = screen(Some(4)).fit("\x1b[31mabcdefg\x1b[0m");
        assert_eq!(console::strip_ansi_codes(&red), "abc…");
        assert!(red.ends_with("\x1b[0m"), "{red:?}");
    }
}
