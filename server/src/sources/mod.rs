//! Where packages come from, and what is known about them: keeps the package index in memory and in
//! the database current with the source repositories.

mod catalog;
mod directory;
mod git;
mod scan;
mod watch;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use buildbtw_model::api::ProblemKind;
use buildbtw_model::{Changeset, CommitHash, Pkgbase, Sha256Digest};
use buildbtw_planner::{IndexChange, SourcePackage};
use tokio::sync::mpsc;

pub use catalog::{Catalog, Head, PARSER};
pub use watch::watch;

use crate::db::{Database, source_repositories};
use crate::error::{Error, Refusal};
use catalog::SharedCatalog;
use watch::CatchUpDesk;

/// How long a request waits for changes that are being read.
const CATCH_UP_AT_MOST: std::time::Duration = std::time::Duration::from_secs(5);

/// The source repositories of a server. Cheap to clone.
#[derive(Clone)]
pub struct Sources {
    database: Database,
    catalog: SharedCatalog,
    folder: Arc<Path>,
    last_scan: Arc<std::sync::Mutex<Option<jiff::Timestamp>>>,
    events: mpsc::UnboundedSender<SourceEvent>,
    catching_up: CatchUpDesk,
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
    /// The sources below a folder, as far as the database knows them. Look at them afresh with
    /// [`watch()`]; what it finds is told to `events`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn load(
        database: Database,
        folder: PathBuf,
        events: mpsc::UnboundedSender<SourceEvent>,
    ) -> Result<Self, Error> {
        let catalog = catalog::load(&database, &folder).await?;
        Ok(Self {
            database,
            catalog: SharedCatalog::new(catalog),
            folder: folder.into(),
            last_scan: Arc::default(),
            events,
            catching_up: CatchUpDesk::default(),
        })
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

    /// The watched folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// When the last full look at the sources ended.
    #[must_use]
    pub fn last_scan(&self) -> Option<jiff::Timestamp> {
        self.last_scan.lock().ok().and_then(|time| *time)
    }

    /// Runs a function over the package index. Do not wait for anything inside.
    pub fn with_catalog<T>(&self, read: impl FnOnce(&Catalog) -> T) -> T {
        self.catalog.read(read)
    }

    /// Looks up the commit of a changeset and its `.SRCINFO` there, directly in the repository.
    ///
    /// # Errors
    /// When pkgbase or ref are unknown, or the tree at the ref has no usable `.SRCINFO`.
    pub async fn resolve(&self, changeset: &Changeset) -> Result<ResolvedChangeset, Error> {
        let Some(row) =
            source_repositories::usable(self.database.read(), &changeset.pkgbase).await?
        else {
            return Err(self.explain_unusable(&changeset.pkgbase).await?);
        };
        let path = self.folder.join(&row.path);
        let git_ref = changeset.git_ref.clone();
        let found = tokio::task::spawn_blocking(move || git::read_ref(&path, &git_ref))
            .await?
            .map_err(|error| match error {
                git::GitError::UnknownRef => {
                    let title = format!(
                        "{} has no branch, tag or commit '{}'",
                        changeset.pkgbase, changeset.git_ref
                    );
                    let hint = row.branch.as_deref().map_or_else(
                        || "is it pushed?".to_owned(),
                        |branch| format!("is it pushed? the default branch is '{branch}'"),
                    );
                    Error::from(Refusal::new(ProblemKind::UnknownRef, title).hint(hint))
                }
                error => Error::Internal(anyhow::Error::from(error)),
            })?;
        let package = git::parse(&found, Some(&changeset.pkgbase)).map_err(|reason| {
            Refusal::new(
                ProblemKind::BrokenSource,
                format!("{changeset} cannot be built: {reason}"),
            )
            .hint("mend .SRCINFO (makepkg --printsrcinfo > .SRCINFO), commit and push")
        })?;
        let sha256 = scan::store_srcinfo(&self.database, &found.srcinfo, &package).await?;
        let head = Head {
            commit: found.commit,
            commit_time: found.commit_time,
            clone_url: git::clone_url(&self.folder, &row.path),
            srcinfo_sha256: sha256,
        };
        Ok(ResolvedChangeset {
            changeset: changeset.clone(),
            head,
            package: Arc::new(package),
        })
    }

    /// Why there is no usable repository of a pkgbase.
    async fn explain_unusable(&self, pkgbase: &Pkgbase) -> Result<Error, Error> {
        let broken = source_repositories::broken_like(self.database.read(), pkgbase).await?;
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

/// The digest of a text.
fn digest(text: &str) -> Sha256Digest {
    use sha2::Digest as _;
    Sha256Digest::from_bytes(&sha2::Sha256::digest(text.as_bytes()).into())
}

/// What a repository's tree holds at a commit.
#[derive(Clone, Debug)]
pub(crate) struct TreeAtCommit {
    pub(crate) commit: CommitHash,
    pub(crate) commit_time: i64,
    /// The text of `.SRCINFO`, or why there is none.
    pub(crate) srcinfo: Result<String, String>,
}
