//! Where packages come from, and what is known about them: keeps the package index in memory and in
//! the database current with the source repositories.

mod catalog;
mod catch_up;
mod directory;
mod gitlab;
mod kind;
mod status;
mod store;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use buildbtw_model::api::ProblemKind;
use buildbtw_model::{Changeset, CommitHash, OriginSpec, Pkgbase};
use buildbtw_planner::{IndexChange, SourcePackage};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

pub use catalog::{Catalog, Head, PARSER};
pub use status::{Progress, Snapshot, Trouble};

use crate::db::source_repositories::SourceRepositoryRow;
use crate::db::{Database, source_progress, source_repositories};
use crate::error::{Error, Refusal};
use crate::gitlab::{Gitlab, GitlabError, GitlabErrorKind};
use catalog::SharedCatalog;
use catch_up::CatchUpDesk;
use kind::{Place, ReadError, SourceKind};
use status::Status;

/// How long a request waits for changes that are being read.
const CATCH_UP_AT_MOST: std::time::Duration = std::time::Duration::from_secs(5);

/// Where the source repositories are.
pub enum SourceConfig {
    /// Directly below a folder.
    Directory {
        /// The folder.
        folder: PathBuf,
        /// The time between full looks.
        sweep: Duration,
    },
    /// In a group of a GitLab.
    Gitlab {
        /// The GitLab and its group.
        gitlab: Gitlab,
        /// The time between full looks.
        sweep: Duration,
    },
}

/// When to ask again for what is not there yet.
const PAUSE_WHILE_READING: Duration = Duration::from_secs(10);

/// The source repositories of a server. Cheap to clone.
#[derive(Clone)]
pub struct Sources {
    database: Database,
    catalog: SharedCatalog,
    kind: Arc<dyn SourceKind>,
    status: Status,
    events: mpsc::UnboundedSender<SourceEvent>,
    catching_up: CatchUpDesk,
    /// Wakes the watch when a webhook was stored.
    delivered: Arc<tokio::sync::Notify>,
}

/// What happened in the sources.
#[derive(Debug)]
pub enum SourceEvent {
    /// Refs of these packages' repositories may have moved.
    Touched(BTreeSet<Pkgbase>),
    /// The index changed.
    Indexed(Vec<IndexChange>),
    /// Everything was looked at again.
    Swept,
}

/// A changeset whose ref was looked up.
#[derive(Clone, Debug)]
pub struct ResolvedChangeset {
    /// The changeset.
    pub changeset: Changeset,
    /// The commit of the ref, and what the tree holds there.
    pub head: Head,
    /// The package as it is at that commit.
    pub package: Arc<SourcePackage>,
}

