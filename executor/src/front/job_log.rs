//! Formats the job's log for GitLab: the builder's headings become sections that can be folded, errors are red. Lines
//! of this program reset the colours that were set before.

use std::io::{self, Write};
use std::time::SystemTime;

use buildbtw_builder::HEADING;

use super::line_escaper::LineEscaper;
use super::plain_output::PlainOutput;

const BOLD: &str = "\x1b[1;34m";
const PLAIN: &str = "\x1b[0m";
/// A heading longer than this is cut.
const MAX_HEADING: usize = 1000;
/// Headings of sections that are not collapsed, because they hold what most readers need.
const OPEN: &[&str] = &["building", "simulating", "the sandbox failed"];

/// Writes the job's log.
#[derive(Debug)]
pub(crate) struct JobLog<W> {
    to: W,
    has_sections: bool,
    section: Option<u32>,
    sections: u32,
    line: Line,
    output: LineEscaper,
}

/// What is known about the line that is being written.
#[derive(Debug, PartialEq, Eq)]
enum Line {
    /// Its beginning, while it may become a heading.
    Undecided(Vec<u8>),
    Heading(Vec<u8>),
    Output,
}

impl<W: Write> JobLog<W> {
    /// Creates a log, with sections if GitLab can fold them.
    pub(crate) fn new(to: W, has_sections: bool) -> Self {
        Self {
            to,
            has_sections,
            section: None,
            sections: 0,
            line: Line::Undecided(Vec::new()),
            output: LineEscaper::default(),
        }
    }

    /// Writes a chunk of the build's log, which may end anywhere.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            match piece.strip_suffix(b"\n") {
                Some(text) => {
                    self.extend(text)?;
                    self.end_line()?;
                }
                None => self.extend(piece)?,
            }
        }
        self.to.flush()
    }

    /// Ends the last line and section.
    pub(crate) fn close(&mut self) -> io::Result<()> {
        if self.line != Line::Undecided(Vec::new()) {
            self.end_line()?;
        }
        let rest = self.output.close();
        self.to.write_all(&rest)?;
        self.end_section()?;
        self.to.flush()
    }

    /// Writes a line of this program, outside of sections.
    pub(crate) fn print(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.to, "{PLAIN}{text}")?;
        self.to.flush()
    }

    /// Writes a line of this program in bold.
    pub(crate) fn print_bold(&mut self, text: &str) -> io::Result<()> {
        self.print(&format!("{BOLD}{text}{PLAIN}"))
    }

    fn extend(&mut self, text: &[u8]) -> io::Result<()> {
        match &mut self.line {
            Line::Undecided(beginning) => {
                beginning.extend_from_slice(text);
                let beginning = std::mem::take(beginning);
                self.decide(beginning)
            }
            Line::Heading(heading) => {
                let room = MAX_HEADING.saturating_sub(heading.len());
                heading.extend(text.iter().take(room));
                Ok(())
            }
            Line::Output => self.output(text),
        }
    }

    fn decide(&mut self, beginning: Vec<u8>) -> io::Result<()> {
        if let Some(text) = beginning.strip_prefix(HEADING.as_bytes()) {
            self.line = Line::Heading(Vec::new());
            self.extend(text)
        } else if HEADING.as_bytes().starts_with(&beginning) {
            self.line = Line::Undecided(beginning);
            Ok(())
        } else {
            self.line = Line::Output;
            self.output(&beginning)
        }
    }

    fn end_line(&mut self) -> io::Result<()> {
        match std::mem::replace(&mut self.line, Line::Undecided(Vec::new())) {
            Line::Undecided(beginning) => {
                self.output(&beginning)?;
                self.output(b"\n")
            }
            Line::Output => self.output(b"\n"),
            Line::Heading(heading) => {
                let heading = PlainOutput::default().clean(&heading);
                self.start_section(&String::from_utf8_lossy(&heading))
            }
        }
    }

    /// Writes output that may be a package's.
    fn output(&mut self, bytes: &[u8]) -> io::Result<()> {
        let shown = self.output.feed(bytes);
        self.to.write_all(&shown)
    }

    fn start_section(&mut self, heading: &str) -> io::Result<()> {
        self.end_section()?;
        if self.has_sections {
            self.sections += 1;
            self.section = Some(self.sections);
            let is_open = OPEN.iter().any(|beginning| heading.starts_with(beginning));
            let option = if is_open { "" } else { "[collapsed=true]" };
            write!(
                self.to,
                "section_start:{}:buildbtw_{}{option}\r\x1b[0K",
                now(),
                self.sections
            )?;
        }
        writeln!(self.to, "{PLAIN}{BOLD}==> {heading}{PLAIN}")
    }

    fn end_section(&mut self) -> io::Result<()> {
        if let Some(number) = self.section.take() {
            write!(self.to, "section_end:{}:buildbtw_{number}\r\x1b[0K", now())?;
        }
        Ok(())
    }
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &[u8] =
        b"==> buildbtw: fetching a\nx\n==> buildbtw: building a\n==> Making\nerror: no\n\n==> ERR";

    fn shown(has_sections: bool, chunk: usize) -> String {
        let mut log = JobLog::new(Vec::new(), has_sections);
        for piece in LOG.chunks(chunk) {
            log.write(piece).unwrap();
        }
        log.close().unwrap();
        // The duration varies.
        let text = String::from_utf8(log.to).unwrap();
        let mut pieces = text.split("section_");
        let mut shown = pieces.next().unwrap().to_owned();
        for piece in pieces {
            let (kind, rest) = piece.split_once(':').unwrap();
            let (_, rest) = rest.split_once(':').unwrap();
            shown += &format!("section_{kind}:{rest}");
        }
        shown
    }

    #[test]
    fn folds_sections_and_colours_errors_at_any_chunk_boundary() {
        let expected = "section_start:buildbtw_1[collapsed=true]\r\x1b[0K\x1b[0m\x1b[1;34m==> fetching a\x1b[0m\n\
                        x\n\
                        section_end:buildbtw_1\r\x1b[0Ksection_start:buildbtw_2\r\x1b[0K\x1b[0m\x1b[1;34m==> building a\x1b[0m\n \
                        ==> Making\n\x1b[1;31merror: no\x1b[0m\n\n ==> ERR\nsection_end:buildbtw_2\r\x1b[0K";
        for chunk in [1, 2, 7, 1000] {
            assert_eq!(shown(true, chunk), expected);
        }
        assert!(!shown(false, 1000).contains("section_"));
    }
}
