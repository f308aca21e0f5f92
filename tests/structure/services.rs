//! What services take, and what actors leave to them.

use std::collections::BTreeSet;

use crate::cycles::imports;
use crate::source::Crate;
use crate::workspace;

/// The type of all parts of a server. A use case that takes it cannot be tested without a server.
const WHOLE_STATE: &str = "AppState";
/// Files below `db` that are not about a table.
const NO_TABLES: [&str; 2] = ["db/mod.rs", "db/checkpoints.rs"];

#[test]
fn services_take_only_the_parts_they_need() {
    let folder = workspace().join("server/src");
    let server = Crate::read(&folder.join("lib.rs"));
    let folders = ["service", "dispatch"].map(|name| folder.join(name));
    let services = server.modules.values();
    let services = services.filter(|module| {
        let mut folders = folders.iter();
        folders.any(|folder| module.file.starts_with(folder))
    });
    let (mut count, mut found) = (0, BTreeSet::new());
    for module in services {
        count += 1;
        let imported = module.imports.iter().map(|import| &import.path);
        let mut paths = imported.chain(&module.paths);
        if paths.any(|path| path.last().is_some_and(|name| name == WHOLE_STATE)) {
            found.insert(&module.file);
        }
    }
    assert!(count > 60, "only {count} modules were found");
    assert!(found.is_empty(), "these name `{WHOLE_STATE}`: {found:?}");
}

#[test]
fn actors_leave_tables_to_services() {
    let folder = workspace().join("server/src");
    let server = Crate::read(&folder.join("lib.rs"));
    let no_tables = NO_TABLES.map(|name| folder.join(name));
    let (mut count, mut found) = (0, Vec::new());
    for (path, module) in &server.modules {
        if !module.file.starts_with(folder.join("actors")) {
            continue;
        }
        for (to, by) in imports(&server, path, module) {
            count += 1;
            if to.starts_with(folder.join("db")) && no_tables.iter().all(|other| to != other) {
                found.push(format!("{:?} imports {by}", module.file));
            }
        }
    }
    assert!(count > 40, "only {count} imports were found");
    assert!(found.is_empty(), "{}", found.join("\n"));
}