impl Sources {
    /// The sources, as far as the database knows them. Look at them afresh with [`Self::watch`];
    /// what it finds is told to `events`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn load(
        database: Database,
        config: SourceConfig,
        events: mpsc::UnboundedSender<SourceEvent>,
    ) -> Result<Self, Error> {
        let kind: Arc<dyn SourceKind> = match config {
            SourceConfig::Directory { folder, sweep } => {
                Arc::new(directory::Directory::new(folder, sweep))
            }
            SourceConfig::Gitlab { gitlab, sweep } => {
                Arc::new(gitlab::GitlabGroup::new(gitlab, sweep))
            }
        };
        let mut tx = database.write().await?;
        let progress = source_progress::begin(&mut tx, &kind.origin()).await?;
        tx.commit().await?;
        let complete = kind.is_read_before_serving() || progress.finished_at.is_some();
        let catalog = catalog::load(&database, &kind).await?;
        Ok(Self {
            database,
            catalog: SharedCatalog::new(catalog),
            kind,
            status: Status::new(complete),
            events,
            catching_up: CatchUpDesk::default(),
            delivered: Arc::default(),
        })
    }

    /// Keeps the sources current until cancelled. `ready` is told when requests can be answered.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn watch(
        self,
        ready: oneshot::Sender<()>,
        cancel: CancellationToken,
    ) -> Result<(), Error> {
        let kind = Arc::clone(&self.kind);
        kind.watch(self, ready, cancel).await
    }

    /// What the sources are, in words.
    #[must_use]
    pub fn title(&self) -> String {
        self.kind.title()
    }

    /// How watching them goes.
    #[must_use]
    pub fn status(&self) -> Snapshot {
        self.status.snapshot()
    }

    /// Tells the watch that a webhook was stored.
    pub fn wake_for_webhook(&self) {
        self.delivered.notify_one();
    }

    /// Tells what happened; whoever listens is gone only when the server stops.
    fn tell(&self, event: SourceEvent) {
        let _ = self.events.send(event);
    }

    /// Waits until everything that was pushed before this call is in the index, as far as the kernel
    /// tells of changes. Not for long: the sweep finds what this misses.
    pub async fn catch_up(&self) {
        let caught_up = self.catching_up.ask();
        let _ = tokio::time::timeout(CATCH_UP_AT_MOST, caught_up).await;
    }

    /// Runs a function over the package index. Do not wait for anything inside.
    pub fn with_catalog<T>(&self, read: impl FnOnce(&Catalog) -> T) -> T {
        self.catalog.read(read)
    }

    /// The changeset that somebody means.
    ///
    /// # Errors
    /// When a merge request cannot be looked up, or is not open.
    pub async fn changeset(&self, spec: &OriginSpec) -> Result<Changeset, Error> {
        match spec {
            OriginSpec::Changeset(changeset) => Ok(changeset.clone()),
            OriginSpec::MergeRequest(url) => {
                self.expect_complete()?;
                self.kind.merge_request(self, url).await
            }
        }
    }

    /// Looks up the commit of a changeset and its `.SRCINFO` there, directly in the repository.
    ///
    /// # Errors
    /// When pkgbase or ref are unknown, or the tree at the ref has no usable `.SRCINFO`.
    pub async fn resolve(&self, changeset: &Changeset) -> Result<ResolvedChangeset, Error> {
        let row = self.usable(&changeset.pkgbase).await?;
        let found = self.kind.read_ref(&row, &changeset.git_ref).await;
        let found = found.map_err(|error| explain(changeset, &row, error))?;
        let package = store::parse(&found, Some(&changeset.pkgbase)).map_err(|reason| {
            Refusal::new(
                ProblemKind::BrokenSource,
                format!("{changeset} cannot be built: {reason}"),
            )
            .hint("mend .SRCINFO (makepkg --printsrcinfo > .SRCINFO), commit and push")
        })?;
        let sha256 = store::store_srcinfo(&self.database, &found.srcinfo, &package).await?;
        let head = Head {
            commit: found.commit,
            commit_time: found.commit_time,
            clone_url: self.kind.clone_url(Place::from(&row)),
            srcinfo_sha256: sha256,
        };
        Ok(ResolvedChangeset {
            changeset: changeset.clone(),
            head,
            package: Arc::new(package),
        })
    }

    /// The same for an origin that was planned before. Nobody is asked when the index says that its
    /// branch is still at the `known` commit. What the index says instead is not relied on: it may be
    /// older than that. Where nothing was known before, the index will do.
    ///
    /// # Errors
    /// See [`Self::resolve`].
    pub async fn resolve_again(
        &self,
        changeset: &Changeset,
        known: Option<&CommitHash>,
    ) -> Result<ResolvedChangeset, Error> {
        let row = self.usable(&changeset.pkgbase).await?;
        let is_default = row.branch.as_deref() == Some(changeset.git_ref.as_str());
        let is_known = |commit: &CommitHash| known.is_none_or(|known| known == commit);
        let indexed = self.with_catalog(|catalog| {
            let head = catalog.head(&changeset.pkgbase)?;
            let package = catalog.index().get(&changeset.pkgbase)?;
            Some((head.clone(), Arc::clone(package)))
        });
        let Some((head, package)) = indexed.filter(|_| is_default) else {
            return self.resolve(changeset).await;
        };
        if !is_known(&head.commit) {
            let commit = self.kind.read_commit(&row, &changeset.git_ref).await;
            let commit = commit.map_err(|error| explain(changeset, &row, error))?;
            if commit != head.commit {
                return self.resolve(changeset).await;
            }
        }
        Ok(ResolvedChangeset {
            changeset: changeset.clone(),
            head,
            package,
        })
    }

    /// Whether a changeset may be at another commit than the `known` one, with as few questions as that
    /// takes. Planning asks again.
    ///
    /// # Errors
    /// When pkgbase or ref are unknown.
    pub async fn has_moved(
        &self,
        changeset: &Changeset,
        known: &CommitHash,
    ) -> Result<bool, Error> {
        let row = self.usable(&changeset.pkgbase).await?;
        if row.branch.as_deref() == Some(changeset.git_ref.as_str()) {
            return Ok(row.commit.as_ref() != Some(known));
        }
        let commit = self.kind.read_commit(&row, &changeset.git_ref).await;
        let commit = commit.map_err(|error| explain(changeset, &row, error))?;
        Ok(commit != *known)
    }

    /// The usable repository of a pkgbase.
    async fn usable(&self, pkgbase: &Pkgbase) -> Result<SourceRepositoryRow, Error> {
        self.expect_complete()?;
        match source_repositories::usable(self.database.read(), pkgbase).await? {
            Some(row) => Ok(row),
            None => Err(self.explain_unusable(pkgbase).await?),
        }
    }

    /// Plans made of a part of the packages would lack dependents.
    fn expect_complete(&self) -> Result<(), Error> {
        let status = self.status();
        if status.complete {
            return Ok(());
        }
        let far = status.progress.map_or_else(String::new, |progress| {
            let total = progress
                .total
                .map_or_else(String::new, |n| format!(" of {n}"));
            format!(" ({}{total} so far)", progress.seen)
        });
        let mut refusal = Refusal::new(
            ProblemKind::Unavailable,
            format!("the sources are being read for the first time{far}"),
        )
        .hint("a plan made now would lack packages; `buildbtw sources` shows how far it is")
        .retry_after(PAUSE_WHILE_READING);
        if let Some(trouble) = status.trouble {
            refusal = refusal.detail(trouble.message);
        }
        Err(refusal.into())
    }

    /// Why there is no usable repository of a pkgbase.
    async fn explain_unusable(&self, pkgbase: &Pkgbase) -> Result<Error, Error> {
        let name = self.kind.expected_name(pkgbase);
        let broken = source_repositories::broken_like(self.database.read(), pkgbase, &name).await?;
        Ok(match broken {
            Some(row) => {
                let problem = row.problem.unwrap_or_default();
                Refusal::new(
                    ProblemKind::BrokenSource,
                    format!("the source repository '{}' cannot be used", row.path),
                )
                .detail(problem)
                .hint("`buildbtw sources --broken` lists all of them")
                .into()
            }
            None => {
                let similar = self.similar_names(pkgbase);
                let refusal = Refusal::new(
                    ProblemKind::UnknownPkgbase,
                    format!("there is no source repository of pkgbase '{pkgbase}'"),
                );
                match similar {
                    Some(hint) => refusal.hint(hint).into(),
                    None => refusal
                        .hint("`buildbtw sources` lists what there is")
                        .into(),
                }
            }
        })
    }

    /// A hint for someone who wrote a pkgname where a pkgbase is expected.
    fn similar_names(&self, name: &Pkgbase) -> Option<String> {
        self.with_catalog(|catalog| {
            let owner = catalog.index().iter().find(|package| {
                package
                    .pkgnames()
                    .iter()
                    .any(|pkgname| pkgname.as_str() == name.as_str())
            })?;
            Some(format!(
                "'{name}' is a package of the pkgbase '{}'",
                owner.pkgbase()
            ))
        })
    }
}

