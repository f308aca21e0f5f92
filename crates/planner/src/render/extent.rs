//! How much of a plan is written as text.

/// The lines that every text has: a blank one, the summary, and what callers add about sources.
const OTHER_LINES: usize = 6;
/// The lines of a section besides its rows: a blank one, the heading, and how many rows are missing.
const SECTION_LINES: usize = 3;
/// The needs that a shortened text names per build.
const NEEDS: usize = 4;

/// How much of a plan is written as text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Extent {
    /// Everything.
    #[default]
    All,
    /// About as many lines as a screen has. Half of them are for what is not a build.
    Lines(usize),
    /// At most so many builds, and as many rows of each other section.
    Rows(usize),
}

impl Extent {
    /// Returns how many rows each of some sections has at most.
    pub(super) fn rows_of_sections(self, sections: usize) -> usize {
        match self {
            Self::All => usize::MAX,
            Self::Rows(rows) => rows,
            Self::Lines(lines) => {
                let each = lines / 2 / sections.max(1);
                each.saturating_sub(SECTION_LINES).max(1)
            }
        }
    }

    /// Returns how many builds are written at most.
    pub(super) fn builds(self) -> usize {
        match self {
            Self::All | Self::Lines(_) => usize::MAX,
            Self::Rows(rows) => rows,
        }
    }

    /// Returns how many lines the builds have at most, next to sections with this number of lines.
    pub(super) fn lines_of_builds(self, of_sections: usize) -> usize {
        match self {
            Self::All | Self::Rows(_) => usize::MAX,
            Self::Lines(lines) => lines.saturating_sub(of_sections + OTHER_LINES),
        }
    }

    /// Returns how many needs of a build are named.
    pub(super) fn needs(self) -> usize {
        match self {
            Self::All => usize::MAX,
            Self::Lines(_) | Self::Rows(_) => NEEDS,
        }
    }
}
