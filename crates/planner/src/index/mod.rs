//! The package index: all packages of a distribution in memory, with their relations.
//!
//! Every distinct name and relation has a number, and every relation has a list of its users, so that a plan compares
//! integers and visits only what its origins reach. Replacing a package changes only the entries of its own relations.

mod change;
mod intern;
mod record;
mod table;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use buildbtw_model::Pkgbase;
use rustc_hash::FxHashMap;

pub(crate) use change::Effect;
pub use change::IndexChange;
pub use record::DependencyKind;
pub(crate) use record::{
    BaseRecord, EVERY_ARCHITECTURE, NodeRecord, Numbering, OWN_NAME, Provider, RelationUse, User,
    Users, records,
};
use table::remove_first;
pub(crate) use table::{ArchitectureFilter, Tables, provisions};

pub(crate) use crate::sparse::number;
use crate::srcinfo::SourcePackage;

/// The source packages on all default branches.
///
/// A source package replaces an earlier one with the same pkgbase.
#[derive(Clone, Debug)]
pub struct PackageIndex {
    /// Distinguishes the numbers of this index from those of other indexes.
    pub(crate) identity: u64,
    pub(crate) tables: Tables,
    pub(crate) bases: Vec<Option<BaseRecord>>,
    /// Free numbers have a default record, which is in no list and fits no architecture.
    pub(crate) nodes: Vec<NodeRecord>,
    free_nodes: Vec<u32>,
    base_ids: FxHashMap<Pkgbase, u32>,
    len: usize,
}

impl Default for PackageIndex {
    fn default() -> Self {
        Self::new()
    }
}

impl PackageIndex {
    /// Creates an empty index.
    #[must_use]
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self {
            identity: NEXT.fetch_add(1, Ordering::Relaxed),
            tables: Tables::default(),
            bases: Vec::new(),
            nodes: Vec::new(),
            free_nodes: Vec::new(),
            base_ids: FxHashMap::default(),
            len: 0,
        }
    }

    /// Returns the number of source packages.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns whether the index is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the source package with this name.
    #[must_use]
    pub fn get(&self, pkgbase: &Pkgbase) -> Option<&Arc<SourcePackage>> {
        let id = self.base_id(pkgbase)?;
        self.base(id).map(|record| &record.source)
    }

    /// Returns all source packages, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<SourcePackage>> {
        self.bases.iter().flatten().map(|record| &record.source)
    }

    pub(crate) fn base_id(&self, pkgbase: &Pkgbase) -> Option<u32> {
        self.base_ids.get(pkgbase).copied()
    }

    pub(crate) fn base(&self, id: u32) -> Option<&BaseRecord> {
        self.bases.get(id as usize)?.as_ref()
    }

    /// Adds a source package, or replaces the one with the same name, and returns what the change can affect.
    pub fn insert(&mut self, source: Arc<SourcePackage>) -> IndexChange {
        let id = match self.base_id(source.pkgbase()) {
            Some(id) => id,
            None => {
                let id = number(self.bases.len());
                self.bases.push(None);
                self.base_ids.insert(source.pkgbase().clone(), id);
                id
            }
        };
        let mut change = IndexChange::new(self.identity, id, source.pkgbase().clone());
        if let Some(old) = self.base(id)
            && change::is_equivalent(&old.source, &source)
        {
            change.mark_relations_unchanged(old.source.version() != source.version());
        }
        if let Some((build, nodes)) = self.detach(id) {
            change.add_names(&self.tables, &build, nodes.iter());
        }
        let (build, nodes) = records(&source, id, &mut self.tables);
        change.add_names(&self.tables, &build, nodes.iter());
        for used in &build {
            self.tables.users[used.relation as usize].bases.push(User {
                id,
                architecture: used.architecture,
            });
        }
        let nodes = nodes.into_iter().map(|node| self.attach(node)).collect();
        self.bases[id as usize] = Some(BaseRecord {
            source,
            nodes,
            build,
        });
        self.len += 1;
        change
    }

    /// Removes a source package and returns what the change can affect; `None` if the index does not have it.
    pub fn remove(&mut self, pkgbase: &Pkgbase) -> Option<IndexChange> {
        let id = self.base_id(pkgbase)?;
        let (build, nodes) = self.detach(id)?;
        let mut change = IndexChange::new(self.identity, id, pkgbase.clone());
        change.add_names(&self.tables, &build, nodes.iter());
        Some(change)
    }

    fn attach(&mut self, node: NodeRecord) -> u32 {
        let id = match self.free_nodes.pop() {
            Some(id) => id,
            None => {
                self.nodes.push(NodeRecord::default());
                number(self.nodes.len() - 1)
            }
        };
        self.tables.attach(id, &node);
        self.nodes[id as usize] = node;
        id
    }

    /// Removes a base from every list that contains it.
    fn detach(&mut self, id: u32) -> Option<(Box<[RelationUse]>, Vec<NodeRecord>)> {
        let record = self.bases.get_mut(id as usize)?.take()?;
        self.len -= 1;
        for used in &record.build {
            let users = &mut self.tables.users[used.relation as usize].bases;
            remove_first(users, |user| user.id == id);
        }
        let mut nodes = Vec::with_capacity(record.nodes.len());
        for &node_id in &record.nodes {
            let node = std::mem::take(&mut self.nodes[node_id as usize]);
            self.tables.detach(node_id, &node);
            nodes.push(node);
            self.free_nodes.push(node_id);
        }
        Some((record.build, nodes))
    }
}
