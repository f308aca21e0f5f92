//! Notes on the versions of builds.

use std::collections::HashMap;

use buildbtw_model::api::BuildSummary;
use buildbtw_model::{BuildId, ReleaseRule, VersionNote};

use crate::db::Database;
use crate::db::builds::BuildRow;
use crate::db::releases::{self, BuildRelease};
use crate::error::Error;

/// The notes on the versions of an iteration's builds.
pub(super) struct VersionNotes(HashMap<BuildId, BuildRelease>);

impl VersionNotes {
    /// Reads the notes of some builds.
    pub(super) async fn of_builds(database: &Database, builds: &[BuildId]) -> Result<Self, Error> {
        let releases = releases::of_builds(database.read(), builds).await?;
        let releases = releases.into_iter().map(|release| (release.build, release));
        Ok(Self(releases.collect()))
    }

    /// Reads the note of one build.
    pub(super) async fn of_build(database: &Database, build: BuildId) -> Result<Self, Error> {
        let release = releases::of_build(database.read(), build).await?;
        let release = release.map(|release| (release.build, release));
        Ok(Self(release.into_iter().collect()))
    }

    /// Adds the note on a build to its summary, if there is one.
    pub(super) fn add(&self, build: &BuildRow, summary: &mut BuildSummary) {
        if let Some(note) = self.of(build) {
            summary.version_note_kind = Some(note.kind);
            summary.version_note = Some(note.text);
        }
    }

    fn of(&self, build: &BuildRow) -> Option<VersionNote> {
        let release = self.0.get(&build.id)?;
        let rule = ReleaseRule {
            base: release.base.clone(),
            ..ReleaseRule::default()
        };
        let is_computed = release.is_computed && !build.status.has_packages();
        VersionNote::of(is_computed, rule.newer_in_base(&build.version))
    }
}
