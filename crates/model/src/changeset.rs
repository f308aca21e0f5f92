//! Changesets: a source repository at a ref, which is what a user asks to build.

use std::fmt;
use std::str::FromStr;

use crate::ids::{GitRef, InvalidName, Pkgbase};

/// A source repository at a ref, written `pkgbase/git-ref`, for example `openimageio/main`. The ref may contain
/// slashes.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct Changeset {
    /// The source repository.
    pub pkgbase: Pkgbase,
    /// The branch, tag or commit.
    pub git_ref: GitRef,
}

crate::schema::schema!(
    Changeset,
    crate::schema::text(
        &["A source repository at a branch, tag or commit: `pkgbase/git-ref`."],
        "^[^/]+/.+$",
        "libgreet/main",
    )
);

/// Why a text is not a changeset.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangesetError {
    /// It has no slash.
    #[error("`{0}` is not a changeset: expected pkgbase/git-ref, for example {0}/main")]
    NoRef(String),
    /// The pkgbase or the ref is invalid.
    #[error(transparent)]
    Invalid(#[from] InvalidName),
}

impl FromStr for Changeset {
    type Err = ChangesetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some((pkgbase, git_ref)) = text.split_once('/') else {
            // An invalid pkgbase is reported first: advice to add a ref to it would be wrong.
            let pkgbase: Pkgbase = text.parse()?;
            return Err(ChangesetError::NoRef(pkgbase.to_string()));
        };
        Ok(Self {
            pkgbase: pkgbase.parse()?,
            git_ref: git_ref.parse()?,
        })
    }
}

impl TryFrom<String> for Changeset {
    type Error = ChangesetError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Changeset> for String {
    fn from(changeset: Changeset) -> Self {
        changeset.to_string()
    }
}

impl fmt::Display for Changeset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.pkgbase, self.git_ref)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_refs_with_slashes() {
        let changeset: Changeset = "gtk4/feature/x".parse().unwrap();
        assert_eq!(changeset.pkgbase.as_str(), "gtk4");
        assert_eq!(changeset.git_ref.as_str(), "feature/x");
        assert_eq!(changeset.to_string(), "gtk4/feature/x");
    }

    #[test]
    fn names_missing_part_of_malformed_changeset() {
        let error = "gtk4".parse::<Changeset>().unwrap_err().to_string();
        assert!(error.contains("gtk4/main"), "{error}");
        for bad in ["", "/main", "gtk4/", "../main", "gtk4/-x"] {
            assert!(bad.parse::<Changeset>().is_err(), "{bad:?}");
        }
    }
}
