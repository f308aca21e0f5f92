//! The layers of the server.

use std::path::Path;

use crate::cycles::imports;
use crate::source::{Crate, ModulePath};
use crate::workspace;

/// The modules of the server by layers, lowest first. A module imports from its own layer and from lower ones only.
const LAYERS: [&[&str]; 8] = [
    &[
        "address",
        "admission",
        "cached",
        "config",
        "disk",
        "error",
        "listening",
        "metrics",
        "network",
        "outage",
        "owner",
        "private",
        "request_trace",
        "serve",
        "service_manager",
        "shutdown",
        "startup",
        "time",
        "wakers",
    ],
    &["changes", "db", "logs", "planning", "repos", "sources"],
    &["principal", "state"],
    &["service"],
    &["dispatch"],
    &["actors", "auth"],
    &["router", "routes", "views"],
    &["cli", "doctor", "maintenance", "run"],
];

fn server() -> Crate {
    Crate::read(&workspace().join("server/src/lib.rs"))
}

/// Returns the name of the module at the top of the server that a file belongs to; `lib` for the root.
fn top_module(file: &Path) -> String {
    let folder = workspace().join("server/src");
    let first = file.strip_prefix(folder).unwrap().iter().next().unwrap();
    let name = Path::new(first).file_stem().unwrap();
    name.to_str().unwrap().to_owned()
}

/// Returns the layer of a file; none for the root of the crate.
fn layer_of(file: &Path) -> Option<usize> {
    let name = top_module(file);
    LAYERS.iter().position(|layer| layer.contains(&&*name))
}

#[test]
fn imports_only_lower_layers_in_the_server() {
    let server = server();
    let mut upward = Vec::new();
    for (path, module) in &server.modules {
        for (to, by) in imports(&server, path, module) {
            if let (Some(from), Some(into)) = (layer_of(&module.file), layer_of(to))
                && from < into
            {
                upward.push(format!("{:?} imports {by}", module.file));
            }
        }
    }
    assert!(upward.is_empty(), "{}", upward.join("\n"));
}

#[test]
fn every_module_of_the_server_has_one_layer() {
    let server = server();
    let at_the_top = |path: &&ModulePath| path.len() == 1;
    let modules = server.modules.keys().filter(at_the_top);
    let modules: Vec<&str> = modules.map(|path| path[0].as_str()).collect();
    let mut layers = LAYERS.concat();
    layers.sort_unstable();
    assert_eq!(layers, modules, "LAYERS and the modules of the server");
}
