//! The providers that satisfy a relation.

use super::{Span, World};
use crate::index::{OWN_NAME, Provider, number};
use crate::relation::Relation;

impl World<'_> {
    /// Returns the providers of a relation, by pacman's rules: the packages with that name that meet it, otherwise all
    /// packages that provide it. An old version of an origin is among them if the new one is not.
    pub(crate) fn resolve(&mut self, relation: u32) -> &[u32] {
        let mut span = self.spans[relation as usize];
        if span.start == u32::MAX {
            let start = self.flat.len();
            let mut flat = std::mem::take(&mut self.flat);
            self.find_providers(relation, &mut flat);
            self.flat = flat;
            span = Span {
                start: number(start),
                len: number(self.flat.len() - start),
            };
            self.spans[relation as usize] = span;
        }
        self.resolved(span)
    }

    /// Returns what can be installed for a relation: its providers without old versions, or the old versions if only
    /// these satisfy it.
    pub(crate) fn installable(&mut self, relation: u32) -> &[u32] {
        self.resolve(relation);
        self.installed(relation)
    }

    /// Returns the same for a relation that has been resolved before.
    pub(crate) fn installed(&self, relation: u32) -> &[u32] {
        let providers = self.providers(relation);
        if self.replaced.is_empty() {
            return providers;
        }
        // Old versions come last.
        match providers.iter().position(|&package| self.is_old(package)) {
            Some(first) if first > 0 => providers.get(..first).unwrap_or(providers),
            _ => providers,
        }
    }

    /// Returns whether a relation that has been resolved before is satisfied by old versions only.
    pub(crate) fn is_outdated(&self, relation: u32) -> bool {
        let first = self.providers(relation).first();
        !self.replaced.is_empty() && first.is_some_and(|&package| self.is_old(package))
    }

    /// Returns the old versions of origins that satisfy a relation that has been resolved before.
    pub(crate) fn old_providers(&self, relation: u32) -> impl Iterator<Item = u32> {
        let providers = self.providers(relation).iter().copied();
        providers.filter(|&package| self.is_old(package))
    }

    /// Returns the providers of a relation that has been resolved before.
    pub(crate) fn providers(&self, relation: u32) -> &[u32] {
        self.resolved(self.spans[relation as usize])
    }

    fn resolved(&self, span: Span) -> &[u32] {
        if span.len == 0 {
            return &[];
        }
        let start = span.start as usize;
        &self.flat[start..start + span.len as usize]
    }

    /// Appends the providers of a relation.
    fn find_providers(&self, relation: u32, found: &mut Vec<u32>) {
        let name = self.relation_name(relation);
        let known = self.index.tables.providers.get(name as usize);
        let known = known.map(Vec::as_slice).unwrap_or_default();
        let changed = self.overlay.providers.get(&name);
        let changed = changed.map(Vec::as_slice).unwrap_or_default();
        if known.is_empty() && changed.is_empty() {
            return;
        }
        // Most relations have no constraint, and their text need not be read.
        let is_plain = self
            .index
            .tables
            .plain_relations
            .contains(relation as usize);
        let wanted = (!is_plain).then(|| Relation::split(self.relation_text(relation)));
        let start = found.len();
        let mut any_old = false;
        let current = known.iter().filter(|provider| {
            let old = self.is_old(provider.node);
            any_old |= old;
            !old
        });
        self.choose(wanted.as_ref(), current.chain(changed), found);
        if any_old {
            // Of the providers before the change, only the replaced versions matter.
            let mut before = Vec::new();
            self.choose(wanted.as_ref(), known.iter(), &mut before);
            for node in before {
                let origin = self.base_of(node);
                let is_other = |&other: &u32| self.base_of(other) != origin;
                if self.is_old(node) && found[start..].iter().all(is_other) {
                    found.push(node);
                }
            }
        }
    }

    /// Appends the providers that meet a relation; `None` is a relation without a constraint.
    fn choose<'p>(
        &self,
        wanted: Option<&Relation<'_>>,
        providers: impl Iterator<Item = &'p Provider>,
        found: &mut Vec<u32>,
    ) {
        let start = found.len();
        let mut any_named = false;
        for provider in providers.filter(|provider| self.fits(provider.node)) {
            if provider.provision == OWN_NAME {
                let is_met = wanted.is_none_or(|wanted| {
                    let base = self.base(self.node(provider.node).base);
                    wanted.is_met_by(base.map(|base| base.source.version().as_str()))
                });
                if is_met {
                    if !any_named {
                        // A package with that name takes precedence over all that provide it.
                        found.truncate(start);
                        any_named = true;
                    }
                    found.push(provider.node);
                }
            } else if !any_named && self.applies(provider.architecture) {
                let is_met = wanted.is_none_or(|wanted| {
                    let provision = Relation::split(self.relation_text(provider.provision));
                    wanted.is_met_by(provision.provided_version())
                        || wanted.may_be_met_by(&provision)
                });
                if is_met && !found[start..].contains(&provider.node) {
                    found.push(provider.node);
                }
            }
        }
    }
}
