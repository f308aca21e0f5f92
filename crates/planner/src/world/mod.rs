//! The packages as one plan sees them: the index for one architecture, with the origins' changed
//! versions laid over it.
//!
//! The index is shared and stays untouched. Names, relations and packages that only the changed
//! versions know continue its numbers. The default-branch version of an origin is *old* then: it
//! still counts when it is asked who depends on the origin, because what only the old version
//! satisfies must be rebuilt (and probably changed) too.

mod overlay;

use std::sync::Arc;

use buildbtw_model::Architecture;
use rustc_hash::FxHashMap;

use crate::index::{
    BaseRecord, EVERY_ARCHITECTURE, NodeRecord, OWN_NAME, PackageIndex, Provider, Use, Users,
    number,
};
use crate::relation::{Comparison, Relation};
use crate::srcinfo::SourcePackage;
use overlay::Overlay;

/// Where the providers of a relation are in [`World::flat`].
#[derive(Clone, Copy)]
struct Span {
    start: u32,
    len: u32,
}

const UNKNOWN: Span = Span {
    start: u32::MAX,
    len: 0,
};

/// The packages as one plan sees them.
pub(crate) struct World<'a> {
    pub(crate) index: &'a PackageIndex,
    overlay: Overlay<'a>,
    /// The number of the plan's architecture; none if nothing mentions it.
    architecture: Option<u32>,
    /// For each list of architectures: whether it has the plan's or `any`.
    list_fits: Vec<bool>,
    /// Bases of the index that an origin replaces.
    replaced: FxHashMap<u32, u32>,
    spans: Vec<Span>,
    flat: Vec<u32>,
}

impl<'a> World<'a> {
    /// The index for one architecture, with these versions of the origins in place of its own.
    pub(crate) fn new(
        index: &'a PackageIndex,
        architecture: &Architecture,
        origins: &[Arc<SourcePackage>],
    ) -> Self {
        // An origin that is the default branch itself changes nothing.
        let changed: Vec<Arc<SourcePackage>> = origins
            .iter()
            .filter(|origin| index.get(origin.pkgbase()) != Some(origin))
            .cloned()
            .collect();
        let overlay = Overlay::new(index, &changed);
        let replaced = (number(index.bases.len())..)
            .zip(&changed)
            .filter_map(|(id, origin)| {
                let old = index.base_id(origin.pkgbase())?;
                index.base(old).map(|_| (old, id))
            })
            .collect();
        let lists = &index.tables.architecture_lists;
        let extra = &overlay.extra.architecture_lists;
        let fits = |list: &str| {
            list.split(' ')
                .any(|name| name == "any" || name == architecture.as_str())
        };
        let list_fits = lists.iter().chain(extra.iter()).map(fits).collect();
        let known = &index.tables.architectures;
        let new = &overlay.extra.architectures;
        let name = architecture.as_str();
        let architecture = known
            .get(name)
            .or_else(|| new.get(name).map(|id| number(known.len()) + id));
        let relations = index.tables.relations.len() + overlay.relation_name.len();
        Self {
            index,
            architecture,
            list_fits,
            replaced,
            spans: vec![UNKNOWN; relations],
            flat: Vec::new(),
            overlay,
        }
    }

    pub(crate) fn base_count(&self) -> usize {
        self.index.bases.len() + self.overlay.bases.len()
    }

    pub(crate) fn node_count(&self) -> usize {
        self.index.nodes.len() + self.overlay.nodes.len()
    }

    pub(crate) fn relation_count(&self) -> usize {
        self.spans.len()
    }

    pub(crate) fn node(&self, id: u32) -> &NodeRecord {
        let known = self.index.nodes.len();
        match self.index.nodes.get(id as usize) {
            Some(node) => node,
            None => &self.overlay.nodes[id as usize - known],
        }
    }

    pub(crate) fn base(&self, id: u32) -> Option<&BaseRecord> {
        let known = self.index.bases.len();
        if (id as usize) < known {
            self.index.base(id)
        } else {
            self.overlay.bases.get(id as usize - known)
        }
    }

    /// The bases there are, without those that an origin replaces.
    pub(crate) fn bases(&self) -> impl Iterator<Item = (u32, &BaseRecord)> {
        (0..number(self.base_count()))
            .filter(|id| !self.replaced.contains_key(id))
            .filter_map(|id| Some((id, self.base(id)?)))
    }

    /// The base of an origin: its changed version if it has one.
    pub(crate) fn origin_base(&self, origin: &SourcePackage) -> Option<u32> {
        let changed = self
            .overlay
            .bases
            .iter()
            .position(|base| base.source.pkgbase() == origin.pkgbase());
        match changed {
            Some(at) => Some(number(self.index.bases.len() + at)),
            None => self.index.base_id(origin.pkgbase()),
        }
    }

    /// The base that builds a package; for an old version the one that replaces it.
    pub(crate) fn base_of(&self, node: u32) -> u32 {
        let base = self.node(node).base;
        self.current(base)
    }

    fn current(&self, base: u32) -> u32 {
        if self.replaced.is_empty() {
            return base;
        }
        self.replaced.get(&base).copied().unwrap_or(base)
    }

    /// The default-branch version of a changed origin.
    pub(crate) fn old_version(&self, base: u32) -> Option<&BaseRecord> {
        let (&old, _) = self.replaced.iter().find(|(_, new)| **new == base)?;
        self.index.base(old)
    }

