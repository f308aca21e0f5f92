//! The repository databases that were written last, kept in memory for the next packages.

use std::collections::VecDeque;

use crate::db::{Database, IterationId, packages};
use crate::repos::RepositoryKey;
use crate::repos::image::DatabaseImage;

/// Enough for the namespaces that move at the same time; one of 15,000 packages takes 15 MB.
const KEPT: usize = 16;

/// Images of databases, the latest used last.
#[derive(Debug, Default)]
pub(crate) struct Images {
    kept: VecDeque<(IterationId, RepositoryKey, DatabaseImage)>,
}

impl Images {
    /// The image of a repository, from memory or else from the database.
    pub(super) async fn take(
        &mut self,
        database: &Database,
        iteration: IterationId,
        key: &RepositoryKey,
    ) -> sqlx::Result<DatabaseImage> {
        let place = self
            .kept
            .iter()
            .position(|(id, other, _)| *id == iteration && other == key);
        if let Some((_, _, image)) = place.and_then(|place| self.kept.remove(place)) {
            return Ok(image);
        }
        let mut image = DatabaseImage::default();
        let reader = database.read();
        for listing in packages::listings(reader, iteration, &key.architecture).await? {
            image.list(listing);
        }
        Ok(image)
    }

    /// Keeps an image for the next time.
    pub(super) fn keep(
        &mut self,
        iteration: IterationId,
        key: &RepositoryKey,
        image: DatabaseImage,
    ) {
        self.kept.push_back((iteration, key.clone(), image));
        if self.kept.len() > KEPT {
            self.kept.pop_front();
        }
    }
}
