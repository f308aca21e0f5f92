//! Tables: aligned with spaces, the same on a terminal and in a pipe, colours aside.

use anstyle::Style;

use super::clean::clean;
use super::results::Output;
use super::style;
use crate::error::Result;

/// A cell of a table.
pub(crate) struct Cell {
    text: String,
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
            style,
        }
    }

    fn width(&self) -> usize {
        self.text.chars().count()
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

    pub(crate) fn print(&self, output: Output) -> Result<()> {
        for line in self.lines() {
            output.line(line)?;
        }
        Ok(())
    }

    fn lines(&self) -> impl Iterator<Item = String> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns)
            .map(|column| {
                let cells = self.rows.iter().filter_map(|row| row.get(column));
                cells.map(Cell::width).max().unwrap_or(0)
            })
            .collect();
        self.rows.iter().map(move |row| {
            let mut line = String::new();
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                line.push_str(&style::paint(cell.style, &cell.text));
                // The last column is not padded: no line ends with spaces.
                if column + 1 < row.len() {
                    line.extend(std::iter::repeat_n(' ', width - cell.width() + 2));
                }
            }
            line
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
}
