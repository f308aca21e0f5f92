//! Tasks without names. Programs start all tasks in `crates/telemetry`, so that tokio-console shows what they are for.

use std::path::Path;

use syn::visit::{self, Visit};
use syn::{Expr, ExprMethodCall};

use crate::{production, production_files};

/// The functions of tokio that start tasks without a name.
const STARTS: [&str; 4] = [
    "task::spawn_blocking",
    "task::spawn_local",
    "tokio::spawn",
    "tokio::task::spawn",
];
/// Methods of sets of tasks and of runtimes. Commands and threads have the first one, too, without a future.
const METHODS: [&str; 4] = ["spawn", "spawn_blocking", "spawn_local", "spawn_on"];
/// The only folder that may call them.
const TASKS: &str = "crates/telemetry/src/tasks";

/// Returns how a file starts tasks outside of tests, apart from those with a name.
fn starts(text: &str) -> syn::Result<Vec<String>> {
    let file = production::parse(text)?;
    let mut reader = Reader::default();
    reader.visit_file(&file);
    Ok(reader.found)
}

#[derive(Default)]
struct Reader {
    found: Vec<String>,
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names = path.segments.iter().map(|part| part.ident.to_string());
        let name = names.collect::<Vec<_>>().join("::");
        if STARTS
            .iter()
            .any(|start| name == *start || name.ends_with(&format!("::{start}")))
        {
            self.found.push(name);
        }
        visit::visit_path(self, path);
    }

    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        let method = call.method.to_string();
        let is_start = match (method.as_str(), call.args.first()) {
            // Those of commands take nothing, of threads a closure, and of actors more than one argument.
            ("spawn", Some(future)) => call.args.len() == 1 && !matches!(future, Expr::Closure(_)),
            (method, first) => first.is_some() && METHODS.contains(&method),
        };
        if is_start {
            self.found.push(format!(".{method}()"));
        }
        visit::visit_expr_method_call(self, call);
    }
}

#[test]
fn starts_only_tasks_with_names() {
    let mut unnamed = Vec::new();
    for (file, text) in production_files() {
        if file.starts_with(Path::new(TASKS)) {
            continue;
        }
        let found = starts(&text).unwrap();
        let found = found.into_iter();
        unnamed.extend(found.map(|start| format!("{} calls {start}", file.display())));
    }
    let hint = "use spawn_named, spawn_in or spawn_blocking_named of buildbtw-telemetry";
    assert!(unnamed.is_empty(), "{}\n{hint}", unnamed.join("\n"));
}

#[test]
fn finds_tasks_without_names_outside_of_tests() {
    let text = "
        fn one(mut set: JoinSet<()>) {
            tokio::spawn(async {});
            tokio::task::spawn_blocking(|| {});
            task::spawn_blocking(read);
            set.spawn(work());
            set.spawn(async move {});
            runtime.spawn_blocking(read);
            spawn_named(\"two\", async {});
            command.spawn();
            thread.spawn(move || {});
            runner.spawn(&mut tasks, make);
        }
        #[cfg(test)]
        mod tests {
            fn three() {
                tokio::spawn(async {});
            }
        }
    ";
    let expected = [
        "tokio::spawn",
        "tokio::task::spawn_blocking",
        "task::spawn_blocking",
        ".spawn()",
        ".spawn()",
        ".spawn_blocking()",
    ];
    assert_eq!(starts(text).unwrap(), expected);
}
