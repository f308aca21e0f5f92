//! The packages as one plan sees them: the index for one architecture, with an overlay of the origins' changed
//! versions.
//!
//! The index is shared and not modified. Names, relations and packages that occur only in the changed versions continue
//! its numbers. The default-branch version of a changed origin is then *old*. It still counts for the dependents of the
//! origin: what only the old version satisfies must be rebuilt (and probably changed) too.

mod intermediate;
mod overlay;
mod providers;

use std::sync::Arc;

use buildbtw_model::{Architecture, Pkgbase};
use fixedbitset::FixedBitSet;
use rustc_hash::FxHashMap;

use crate::base::BaseIndex;
use crate::budget::Budget;
use crate::index::{
    BaseRecord, EVERY_ARCHITECTURE, NodeRecord, OWN_NAME, PackageIndex, RelationUse, Users, number,
};
use crate::relation::Relation;
use crate::srcinfo::SourcePackage;
use overlay::Overlay;

/// The range of a relation's providers in [`World::flat`].
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
    /// The number of the plan's architecture; `None` if no package mentions it.
    architecture: Option<u32>,
    /// The lists of architectures that contain the plan's or `any`.
    fitting_lists: FixedBitSet,
    /// For each base of the index that an origin replaces: the base that replaces it.
    replaced: FxHashMap<u32, u32>,
    /// Bases with this number or a higher one are packages of the base repositories, which are not built.
    first_outside: u32,
    spans: Vec<Span>,
    flat: Vec<u32>,
}

