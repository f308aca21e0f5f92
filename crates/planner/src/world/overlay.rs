//! The overlay of a plan over the index: the changed versions of its origins, and packages of the base repositories.
//! Their numbers continue those of the index.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::budget::Budget;
use crate::index::{
    BaseRecord, NodeRecord, Numbering, PackageIndex, Provider, Tables, User, Users, number, records,
};
use crate::relation::Relation;
use crate::srcinfo::SourcePackage;

/// The overlay. All maps are keyed by number.
pub(super) struct Overlay<'a> {
    index: &'a PackageIndex,
    /// Texts that have no number in the index; numbered from zero.
    pub(super) extra: Tables,
    pub(super) bases: Vec<BaseRecord>,
    pub(super) nodes: Vec<NodeRecord>,
    pub(super) relations_of: FxHashMap<u32, Vec<u32>>,
    pub(super) providers: FxHashMap<u32, Vec<Provider>>,
    pub(super) users: FxHashMap<u32, Users>,
    /// The name of each relation in `extra`.
    pub(super) relation_name: Vec<u32>,
}

impl Numbering for Overlay<'_> {
    fn name(&mut self, text: &str) -> u32 {
        let names = &self.index.tables.names;
        match names.get(text) {
            Some(id) => id,
            None => number(names.len()) + self.extra.names.intern(text).0,
        }
    }

    fn relation(&mut self, text: &str) -> u32 {
        let relations = &self.index.tables.relations;
        if let Some(id) = relations.get(text) {
            return id;
        }
        let (local, new) = self.extra.relations.intern(text);
        let id = number(relations.len()) + local;
        if new {
            let name = self.name(Relation::split(text).name);
            self.relation_name.push(name);
            self.relations_of.entry(name).or_default().push(id);
        }
        id
    }

    fn architecture(&mut self, text: &str) -> u32 {
        let architectures = &self.index.tables.architectures;
        match architectures.get(text) {
            Some(id) => id,
            None => number(architectures.len()) + self.extra.architectures.intern(text).0,
        }
    }

    fn architectures(&mut self, list: &str) -> u32 {
        let lists = &self.index.tables.architecture_lists;
        match lists.get(list) {
            Some(id) => id,
            None => number(lists.len()) + self.extra.architecture_lists.intern(list).0,
        }
    }
}

impl<'a> Overlay<'a> {
    pub(super) fn new<B: Budget>(
        index: &'a PackageIndex,
        packages: &[&Arc<SourcePackage>],
        budget: &B,
    ) -> Result<Self, B::Over> {
        let mut overlay = Self {
            index,
            extra: Tables::default(),
            bases: Vec::new(),
            nodes: Vec::new(),
            relations_of: FxHashMap::default(),
            providers: FxHashMap::default(),
            users: FxHashMap::default(),
            relation_name: Vec::new(),
        };
        for package in packages {
            budget.check()?;
            overlay.add(package);
        }
        Ok(overlay)
    }

    fn add(&mut self, source: &Arc<SourcePackage>) {
        let base = number(self.index.bases.len() + self.bases.len());
        let (build, nodes) = records(source, base, self);
        for used in &build {
            let users = self.users.entry(used.relation).or_default();
            users.bases.push(User {
                id: base,
                architecture: used.architecture,
            });
        }
        let mut ids = Vec::with_capacity(nodes.len());
        for node in nodes {
            let id = number(self.index.nodes.len() + self.nodes.len());
            ids.push(id);
            for used in &node.depends {
                let users = self.users.entry(used.relation).or_default();
                users.nodes.push(User {
                    id,
                    architecture: used.architecture,
                });
            }
            let list = crate::index::provisions(id, &node, |relation| self.relation_name(relation));
            for (name, provider) in list {
                self.providers.entry(name).or_default().push(provider);
            }
            self.nodes.push(node);
        }
        self.bases.push(BaseRecord {
            source: Arc::clone(source),
            nodes: ids.into(),
            build,
        });
    }

    pub(super) fn relation_name(&self, relation: u32) -> u32 {
        let names = &self.index.tables.relation_name;
        let relation = relation as usize;
        match names.get(relation) {
            Some(&name) => name,
            None => self.relation_name[relation - names.len()],
        }
    }
}
