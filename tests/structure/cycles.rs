//! Files that import each other.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use petgraph::Direction;
use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::Bfs;

use crate::source::{Crate, Module, ModulePath};

/// An import cycle: each file or folder imports the next one, and the last the first.
pub(crate) struct Cycle {
    pub(crate) files: Vec<PathBuf>,
    /// The path by which each imports the next.
    paths: Vec<String>,
}

impl Cycle {
    /// Formats the cycle as a chain of files, relative to a folder.
    pub(crate) fn describe(&self, folder: &Path) -> String {
        let name = |file: &Path| {
            let name = file.strip_prefix(folder).unwrap_or(file);
            name.display().to_string()
        };
        let steps = self.files.iter().zip(&self.paths);
        let mut text: String = steps
            .map(|(file, path)| format!("{} -> ({path}) ", name(file)))
            .collect();
        text.push_str("-> ");
        text.push_str(&name(&self.files[0]));
        text
    }
}

/// Returns a shortest import cycle of each strongly connected component of the files.
pub(crate) fn cycles(source: &Crate) -> Vec<Cycle> {
    cycles_between(source, |from, to| {
        (from != to).then(|| (from.to_owned(), to.to_owned()))
    })
}

/// Returns the import cycles between the files and folders at the top of a crate, and between folders next to each
/// other deeper down. A folder `x/` and its file `x.rs` are one.
pub(crate) fn folder_cycles(source: &Crate, folder: &Path) -> Vec<Cycle> {
    cycles_between(source, |from, to| {
        let mut place = folder.to_owned();
        let names = |file: &Path| names(file.strip_prefix(folder).unwrap_or(file));
        for (from, to) in names(from).into_iter().zip(names(to)) {
            if from != to {
                let is_checked = |name: &str| place == folder || place.join(name).is_dir();
                let is_checked = is_checked(&from) && is_checked(&to);
                return is_checked.then(|| (place.join(from), place.join(to)));
            }
            place.push(from);
        }
        None
    })
}

/// Returns the folders of a file and its own name without the ending; a file `mod.rs` belongs to its folder.
fn names(file: &Path) -> Vec<String> {
    let path = file.with_extension("");
    let names = path.iter().map(|name| name.to_string_lossy().into_owned());
    names.filter(|name| name != "mod").collect()
}

/// Returns a shortest cycle of each strongly connected component of the nodes that `nodes_of` returns for the two files
/// of an import.
fn cycles_between(
    source: &Crate,
    nodes_of: impl Fn(&Path, &Path) -> Option<(PathBuf, PathBuf)>,
) -> Vec<Cycle> {
    let mut graph: DiGraph<PathBuf, String> = DiGraph::new();
    let mut nodes: BTreeMap<PathBuf, NodeIndex> = BTreeMap::new();
    for (path, module) in &source.modules {
        for (to, by) in imports(source, path, module) {
            if let Some((from, to)) = nodes_of(&module.file, to) {
                let [from, to] = [from, to].map(|name| {
                    let node = nodes.entry(name.clone());
                    *node.or_insert_with(|| graph.add_node(name))
                });
                graph.update_edge(from, to, by);
            }
        }
    }
    let groups = kosaraju_scc(&graph).into_iter();
    let groups = groups.filter(|group| group.len() > 1);
    let mut found: Vec<Cycle> = groups.map(|group| shortest(&graph, &group)).collect();
    found.sort_by(|one, other| one.files.cmp(&other.files));
    found
}

/// Returns the files that a module imports, and by which path.
pub(crate) fn imports<'a>(
    source: &'a Crate,
    module_path: &ModulePath,
    module: &'a Module,
) -> Vec<(&'a Path, String)> {
    let is_used = |name: &str| {
        let mut paths = module.paths.iter();
        paths.any(|path| path.first().is_some_and(|first| first == name))
    };
    // A re-export is not an import by itself: its users import from the file that defines.
    let imports = module.imports.iter().filter(|import| {
        let is_only_passed_on = import.is_public && !import.name.as_deref().is_some_and(&is_used);
        !is_only_passed_on
    });
    // A single name that was not imported is local, since modules are not values.
    let is_imported = |name: &String| {
        let mut imports = module.imports.iter();
        imports.any(|import| import.name.as_ref() == Some(name))
    };
    let mentioned = module.paths.iter();
    let mentioned = mentioned.filter(|path| path.len() > 1 || path.iter().any(is_imported));
    let paths = imports.map(|import| &import.path).chain(mentioned);
    let paths: BTreeSet<&Vec<String>> = paths.collect();
    let files = paths.into_iter().filter_map(|path| {
        let file = source.file_of(module_path, path)?;
        Some((file, path.join("::")))
    });
    files.collect()
}

fn shortest(graph: &DiGraph<PathBuf, String>, group: &[NodeIndex]) -> Cycle {
    let cycles = group
        .iter()
        .filter_map(|start| cycle_through(graph, *start));
    let shortest = cycles.min_by_key(|cycle| (cycle.len(), graph[cycle[0]].clone()));
    let nodes = shortest.unwrap_or_default();
    let by = |at: usize| {
        let edge = graph.find_edge(nodes[at], nodes[(at + 1) % nodes.len()]);
        edge.map(|edge| graph[edge].clone()).unwrap_or_default()
    };
    Cycle {
        files: nodes.iter().map(|node| graph[*node].clone()).collect(),
        paths: (0..nodes.len()).map(by).collect(),
    }
}

/// Returns a shortest cycle through a node.
fn cycle_through(graph: &DiGraph<PathBuf, String>, start: NodeIndex) -> Option<Vec<NodeIndex>> {
    let mut before: HashMap<NodeIndex, NodeIndex> = HashMap::new();
    let mut search = Bfs::new(graph, start);
    while let Some(node) = search.next(graph) {
        for next in graph.neighbors_directed(node, Direction::Outgoing) {
            if next == start {
                let mut chain = vec![node];
                while let Some(earlier) = before.get(&chain[chain.len() - 1]) {
                    chain.push(*earlier);
                }
                chain.reverse();
                return Some(chain);
            }
            before.entry(next).or_insert(node);
        }
    }
    None
}