impl<'a> World<'a> {
    /// Combines the index for one architecture with these versions of the origins, which replace its own, and with the
    /// packages of the base repositories that lie between its packages.
    ///
    /// # Errors
    /// Fails when the budget is exceeded.
    pub(crate) fn new<B: Budget>(
        index: &'a PackageIndex,
        architecture: &Architecture,
        origins: &[Arc<SourcePackage>],
        base: Option<&BaseIndex>,
        budget: &B,
    ) -> Result<Self, B::Over> {
        // An origin that equals the default branch changes nothing.
        let changed: Vec<Arc<SourcePackage>> = origins
            .iter()
            .filter(|origin| index.get(origin.pkgbase()) != Some(origin))
            .cloned()
            .collect();
        let outside = match base {
            Some(base) => intermediate::packages(index, architecture, &changed, base, budget)?,
            None => Vec::new(),
        };
        let first_outside = number(index.bases.len() + changed.len());
        let laid_over: Vec<_> = changed.iter().chain(&outside).collect();
        let overlay = Overlay::new(index, &laid_over, budget)?;
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
        let mut fitting_lists = FixedBitSet::with_capacity(lists.len() + extra.len());
        let all = lists.iter().chain(extra.iter()).enumerate();
        fitting_lists.extend(all.filter(|(_, list)| fits(list)).map(|(at, _)| at));
        let known = &index.tables.architectures;
        let new = &overlay.extra.architectures;
        let name = architecture.as_str();
        let architecture = known
            .get(name)
            .or_else(|| new.get(name).map(|id| number(known.len()) + id));
        let relations = index.tables.relations.len() + overlay.relation_name.len();
        Ok(Self {
            index,
            architecture,
            fitting_lists,
            replaced,
            first_outside,
            spans: vec![UNKNOWN; relations],
            flat: Vec::new(),
            overlay,
        })
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

    /// Returns whether a base is a package of the base repositories, which is not built.
    pub(crate) fn is_outside(&self, base: u32) -> bool {
        base >= self.first_outside
    }

    /// Returns the bases that can be built, without those that an origin replaces.
    pub(crate) fn bases(&self) -> impl Iterator<Item = (u32, &BaseRecord)> {
        (0..self.first_outside)
            .filter(|id| !self.replaced.contains_key(id))
            .filter_map(|id| Some((id, self.base(id)?)))
    }

    /// Returns the base with a name: of the index, or the one that replaces it.
    pub(crate) fn number_of(&self, pkgbase: &Pkgbase) -> Option<u32> {
        let changed = self.overlay.bases.iter();
        let mut changed = changed.take(self.first_outside as usize - self.index.bases.len());
        let changed = changed.position(|base| base.source.pkgbase() == pkgbase);
        match changed {
            Some(at) => Some(number(self.index.bases.len() + at)),
            None => self.index.base_id(pkgbase),
        }
    }

    /// Returns the base that builds a package; for an old version, the one that replaces it.
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

    /// Returns the default-branch version of a changed origin.
    pub(crate) fn old_version(&self, base: u32) -> Option<&BaseRecord> {
        let (&old, _) = self.replaced.iter().find(|(_, new)| **new == base)?;
        self.index.base(old)
    }

    /// Returns whether a package belongs to an origin's default branch, which its changed version replaces.
    pub(crate) fn is_old(&self, node: u32) -> bool {
        !self.replaced.is_empty() && self.replaced.contains_key(&self.node(node).base)
    }

    /// Returns whether an origin replaces a base.
    pub(crate) fn is_replaced(&self, base: u32) -> bool {
        !self.replaced.is_empty() && self.replaced.contains_key(&base)
    }

    /// Returns whether a package is for the plan's architecture.
    pub(crate) fn fits(&self, node: u32) -> bool {
        let list = self.node(node).architectures as usize;
        self.fitting_lists.contains(list)
    }

    /// Returns whether an architecture suffix is empty or the plan's.
    pub(crate) fn applies(&self, architecture: u32) -> bool {
        architecture == EVERY_ARCHITECTURE || Some(architecture) == self.architecture
    }

    /// Returns the uses in a list that apply to the plan's architecture.
    pub(crate) fn applicable<'s>(
        &'s self,
        uses: &'s [RelationUse],
    ) -> impl Iterator<Item = &'s RelationUse> {
        uses.iter().filter(|used| self.applies(used.architecture))
    }

    /// Returns the packages of a base for the plan's architecture.
    pub(crate) fn packages_of<'s>(
        &'s self,
        base: &'s BaseRecord,
    ) -> impl Iterator<Item = u32> + 's {
        base.nodes.iter().copied().filter(|&node| self.fits(node))
    }

    /// Returns the packages with this name for the plan's architecture, without old versions.
    pub(crate) fn named(&self, name: u32) -> impl Iterator<Item = u32> {
        let known = self.index.tables.providers.get(name as usize);
        let changed = self.overlay.providers.get(&name);
        known
            .into_iter()
            .chain(changed)
            .flatten()
            .filter(|provider| provider.provision == OWN_NAME)
            .map(|provider| provider.node)
            .filter(|&node| self.fits(node) && !self.is_old(node))
    }

    /// Returns the number of a name, if any package mentions it.
    pub(crate) fn name_number(&self, name: &str) -> Option<u32> {
        let known = &self.index.tables.names;
        let extra = || self.overlay.extra.names.get(name);
        known
            .get(name)
            .or_else(|| extra().map(|id| number(known.len()) + id))
    }

    pub(crate) fn relation_text(&self, relation: u32) -> &str {
        let known = self.index.tables.relations.len();
        if (relation as usize) < known {
            self.index.tables.relations.text(relation)
        } else {
            self.overlay.extra.relations.text(relation - number(known))
        }
    }

    /// Returns the text of a name.
    pub(crate) fn name_text(&self, name: u32) -> &Arc<str> {
        let known = &self.index.tables.names;
        if (name as usize) < known.len() {
            known.shared(name)
        } else {
            self.overlay.extra.names.shared(name - number(known.len()))
        }
    }

    /// Returns the number of a relation's name.
    pub(crate) fn relation_name(&self, relation: u32) -> u32 {
        self.overlay.relation_name(relation)
    }

    pub(crate) fn is_soname(&self, relation: u32) -> bool {
        let tables = &self.index.tables;
        if (relation as usize) < tables.relations.len() {
            tables.soname_relations.contains(relation as usize)
        } else {
            crate::relation::is_soname(Relation::split(self.relation_text(relation)).name)
        }
    }

    /// Returns the relations with a name.
    pub(crate) fn relations_of(&self, name: u32) -> impl Iterator<Item = u32> {
        let known = self.index.tables.relations_of.get(name as usize);
        let extra = self.overlay.relations_of.get(&name);
        known.into_iter().chain(extra).flatten().copied()
    }

    /// Returns the users of a relation, including replaced versions and other architectures.
    pub(crate) fn users(&self, relation: u32) -> impl Iterator<Item = &Users> {
        let known = self.index.tables.users.get(relation as usize);
        known.into_iter().chain(self.overlay.users.get(&relation))
    }
}
