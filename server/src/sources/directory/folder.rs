//! The watched folder whose git repositories are the sources.

use std::path::{Path, PathBuf};
use std::time::Duration;

use buildbtw_model::{CommitHash, GitRef, MergeRequestUrl, Pkgbase};
use buildbtw_telemetry::spawn_blocking_named;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use crate::db::source_repositories::{SourceProblem, SourceRepositoryRow};
use crate::error::Error;
use crate::sources::kind::{
    FoundMergeRequest, Place, ReadError, SourceKind, TreeAtCommit, misnamed,
};
use crate::sources::refusals::no_merge_requests;

use super::git::{self, GitError};

/// A watched folder.
pub(crate) struct Directory {
    pub(super) folder: PathBuf,
    /// The URL below which workers fetch repositories, in place of the path.
    clone_base: Option<String>,
    /// The time between full resyncs.
    resync_interval: Duration,
}

impl Directory {
    /// Creates the source for a folder.
    pub(crate) fn new(
        folder: PathBuf,
        clone_base: Option<String>,
        resync_interval: Duration,
    ) -> Self {
        Self {
            folder,
            clone_base,
            resync_interval,
        }
    }

    /// Returns the path of the folder.
    pub(crate) fn path(&self) -> &Path {
        &self.folder
    }

    /// Returns the time between full resyncs.
    pub(crate) fn resync_interval(&self) -> Duration {
        self.resync_interval
    }
}

impl SourceKind for Directory {
    fn origin(&self) -> String {
        format!("folder {}", self.folder.display())
    }

    fn title(&self) -> String {
        "a folder on the server".to_owned()
    }

    fn clone_url(&self, place: Place<'_>) -> String {
        match &self.clone_base {
            Some(url) => format!("{url}/{}", place.path),
            None => self.folder.join(place.path).to_string_lossy().into_owned(),
        }
    }

    /// Requires that a repository is named after its pkgbase. Otherwise it would be found under an unexpected name,
    /// or take the place of another one.
    fn name_problem(&self, path: &str, pkgbase: &Pkgbase) -> Option<SourceProblem> {
        let name = path.strip_suffix(".git").unwrap_or(path);
        (name != pkgbase.as_str()).then(|| misnamed(name, pkgbase))
    }

    fn expected_name(&self, pkgbase: &Pkgbase) -> String {
        pkgbase.to_string()
    }

    fn read_commit<'a>(
        &'a self,
        repository: &'a SourceRepositoryRow,
        git_ref: &'a GitRef,
    ) -> BoxFuture<'a, Result<CommitHash, ReadError>> {
        let tree = self.read_ref(repository, git_ref);
        async move { Ok(tree.await?.commit) }.boxed()
    }

    fn read_ref<'a>(
        &'a self,
        repository: &'a SourceRepositoryRow,
        git_ref: &'a GitRef,
    ) -> BoxFuture<'a, Result<TreeAtCommit, ReadError>> {
        let path = self.folder.join(&repository.path);
        let git_ref = git_ref.clone();
        async move {
            let read =
                spawn_blocking_named("read ref", move || git::read_ref(&path, &git_ref)).await;
            match read {
                Ok(Ok(tree)) => Ok(tree),
                Ok(Err(GitError::UnknownRef)) => Err(ReadError::UnknownRef),
                Ok(Err(error)) => Err(ReadError::Broken(error.to_string())),
                Err(error) => Err(ReadError::Broken(error.to_string())),
            }
        }
        .boxed()
    }

    fn branches<'a>(&'a self, repository: &'a SourceRepositoryRow) -> BoxFuture<'a, Vec<String>> {
        let path = self.folder.join(&repository.path);
        async move {
            let read = spawn_blocking_named("list branches", move || git::branches(&path)).await;
            read.ok().and_then(Result::ok).unwrap_or_default()
        }
        .boxed()
    }

    fn merge_request<'a>(
        &'a self,
        url: &'a MergeRequestUrl,
    ) -> BoxFuture<'a, Result<FoundMergeRequest, Error>> {
        std::future::ready(Err(no_merge_requests(url))).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lets_workers_fetch_from_url_in_place_of_the_folder() {
        let place = || Place {
            path: "zlib.git",
            http_url: None,
            ssh_url: None,
        };
        let interval = Duration::from_secs(1);
        let clone_url = |base: Option<&str>| {
            let base = base.map(str::to_owned);
            Directory::new("/srv/sources".into(), base, interval).clone_url(place())
        };
        assert_eq!(clone_url(None), "/srv/sources/zlib.git");
        let base = "https://git.example.org/packaging";
        assert_eq!(clone_url(Some(base)), format!("{base}/zlib.git"));
    }
}
