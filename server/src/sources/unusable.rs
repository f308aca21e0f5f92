//! Unusable repositories, as far as plans depend on them.

use buildbtw_model::{Changeset, Pkgbase};

use crate::db::source_repositories::{self, SourceRepositoryRow};
use crate::error::Error;

use super::{Sources, store};

/// How many repositories a note lists.
const SHOWN: usize = 8;

impl Sources {
    /// Returns the unusable repositories of some packages that may become usable again, without those that must not
    /// be built from.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn unusable_of<'a>(
        &self,
        pkgbases: impl IntoIterator<Item = &'a Pkgbase>,
    ) -> Result<Vec<SourceRepositoryRow>, Error> {
        let reader = self.database.read();
        let mut unusable = Vec::new();
        for pkgbase in pkgbases {
            if source_repositories::usable(reader, pkgbase)
                .await?
                .is_some()
            {
                continue;
            }
            let name = self.kind.expected_name(pkgbase);
            let row = source_repositories::broken_by_pkgbase(reader, pkgbase, &name).await?;
            unusable.extend(row.filter(|row| self.may_be_of(row, pkgbase)));
        }
        Ok(unusable)
    }

    /// Returns the note of a first plan about unusable repositories, whose packages it may lack. Its origins were
    /// read at their refs.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn note_of_unusable(&self, origins: &[Changeset]) -> Result<Option<String>, Error> {
        let broken = source_repositories::page(self.database.read(), true, "", i64::MAX).await?;
        let is_origin = |row: &SourceRepositoryRow| {
            let mut origins = origins.iter();
            origins.any(|origin| self.kind.name_problem(&row.path, &origin.pkgbase).is_none())
        };
        let paths: Vec<_> = broken
            .iter()
            .filter(|row| !store::forbids_builds(row) && !is_origin(row))
            .map(|row| row.path.as_str())
            .collect();
        if paths.is_empty() {
            return Ok(None);
        }
        let more = if paths.len() > SHOWN { ", …" } else { "" };
        let shown = &paths[..paths.len().min(SHOWN)];
        let (count, are) = match paths.len() {
            1 => ("1 source repository".to_owned(), "is"),
            count => (format!("{count} source repositories"), "are"),
        };
        Ok(Some(format!(
            "{count} cannot be used and {are} left out: {}{more} (`buildbtw sources --broken` shows the reasons)",
            shown.join(", ")
        )))
    }

    /// Returns whether a commit no longer exists, for example because its branch was amended.
    pub async fn is_lost(&self, pkgbase: &Pkgbase, commit: &buildbtw_model::CommitHash) -> bool {
        let Ok(row) = self.repository_of(pkgbase).await else {
            return false;
        };
        let Ok(git_ref) = commit.as_str().parse() else {
            return false;
        };
        let read = self.kind.read_commit(&row, &git_ref).await;
        matches!(read, Err(super::kind::ReadError::UnknownRef))
    }
}
