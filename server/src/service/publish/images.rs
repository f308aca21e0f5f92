//! A cache of the last written repository databases, for the next packages.

use std::collections::VecDeque;

use crate::db::{Database, IterationId, packages};
use crate::repos::RepositoryKey;
use crate::repos::image::DatabaseImage;

/// The number of cached databases: enough for the namespaces that are active at the same time. One of 15,000
/// packages takes 15 MB.
const MAX_IMAGES: usize = 16;

/// Images of databases, the most recently used last.
#[derive(Debug, Default)]
pub(crate) struct Images {
    kept: VecDeque<(IterationId, RepositoryKey, DatabaseImage)>,
}

impl Images {
    /// Takes the image of a repository from the cache, or builds it from the database.
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

    /// Puts an image into the cache.
    pub(super) fn keep(
        &mut self,
        iteration: IterationId,
        key: &RepositoryKey,
        image: DatabaseImage,
    ) {
        self.kept.push_back((iteration, key.clone(), image));
        if self.kept.len() > MAX_IMAGES {
            self.kept.pop_front();
        }
    }
}
