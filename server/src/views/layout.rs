//! What all pages have around their content.

use super::assets;

/// Which entry of the navigation a page belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    /// Namespaces, their iterations and builds.
    Namespaces,
    /// Source repositories.
    Sources,
    /// None.
    Other,
}

/// See the module.
pub(crate) struct Layout {
    pub(crate) title: String,
    section: Section,
    pub(crate) style: &'static str,
    pub(crate) script: &'static str,
    pub(crate) icon: &'static str,
}

impl Layout {
    pub(crate) fn new(section: Section, title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            section,
            style: &assets::STYLE.href,
            script: &assets::SCRIPT.href,
            icon: &assets::ICON.href,
        }
    }

    pub(crate) fn in_namespaces(&self) -> bool {
        self.section == Section::Namespaces
    }

    pub(crate) fn in_sources(&self) -> bool {
        self.section == Section::Sources
    }
}
