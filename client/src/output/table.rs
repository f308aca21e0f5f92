//! Tables: aligned with spaces, the same on a terminal and in a pipe, colours aside.

use anstyle::Style;

use super::clean::clean;
use super::results::Output;
use super::screen::Screen;
use super::style;
use crate::error::Result;

/// A cell of a table.
pub(crate) struct Cell {
    text: String,
    /// The other lines of a last cell.
    rest: Vec<String>,
    style: Style,
}

impl Cell {
    pub(crate) fn new(text: impl std::fmt::Display) -> Self {
        Self::styled(style::PLAIN, text)
    }

    pub(crate) fn styled(style: Style, text: impl std::fmt::Display) -> Self {
        // An empty cell would shift the columns after it for scripts that split at spaces.
        let text = clean(&text.to_string());
        Self {
            text: if text.is_empty() { "-".into() } else { text },
            rest: Vec::new(),
            style,
        }
    }

    /// Creates a cell whose text keeps its lines. It has to be the last one of its row.
    pub(crate) fn lines(text: &str) -> Self {
        let mut lines = text.trim_end().lines();
        let first = Self::new(lines.next().unwrap_or_default());
        Self {
            rest: lines.map(clean).collect(),
            ..first
        }
    }

    fn width(&self) -> usize {
        console::measure_text_width(&self.text)
    }
}

/// A header and the rows below it.
pub(crate) struct Table {
    rows: Vec<Vec<Cell>>,
}

impl Table {
    pub(crate) fn new(header: &[&str]) -> Self {
        let header = header.iter().map(|text| Cell::styled(style::HEADER, text));
        Self {
            rows: vec![header.collect()],
        }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    pub(crate) fn print(&self, output: &Output) -> Result<()> {
        for line in self.lines_on(&output.screen) {
            output.line(line)?;
        }
        Ok(())
    }

    /// Returns the lines, none wider than the screen.
    pub(crate) fn lines_on(&self, screen: &Screen) -> Vec<String> {
        self.lines().map(|line| screen.fit(&line)).collect()
    }

    fn lines(&self) -> impl Iterator<Item = String> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns)
            .map(|column| {
                let cells = self.rows.iter().filter_map(|row| row.get(column));
                cells.map(Cell::width).max().unwrap_or(0)
            })
            .collect();
        let gap = |width: usize| std::iter::repeat_n(' ', width + 2);
        self.rows.iter().flat_map(move |row| {
            let (mut line, mut indent) = (String::new(), String::new());
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                line.push_str(&style::paint(cell.style, &cell.text));
                // The last column is not padded: no line ends with spaces.
                if column + 1 < row.len() {
                    line.extend(gap(width - cell.width()));
                    indent.extend(gap(*width));
                }
            }
            let rest = row.last().into_iter().flat_map(|cell| &cell.rest);
            let rest = rest.map(|text| format!("{indent}{text}"));
            std::iter::once(line).chain(rest).collect::<Vec<_>>()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aligns_coloured_columns() {
        let mut table = Table::new(&["NAME", "STATUS"]);
        table.row([Cell::new("a"), Cell::styled(style::ERROR, "failed")]);
        table.row([Cell::new("libgreet"), Cell::new("")]);
        let lines: Vec<String> = table
            .lines()
            .map(|line| anstream::adapter::strip_str(&line).to_string())
            .collect();
        assert_eq!(
            lines,
            ["NAME      STATUS", "a         failed", "libgreet  -"]
        );
    }

    #[test]
    fn keeps_lines_of_the_last_column_and_fits_the_screen() {
        let mut table = Table::new(&["NAME", "NOTE"]);
        table.row([
            Cell::new("libgreet"),
            Cell::lines("build() failed:\n\x1b[2Jgreet.c:1: no hello.h\n"),
        ]);
        let screen = |width| Screen { width, height: 24 };
        let lines = |width| {
            let lines = table.lines_on(&screen(width)).into_iter();
            let plain = lines.map(|line| console::strip_ansi_codes(&line).into_owned());
            plain.collect::<Vec<_>>()
        };
        assert_eq!(
            lines(None),
            [
                "NAME      NOTE",
                "libgreet  build() failed:",
                "           [2Jgreet.c:1: no hello.h",
            ]
        );
        assert_eq!(lines(Some(12))[1], "libgreet  b…");
        assert!(
            lines(Some(7))
                .iter()
                .all(|line| console::measure_text_width(line) <= 7)
        );
    }
}