/// Why a ref could not be read, for whoever asked for it.
fn explain(changeset: &Changeset, row: &SourceRepositoryRow, error: ReadError) -> Error {
    let refusal = match error {
        ReadError::UnknownRef => {
            let title = format!(
                "{} has no branch, tag or commit '{}'",
                changeset.pkgbase, changeset.git_ref
            );
            let hint = row.branch.as_deref().map_or_else(
                || "is it pushed?".to_owned(),
                |branch| format!("is it pushed? the default branch is '{branch}'"),
            );
            Refusal::new(ProblemKind::UnknownRef, title).hint(hint)
        }
        ReadError::Gitlab(error) if matches!(error.kind, GitlabErrorKind::NotFound(_)) => {
            let title = format!("the project '{}' is not in the group any more", row.path);
            Refusal::new(ProblemKind::UnknownPkgbase, title)
                .hint("it was moved or deleted, or the server's token may not see it any more")
        }
        ReadError::Gitlab(error) => return unavailable(&error),
        ReadError::Broken(reason) => {
            return anyhow::anyhow!("cannot read the source repository '{}': {reason}", row.path)
                .into();
        }
    };
    refusal.into()
}

/// What somebody is told who waits for GitLab.
fn unavailable(error: &GitlabError) -> Error {
    tracing::warn!(error = error.to_string(), "GitLab did not answer a request");
    let mut refusal = Refusal::new(ProblemKind::Unavailable, "GitLab did not answer")
        .detail(error.to_string())
        .retry_after(error.kind.pause().unwrap_or(PAUSE_WHILE_READING));
    if error.kind.is_transient() {
        refusal = refusal.hint("try again in a while");
    }
    refusal.into()
}
