//! Origins that are taken out of a namespace.

use std::fmt;
use std::str::FromStr;

use crate::changeset::{Changeset, ChangesetError};
use crate::ids::{GitRef, Pkgbase};

/// An origin to take out of a namespace: `pkgbase`, or `pkgbase/git-ref` to be sure of its ref.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RemovedOrigin {
    /// The source repository.
    pub pkgbase: Pkgbase,
    /// The ref that the origin must have.
    pub git_ref: Option<GitRef>,
}

crate::schema::schema!(
    RemovedOrigin,
    crate::schema::text(
        &["An origin of a namespace: `pkgbase`, or `pkgbase/git-ref`."],
        "^[^/]+(/.+)?$",
        "libgreet",
    )
);

impl RemovedOrigin {
    /// Returns whether it names an origin.
    #[must_use]
    pub fn matches(&self, origin: &Changeset) -> bool {
        let is_same_ref = self
            .git_ref
            .as_ref()
            .is_none_or(|git_ref| *git_ref == origin.git_ref);
        self.pkgbase == origin.pkgbase && is_same_ref
    }
}

impl FromStr for RemovedOrigin {
    type Err = ChangesetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !text.contains('/') {
            return Ok(Self {
                pkgbase: text.parse()?,
                git_ref: None,
            });
        }
        let Changeset { pkgbase, git_ref } = text.parse()?;
        Ok(Self {
            pkgbase,
            git_ref: Some(git_ref),
        })
    }
}

impl TryFrom<String> for RemovedOrigin {
    type Error = ChangesetError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<RemovedOrigin> for String {
    fn from(origin: RemovedOrigin) -> Self {
        origin.to_string()
    }
}

impl fmt::Display for RemovedOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pkgbase.fmt(f)?;
        match &self.git_ref {
            Some(git_ref) => write!(f, "/{git_ref}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_origins_with_or_without_their_ref() {
        let origin: Changeset = "gtk4/feature/x".parse().unwrap();
        for (text, expected) in [
            ("gtk4", true),
            ("gtk4/feature/x", true),
            ("gtk4/main", false),
            ("gtk3", false),
        ] {
            let removed: RemovedOrigin = text.parse().unwrap();
            assert_eq!(removed.matches(&origin), expected, "{text}");
            assert_eq!(removed.to_string(), text);
        }
        assert!("../x".parse::<RemovedOrigin>().is_err());
    }
}