    /// Whether a package is of an origin's default branch, which its changed version replaces.
    pub(crate) fn is_old(&self, node: u32) -> bool {
        !self.replaced.is_empty() && self.replaced.contains_key(&self.node(node).base)
    }

    /// Whether an origin replaces this base.
    pub(crate) fn is_replaced(&self, base: u32) -> bool {
        !self.replaced.is_empty() && self.replaced.contains_key(&base)
    }

    /// Whether the package is for the plan's architecture.
    pub(crate) fn fits(&self, node: u32) -> bool {
        let list = self.node(node).architectures as usize;
        self.list_fits.get(list).copied().unwrap_or_default()
    }

    /// Whether an architecture suffix is empty or the plan's.
    pub(crate) fn applies(&self, architecture: u32) -> bool {
        architecture == EVERY_ARCHITECTURE || Some(architecture) == self.architecture
    }

    /// The uses in a list that count for the plan's architecture.
    pub(crate) fn applicable<'s>(&'s self, uses: &'s [Use]) -> impl Iterator<Item = &'s Use> {
        uses.iter().filter(|used| self.applies(used.architecture))
    }

    /// The packages of a base for the plan's architecture.
    pub(crate) fn packages_of<'s>(
        &'s self,
        base: &'s BaseRecord,
    ) -> impl Iterator<Item = u32> + 's {
        base.nodes.iter().copied().filter(|&node| self.fits(node))
    }

    pub(crate) fn relation_text(&self, relation: u32) -> &str {
        let known = self.index.tables.relations.len();
        if (relation as usize) < known {
            self.index.tables.relations.text(relation)
        } else {
            self.overlay.extra.relations.text(relation - number(known))
        }
    }

    /// The text of a name.
    pub(crate) fn name_text(&self, name: u32) -> &Arc<str> {
        let known = &self.index.tables.names;
        if (name as usize) < known.len() {
            known.shared(name)
        } else {
            self.overlay.extra.names.shared(name - number(known.len()))
        }
    }

    /// The number of a relation's name.
    pub(crate) fn relation_name(&self, relation: u32) -> u32 {
        self.overlay.relation_name(relation)
    }

    pub(crate) fn is_soname(&self, relation: u32) -> bool {
        match self.index.tables.relation_is_soname.get(relation as usize) {
            Some(&is_soname) => is_soname,
            None => crate::relation::is_soname(Relation::split(self.relation_text(relation)).name),
        }
    }

    /// The relations with a name.
    pub(crate) fn relations_of(&self, name: u32) -> impl Iterator<Item = u32> {
        let known = self.index.tables.relations_of.get(name as usize);
        let extra = self.overlay.relations_of.get(&name);
        known.into_iter().chain(extra).flatten().copied()
    }

    /// Who mentions a relation; replaced versions and other architectures included.
    pub(crate) fn users(&self, relation: u32) -> impl Iterator<Item = &Users> {
        let known = self.index.tables.users.get(relation as usize);
        known.into_iter().chain(self.overlay.users.get(&relation))
    }

    /// The providers of a relation, by pacman's rules: the packages of that name that meet it, else
    /// all that provide it. An old version of an origin is among them if the new one is not.
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

    /// What can be installed for a relation: its providers without old versions, which are gone, or
    /// nothing but old versions where only they satisfy it.
    pub(crate) fn installable(&mut self, relation: u32) -> &[u32] {
        self.resolve(relation);
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

    /// Whether a relation that was resolved before is satisfied by old versions only.
    pub(crate) fn is_outdated(&self, relation: u32) -> bool {
        let first = self.providers(relation).first();
        !self.replaced.is_empty() && first.is_some_and(|&package| self.is_old(package))
    }

    /// The old versions of origins that satisfy a relation which was resolved before.
    pub(crate) fn old_providers(&self, relation: u32) -> impl Iterator<Item = u32> {
        let providers = self.providers(relation).iter().copied();
        providers.filter(|&package| self.is_old(package))
    }

    /// The providers of a relation that was resolved before.
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
        // Most relations have no constraint, and their text need not be looked at.
        let is_plain = self.index.tables.relation_is_plain.get(relation as usize);
        let wanted = match is_plain {
            Some(true) => None,
            _ => Some(Relation::split(self.relation_text(relation))),
        };
        let start = found.len();
        let mut any_old = false;
        let current = known.iter().filter(|provider| {
            let old = self.is_old(provider.node);
            any_old |= old;
            !old
        });
        self.choose(wanted.as_ref(), current.chain(changed), found);
        if any_old {
            // Only the replaced versions themselves are of interest in the world as it was.
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

    /// Appends those that meet a relation; none given stands for one without a constraint.
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
                        // A package of that name comes before everything that provides it.
                        found.truncate(start);
                        any_named = true;
                    }
                    found.push(provider.node);
                }
            } else if !any_named && self.applies(provider.architecture) {
                let is_met = wanted.is_none_or(|wanted| {
                    let provision = Relation::split(self.relation_text(provider.provision));
                    // Only `name=version` provides a version (libalpm compares no other).
                    let has_version = provision.comparison == Comparison::Equal;
                    wanted.is_met_by(Some(provision.version).filter(|_| has_version))
                });
                if is_met && !found[start..].contains(&provider.node) {
                    found.push(provider.node);
                }
            }
        }
    }
}
