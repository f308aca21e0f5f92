//! Imports of many packages.

use std::path::Path;

use anyhow::{Context as _, Result};

use crate::repository::SRCINFO;
use crate::repository::Storage;
use crate::repository::memory::Imported;
use crate::state::projects::Project;
use crate::{FakeGitlab, project_path};

use super::projects::insert_project;

/// A package to import.
#[derive(Clone, Debug)]
pub struct ImportedText {
    /// The pkgbase, from which the project's path is derived.
    pub pkgbase: String,
    /// The content of `.SRCINFO`.
    pub srcinfo: Vec<u8>,
}

impl FakeGitlab {
    /// Creates a project for every folder `<pkgbase>` with an `.SRCINFO`, and returns their number.
    pub fn import(&self, folder: &Path, group: &str) -> Result<usize> {
        let mut names = Vec::new();
        for entry in fs_err::read_dir(folder)? {
            let name = entry?.file_name();
            names.push(name.to_string_lossy().into_owned());
        }
        // Ids follow the order of names, wherever the folder is.
        names.sort_unstable();
        let mut texts = Vec::with_capacity(names.len());
        for pkgbase in names {
            let file = folder.join(&pkgbase).join(SRCINFO);
            if file.is_file() {
                let srcinfo = fs_err::read(&file)?;
                texts.push(ImportedText { pkgbase, srcinfo });
            }
        }
        self.import_texts(texts, group)
    }

    /// Creates a project with one commit for every text, and returns their number. A repository is kept in memory until
    /// more of it is needed.
    pub fn import_texts(
        &self,
        texts: impl IntoIterator<Item = ImportedText>,
        group: &str,
    ) -> Result<usize> {
        let now = self.clock().now();
        let mut count = 0;
        for text in texts {
            let path = format!("{group}/{}", project_path(&text.pkgbase));
            let imported = Imported::new(text.srcinfo, now)?;
            insert_project(&mut self.state(), &path, |id, full_path| {
                Project::new(id, full_path, Storage::Memory(imported.into()), now)
            })
            .with_context(|| format!("cannot import {}", text.pkgbase))?;
            count += 1;
        }
        Ok(count)
    }
}
