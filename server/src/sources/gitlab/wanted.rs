//! Repositories that must be read because a request waits for them.

use std::collections::BTreeSet;

use crate::db::source_repositories;
use crate::outage::Failure;
use crate::sources::Sources;
use crate::sources::catch_up::Wanted;

use super::group::{GitlabGroup, project_of};
use super::paths;
use super::poll::Window;

/// The maximum number of unknown names that are searched for.
const MAX_SEARCHES: usize = 20;

impl GitlabGroup {
    /// Reads the projects that requests wait for, except those that the last poll found usable.
    pub(crate) async fn read_wanted(
        &self,
        sources: &Sources,
        window: &mut Window,
        wanted: &BTreeSet<Wanted>,
    ) -> Result<(), Failure> {
        let mut ids = BTreeSet::new();
        let mut searched = 0;
        for wanted in wanted {
            match wanted {
                Wanted::Project(id) => ids.extend([*id]),
                Wanted::Pkgbase(pkgbase) => {
                    let reader = sources.database.read();
                    let usable = source_repositories::usable(reader, pkgbase).await?;
                    if usable.is_some() {
                        continue;
                    }
                    let name = paths::project_path(pkgbase);
                    let broken =
                        source_repositories::broken_by_pkgbase(reader, pkgbase, &name).await?;
                    match broken.and_then(|row| project_of(&row).ok()) {
                        Some(id) => ids.extend([id]),
                        None if searched < MAX_SEARCHES => {
                            searched += 1;
                            ids.extend(self.gitlab.find_projects(&name).await?);
                        }
                        None => {}
                    }
                }
            }
        }
        let ids: Vec<_> = ids.into_iter().collect();
        self.refresh_projects(sources, window, &ids).await?;
        self.emit_ref_changes(sources, &ids).await
    }
}
