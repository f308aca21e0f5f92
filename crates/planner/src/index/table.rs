//! The tables of numbered names and relations with their users and providers.

use buildbtw_model::Architecture;
use fixedbitset::FixedBitSet;

use crate::relation::{Comparison, Relation, is_soname};

use super::intern::Interner;
use super::record::{EVERY_ARCHITECTURE, NodeRecord, Numbering, OWN_NAME, Provider, User, Users};

/// The lookup tables of the index, by name and by relation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tables {
    pub(crate) names: Interner,
    pub(crate) relations: Interner,
    pub(crate) architectures: Interner,
    /// Lists of architectures, each as one text separated by spaces.
    pub(crate) architecture_lists: Interner,
    /// For each name: the relations with it.
    pub(crate) relations_of: Vec<Vec<u32>>,
    /// For each name: the packages that have or provide it.
    pub(crate) providers: Vec<Vec<Provider>>,
    /// For each relation: its name.
    pub(crate) relation_name: Vec<u32>,
    /// The relations that have no constraint.
    pub(crate) plain_relations: FixedBitSet,
    /// The relations to a soname.
    pub(crate) soname_relations: FixedBitSet,
    /// For each relation: its users.
    pub(crate) users: Vec<Users>,
}

/// A filter for the parts of an index that apply to one architecture.
pub(crate) struct ArchitectureFilter<'t> {
    tables: &'t Tables,
    name: &'t str,
    /// The number of its name; `None` if no package mentions it.
    number: Option<u32>,
}

impl ArchitectureFilter<'_> {
    /// Returns whether a list of architectures contains it or `any`.
    pub(crate) fn matches(&self, list: u32) -> bool {
        let lists = &self.tables.architecture_lists;
        (list as usize) < lists.len()
            && lists
                .text(list)
                .split(' ')
                .any(|name| name == "any" || name == self.name)
    }

    /// Returns whether an architecture suffix is empty or matches.
    pub(crate) fn applies(&self, architecture: u32) -> bool {
        architecture == EVERY_ARCHITECTURE || Some(architecture) == self.number
    }
}

impl Tables {
    /// Returns the filter for an architecture.
    pub(crate) fn for_architecture<'t>(
        &'t self,
        architecture: &'t Architecture,
    ) -> ArchitectureFilter<'t> {
        let name = architecture.as_str();
        ArchitectureFilter {
            tables: self,
            name,
            number: self.architectures.get(name),
        }
    }

    /// Adds a node to the lists of users and providers.
    pub(super) fn attach(&mut self, id: u32, node: &NodeRecord) {
        for used in &node.depends {
            self.users[used.relation as usize].nodes.push(User {
                id,
                architecture: used.architecture,
            });
        }
        for (name, provider) in
            provisions(id, node, |relation| self.relation_name[relation as usize])
        {
            self.providers[name as usize].push(provider);
        }
    }

    /// Reverts [`Tables::attach`].
    pub(super) fn detach(&mut self, id: u32, node: &NodeRecord) {
        for used in &node.depends {
            let users = &mut self.users[used.relation as usize].nodes;
            remove_first(users, |user| user.id == id);
        }
        for (name, provider) in
            provisions(id, node, |relation| self.relation_name[relation as usize])
        {
            remove_first(&mut self.providers[name as usize], |other| {
                *other == provider
            });
        }
    }
}

/// Returns the names that a node has or provides.
pub(crate) fn provisions(
    id: u32,
    node: &NodeRecord,
    name_of: impl Fn(u32) -> u32,
) -> Vec<(u32, Provider)> {
    let own = Provider {
        node: id,
        provision: OWN_NAME,
        architecture: EVERY_ARCHITECTURE,
    };
    let mut list = vec![(node.name, own)];
    list.extend(node.provides.iter().map(|used| {
        let provider = Provider {
            node: id,
            provision: used.relation,
            architecture: used.architecture,
        };
        (name_of(used.relation), provider)
    }));
    list
}

impl Numbering for Tables {
    fn name(&mut self, text: &str) -> u32 {
        let (id, new) = self.names.intern(text);
        if new {
            self.relations_of.push(Vec::new());
            self.providers.push(Vec::new());
        }
        id
    }

    fn relation(&mut self, text: &str) -> u32 {
        let (id, new) = self.relations.intern(text);
        if new {
            let parts = Relation::split(text);
            let name = self.name(parts.name);
            self.relation_name.push(name);
            if parts.comparison == Comparison::Any {
                self.plain_relations.grow_and_insert(id as usize);
            }
            if is_soname(parts.name) {
                self.soname_relations.grow_and_insert(id as usize);
            }
            self.relations_of[name as usize].push(id);
            self.users.push(Users::default());
        }
        id
    }

    fn architecture(&mut self, text: &str) -> u32 {
        self.architectures.intern(text).0
    }

    fn architectures(&mut self, list: &str) -> u32 {
        self.architecture_lists.intern(list).0
    }
}

/// Removes the first entry that matches. The order of these lists is irrelevant.
pub(super) fn remove_first<T>(list: &mut Vec<T>, matches: impl Fn(&T) -> bool) {
    if let Some(at) = list.iter().position(matches) {
        list.swap_remove(at);
    }
}
