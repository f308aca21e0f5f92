//! What services take, and what the other parts of the server leave to them.

use std::collections::BTreeSet;
use std::path::Path;

use syn::visit::{self, Visit};
use syn::{Expr, ExprMethodCall, Member};

use crate::cycles::imports;
use crate::source::Crate;
use crate::{production, production_files, workspace};

/// The type of all parts of a server. A use case that takes it cannot be tested without a server.
const WHOLE_STATE: &str = "AppState";
/// Files below `db` that are not about a table.
const NO_TABLES: [&str; 2] = ["db/mod.rs", "db/checkpoints.rs"];

/// The folders of the server that begin write transactions.
const WRITERS: [&str; 4] = ["db", "maintenance", "service", "sources"];
/// Begins write transactions, too, but only to roll them back.
const PROBE: &str = "server/src/actors/watchdog.rs";

/// Counts the calls of `database.write()` in a file outside of tests.
fn write_transactions(text: &str) -> usize {
    let mut counter = Counter::default();
    counter.visit_file(&production::parse(text).unwrap());
    counter.0
}

#[derive(Default)]
struct Counter(usize);

impl<'ast> Visit<'ast> for Counter {
    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        let is_database = match &*call.receiver {
            Expr::Path(of) => of.path.is_ident("database"),
            Expr::Field(of) => matches!(&of.member, Member::Named(name) if name == "database"),
            Expr::MethodCall(of) => of.method == "database",
            _ => false,
        };
        self.0 += usize::from(is_database && call.method == "write");
        visit::visit_expr_method_call(self, call);
    }
}

#[test]
fn only_services_and_sources_write_to_the_database() {
    let folders = WRITERS.map(|name| format!("server/src/{name}"));
    let (mut count, mut elsewhere) = (0, Vec::new());
    for (file, text) in production_files() {
        if !file.starts_with("server/src") || file == Path::new(PROBE) {
            continue;
        }
        let found = write_transactions(&text);
        count += found;
        if found > 0 && !folders.iter().any(|folder| file.starts_with(folder)) {
            elsewhere.push(file);
        }
    }
    assert!(count > 40, "only {count} transactions were found");
    assert!(elsewhere.is_empty(), "{elsewhere:?}");
}

#[test]
fn finds_write_transactions_outside_of_tests() {
    let text = "
        async fn one(parts: Parts<'_>, database: &Database, sources: &Sources) {
            let _ = parts.database.write().await;
            let _ = database.write();
            let _ = sources.database().write();
            let _ = database.read();
            let _ = catalog.write();
        }
        #[cfg(test)]
        mod tests {
            async fn two(database: &Database) {
                let _ = database.write().await;
            }
        }
    ";
    assert_eq!(write_transactions(text), 3);
}

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
