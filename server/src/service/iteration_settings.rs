//! Settings of a namespace that a request for an iteration can change, from that iteration on.

use std::collections::BTreeSet;

use buildbtw_model::Pkgbase;

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
}

impl Settings<'_> {
    pub(super) fn is_none(&self) -> bool {
        self.bootstrap.is_empty() && self.no_bootstrap.is_empty() && self.same_sonames.is_none()
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
