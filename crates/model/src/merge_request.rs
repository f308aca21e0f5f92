//! URLs of merge requests, as copied from a browser.

use std::fmt;
use std::str::FromStr;

use crate::MergeRequestIid;
use crate::changeset::{Changeset, ChangesetError};

/// The URL of a merge request, such as `https://gitlab.example.org/group/project/-/merge_requests/5`. Anything after
/// the number, such as `/diffs`, is dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergeRequestUrl {
    /// Scheme and host, for example `https://gitlab.example.org`. If GitLab has a relative URL root, that is part of
    /// `path`; [`Self::project_on`] removes it.
    origin: String,
    path: String,
    number: MergeRequestIid,
}

/// A text that is not the URL of a merge request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not the URL of a merge request: expected \
     https://gitlab.example.org/group/project/-/merge_requests/5"
)]
pub struct MergeRequestUrlError(String);

impl MergeRequestUrl {
    /// Returns the project's path and the merge request's number if the URL belongs to the GitLab instance at this
    /// address.
    #[must_use]
    pub fn project_on(&self, gitlab: &str) -> Option<(&str, MergeRequestIid)> {
        let (scheme, rest) = gitlab.trim_end_matches('/').split_once("://")?;
        let (host, rest) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if origin(scheme, host) != self.origin {
            return None;
        }
        let path = match rest.strip_prefix('/') {
            Some(prefix) => self.path.strip_prefix(prefix)?.strip_prefix('/')?,
            None if rest.is_empty() => &self.path,
            None => return None,
        };
        Some((path, self.number))
    }
}

impl FromStr for MergeRequestUrl {
    type Err = MergeRequestUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or_else(|| MergeRequestUrlError(text.chars().take(200).collect()))
    }
}

/// Normalizes scheme and host for comparison: hosts are case-insensitive, and each scheme has a default port.
fn origin(scheme: &str, host: &str) -> String {
    let port = if scheme == "https" { ":443" } else { ":80" };
    let host = host.strip_suffix(port).unwrap_or(host);
    format!("{scheme}://{}", host.to_ascii_lowercase())
}

fn parse(text: &str) -> Option<MergeRequestUrl> {
    let (scheme, rest) = text.split_once("://")?;
    if !matches!(scheme, "http" | "https") {
        return None;
    }
    let (host, path) = rest.split_once('/')?;
    let (path, number) = path.split_once("/-/merge_requests/")?;
    let end = number.find(['/', '?', '#']).unwrap_or(number.len());
    let number = number.get(..end)?;
    if !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number = number.parse().ok()?;
    let is_path = |part: &str| {
        !part.is_empty()
            && part != ".."
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
    };
    let is_host = !host.is_empty()
        && host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b".-:[]".contains(&b));
    let well_formed = is_host && path.contains('/') && path.split('/').all(is_path);
    well_formed.then(|| MergeRequestUrl {
        origin: origin(scheme, host),
        path: path.to_owned(),
        number,
    })
}

impl fmt::Display for MergeRequestUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}/{}/-/merge_requests/{}",
            self.origin, self.path, self.number
        )
    }
}

/// An origin as the user specifies it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum OriginSpec {
    /// `pkgbase/git-ref`.
    Changeset(Changeset),
    /// The branch of a merge request.
    MergeRequest(MergeRequestUrl),
}

crate::schema::schema!(
    OriginSpec,
    crate::schema::text(
        &["An origin: `pkgbase/git-ref`, or the address of a merge request on the watched GitLab."],
        "^[^/]+/.+$",
        "libgreet/main",
    )
);

/// Why a text does not specify an origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OriginSpecError {
    /// It looks like a changeset, but is not a valid one.
    #[error(transparent)]
    Changeset(#[from] ChangesetError),
    /// It looks like a URL, but is not that of a merge request.
    #[error(transparent)]
    MergeRequest(#[from] MergeRequestUrlError),
}

impl FromStr for OriginSpec {
    type Err = OriginSpecError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains("://") {
            Ok(Self::MergeRequest(text.parse()?))
        } else {
            Ok(Self::Changeset(text.parse()?))
        }
    }
}

impl TryFrom<String> for OriginSpec {
    type Error = OriginSpecError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<OriginSpec> for String {
    fn from(spec: OriginSpec) -> Self {
        spec.to_string()
    }
}

impl From<Changeset> for OriginSpec {
    fn from(changeset: Changeset) -> Self {
        Self::Changeset(changeset)
    }
}

impl fmt::Display for OriginSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changeset(changeset) => changeset.fmt(f),
            Self::MergeRequest(url) => url.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_merge_request_urls_from_browsers() {
        for text in [
            "https://gitlab.example.org/packaging/packages/gtk4/-/merge_requests/12",
            "https://gitlab.example.org/packaging/packages/gtk4/-/merge_requests/12/diffs?x#note_1",
            "https://GitLab.example.org/packaging/packages/gtk4/-/merge_requests/12#",
        ] {
            let url: MergeRequestUrl = text.parse().unwrap();
            let found = url.project_on("https://gitlab.example.org/");
            assert_eq!(
                found,
                Some(("packaging/packages/gtk4", MergeRequestIid(12))),
                "{text}"
            );
            assert_eq!(url.project_on("https://gitlab.com"), None);
        }
        let below: MergeRequestUrl = "http://host:8080/Git/lab/g/p/-/merge_requests/1"
            .parse()
            .unwrap();
        assert_eq!(
            below.project_on("http://host:8080/Git/lab"),
            Some(("g/p", MergeRequestIid(1)))
        );
        assert_eq!(below.project_on("http://host/Git/lab"), None);
        let port: MergeRequestUrl = "https://host:443/g/p/-/merge_requests/1".parse().unwrap();
        assert_eq!(
            port.project_on("https://Host"),
            Some(("g/p", MergeRequestIid(1)))
        );
    }

    #[test]
    fn explains_expected_form_for_other_urls() {
        for text in [
            "https://gitlab.example.org/packaging/gtk4",
            "https://gitlab.example.org/packaging/gtk4/-/issues/1",
            "https://gitlab.example.org/packaging/gtk4/-/merge_requests/x",
            "https://gitlab.example.org/packaging/gtk4/-/merge_requests/12x",
            "https://gitlab.example.org/packaging/gtk4/-/merge_requests/",
            "https://gitlab.example.org/gtk4/-/merge_requests/1",
            "https://gitlab.example.org/a/../b/-/merge_requests/1",
            "ftp://gitlab.example.org/a/b/-/merge_requests/1",
            "https:///a/b/-/merge_requests/1",
        ] {
            let error = text.parse::<OriginSpec>().unwrap_err().to_string();
            assert!(error.contains("expected"), "{text}: {error}");
        }
        let spec: OriginSpec = "gtk4/main".parse().unwrap();
        assert_eq!(spec.to_string(), "gtk4/main");
    }
}
