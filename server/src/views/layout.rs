//! The frame of all pages.

use super::assets;
use super::links::Links;

/// The entry of the navigation that a page belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    /// Namespaces, their iterations and builds.
    Namespaces,
    /// Source repositories.
    Sources,
    /// Workers.
    Workers,
    /// No entry.
    Other,
}

/// The frame of a page.
pub(crate) struct Layout {
    pub(crate) title: String,
    section: Section,
    pub(crate) links: Links,
    pub(crate) style: String,
    pub(crate) script: String,
    pub(crate) icon: String,
}

impl Layout {
    pub(crate) fn new(links: &Links, section: Section, title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            section,
            style: links.asset(&assets::STYLE),
            script: links.asset(&assets::SCRIPT),
            icon: links.asset(&assets::ICON),
            links: links.clone(),
        }
    }

    pub(crate) fn in_namespaces(&self) -> bool {
        self.section == Section::Namespaces
    }

    pub(crate) fn in_workers(&self) -> bool {
        self.section == Section::Workers
    }

    pub(crate) fn in_sources(&self) -> bool {
        self.section == Section::Sources
    }
}
