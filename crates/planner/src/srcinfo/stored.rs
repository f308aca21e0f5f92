//! The lines of the stored form, which is described in `package`.

/// A line without its tag.
#[derive(Clone, Copy)]
pub(crate) struct Line<'a> {
    /// Empty for every architecture.
    pub(crate) architecture: &'a str,
    pub(crate) value: &'a str,
}

fn parse_line(line: &str) -> Option<Line<'_>> {
    let (head, value) = line.split_once(' ')?;
    let (_, architecture) = head.split_once(':').unwrap_or((head, ""));
    Some(Line {
        architecture,
        value,
    })
}

/// Returns the lines of a section with a tag.
pub(super) fn lines(section: &str, tag: u8) -> impl Iterator<Item = Line<'_>> {
    let mut start = 0;
    memchr::memchr_iter(b'\n', section.as_bytes())
        .chain([section.len()])
        .filter_map(move |end| {
            let line = section.get(start..end)?;
            start = end + 1;
            (line.as_bytes().first() == Some(&tag)).then_some(line)
        })
        .filter_map(parse_line)
}
