//! Settings of a namespace that a request for an iteration can change, from that iteration on.

use std::collections::BTreeSet;

use buildbtw_model::{Changeset, Pkgbase};

use crate::db::namespaces::Edited;
use crate::error::Error;

use super::create_namespace::check_bootstrap;

/// Settings of a namespace that can change with an iteration.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Settings<'a> {
    /// Members of cycles to bootstrap in addition.
    pub(super) bootstrap: &'a [Pkgbase],
    /// Members of cycles that are no longer bootstrapped.
    pub(super) no_bootstrap: &'a [Pkgbase],
    /// Whether libraries are expected to keep their sonames; unchanged when absent.
    pub(super) same_sonames: Option<bool>,
    /// What the namespace rebuilds from now on; unchanged when absent.
    pub(super) edit: Option<&'a Edit>,
}

/// What an edit changes.
#[derive(Debug)]
pub(super) struct Edit {
    /// What it changes, for people.
    pub(super) changes: String,
    /// The origins that were there before.
    pub(super) before: Vec<Changeset>,
    /// What the namespace rebuilds then.
    pub(super) edited: Edited,
}

impl Settings<'_> {
    pub(super) fn is_none(&self) -> bool {
        self.bootstrap.is_empty()
            && self.no_bootstrap.is_empty()
            && self.same_sonames.is_none()
            && self.edit.is_none()
    }

    /// Returns the pkgbases of new origins, which have to be read from their repositories first.
    pub(super) fn added(&self) -> Vec<Pkgbase> {
        let edits = self.edit.into_iter();
        let origins = edits.flat_map(|edit| {
            let origins = edit.edited.origins.iter();
            origins.filter(|origin| !edit.before.contains(origin))
        });
        origins.map(|origin| origin.pkgbase.clone()).collect()
    }

    /// Returns the members of cycles that are bootstrapped with these settings.
    pub(super) fn bootstrapped(&self, before: Vec<Pkgbase>) -> Result<Vec<Pkgbase>, Error> {
        let mut all: BTreeSet<Pkgbase> = before.into_iter().collect();
        all.retain(|pkgbase| !self.no_bootstrap.contains(pkgbase));
        all.extend(self.bootstrap.iter().cloned());
        let all: Vec<Pkgbase> = all.into_iter().collect();
        check_bootstrap(&all)?;
        Ok(all)
    }
}
