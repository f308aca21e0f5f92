//! Addresses that pages link to. With `--url` they begin with its path; the server serves both forms, so
//! they work either way.

use std::fmt::Display;
use std::sync::Arc;

use askama::filters::urlencode;
use buildbtw_model::NamespaceName;

use super::assets::Asset;

/// The addresses. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Links {
    prefix: Arc<str>,
}

impl Links {
    /// Creates addresses below a path: empty, or with a leading and without a trailing slash.
    pub(crate) fn below(prefix: &str) -> Self {
        Self {
            prefix: prefix.into(),
        }
    }

    fn to(&self, path: impl Display) -> String {
        format!("{}/{path}", self.prefix)
    }

    pub(crate) fn home(&self) -> String {
        self.to("")
    }

    pub(crate) fn namespace(&self, name: &NamespaceName) -> String {
        self.to(format_args!("namespaces/{name}"))
    }

    pub(crate) fn iteration(&self, name: &NamespaceName, number: impl Display) -> String {
        self.to(format_args!("namespaces/{name}/iterations/{number}"))
    }

    pub(crate) fn build(&self, id: impl Display) -> String {
        self.to(format_args!("builds/{id}"))
    }

    /// Returns the page of a build with the log of an attempt.
    pub(crate) fn attempt(&self, build: impl Display, attempt: impl Display) -> String {
        self.to(format_args!("builds/{build}?attempt={attempt}#log"))
    }

    pub(crate) fn sources(&self) -> String {
        self.to("sources")
    }

    pub(crate) fn broken_sources(&self) -> String {
        self.to("sources?broken=true")
    }

    pub(crate) fn workers(&self) -> String {
        self.to("workers")
    }

    pub(crate) fn asset(&self, asset: &Asset) -> String {
        self.to(format_args!("assets/{}/{}", asset.hash, asset.name))
    }

    /// Returns the event stream of a namespace.
    pub(crate) fn events(&self, name: &NamespaceName) -> String {
        self.to(format_args!("api/v1/namespaces/{name}/events"))
    }

    /// Returns an iteration as JSON.
    pub(crate) fn iteration_json(&self, name: &NamespaceName, number: impl Display) -> String {
        self.to(format_args!("api/v1/namespaces/{name}/iterations/{number}"))
    }

    /// Returns the log of an attempt as text.
    pub(crate) fn log(&self, attempt: impl Display) -> String {
        self.to(format_args!("api/v1/attempts/{attempt}/log"))
    }

    /// Returns the PKGBUILD of an attempt.
    pub(crate) fn pkgbuild(&self, attempt: impl Display) -> String {
        self.to(format_args!("api/v1/attempts/{attempt}/pkgbuild"))
    }

    /// Returns the listing of a repository folder: all namespaces, the iterations of one, the architectures
    /// of an iteration, or the files of one of those.
    pub(crate) fn repositories(&self, folders: &[&str]) -> String {
        let mut href = self.to("repo/");
        for folder in folders {
            href.push_str(&encoded(folder));
            href.push('/');
        }
        href
    }

    /// Returns a file of a repository.
    pub(crate) fn repository_file(&self, folders: &[&str], file: &str) -> String {
        self.repositories(folders) + &encoded(file)
    }
}

/// Percent-encodes a part of an address.
pub(super) fn encoded(text: &str) -> String {
    // Writing to a string cannot fail.
    let Ok(encoded) = urlencode(text);
    encoded.to_string()
}
