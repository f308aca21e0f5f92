//! Notes about the versions of builds.

use crate::{PackageVersion, VersionNoteKind};

/// A note to show next to the version of a build's packages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionNote {
    /// The kind of note.
    pub kind: VersionNoteKind,
    /// The note, human-readable.
    pub text: String,
}

impl VersionNote {
    /// Returns the note about a version, if there is one: whether the build computes it, and the newer version of a
    /// base repository.
    #[must_use]
    pub fn of(is_computed: bool, newer_in_base: Option<&PackageVersion>) -> Option<Self> {
        if is_computed {
            return Some(Self {
                kind: VersionNoteKind::Computed,
                text: "version computed at build time".to_owned(),
            });
        }
        let newer = newer_in_base?;
        Some(Self {
            kind: VersionNoteKind::OlderThanBase,
            text: format!("older than base, `pacman -Syu` will not install it (base has {newer})"),
        })
    }
}
