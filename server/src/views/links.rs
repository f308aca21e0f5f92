//! Where everything is: the addresses that pages link to. Below a proxy they begin with the path of
//! `--url`; the server answers with it and without it, so they work either way.

use std::fmt::Display;
use std::sync::Arc;

use askama::filters::urlencode;
use buildbtw_model::NamespaceName;

use super::assets::Asset;

/// See the module. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Links {
    prefix: Arc<str>,
}

impl Links {
    /// The addresses below a path: empty, or one that begins with a slash and ends without.
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

    /// The page of a build that shows the log of an attempt.
    pub(crate) fn attempt(&self, build: impl Display, attempt: impl Display) -> String {
        self.to(format_args!("builds/{build}?attempt={attempt}#log"))
    }

    pub(crate) fn sources(&self) -> String {
        self.to("sources")
    }

    pub(crate) fn broken_sources(&self) -> String {
        self.to("sources?broken=true")
    }

    pub(crate) fn asset(&self, asset: &Asset) -> String {
        self.to(format_args!("assets/{}/{}", asset.hash, asset.name))
    }

    /// The events of a namespace.
    pub(crate) fn events(&self, name: &NamespaceName) -> String {
        self.to(format_args!("api/v1/namespaces/{name}/events"))
    }

    /// An iteration as JSON.
    pub(crate) fn iteration_json(&self, name: &NamespaceName, number: impl Display) -> String {
        self.to(format_args!("api/v1/namespaces/{name}/iterations/{number}"))
    }

    /// The log of an attempt as text.
    pub(crate) fn log(&self, attempt: impl Display) -> String {
        self.to(format_args!("api/v1/attempts/{attempt}/log"))
    }

    /// The PKGBUILD that an attempt built with.
    pub(crate) fn pkgbuild(&self, attempt: impl Display) -> String {
        self.to(format_args!("api/v1/attempts/{attempt}/pkgbuild"))
    }

    /// The listing of a folder of repositories: of the namespaces, the iterations of one, the
    /// architectures of an iteration, or the files of one of those.
    pub(crate) fn repositories(&self, folders: &[&str]) -> String {
        let mut href = self.to("repo/");
        for folder in folders {
            href.push_str(&encoded(folder));
            href.push('/');
        }
        href
    }

    /// A file of a repository.
    pub(crate) fn repository_file(&self, folders: &[&str], file: &str) -> String {
        self.repositories(folders) + &encoded(file)
    }
}

/// Text as a part of an address.
pub(super) fn encoded(text: &str) -> String {
    // Writing to a string cannot fail.
    let Ok(encoded) = urlencode(text);
    encoded.to_string()
}
