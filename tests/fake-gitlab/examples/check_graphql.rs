//! Validates the server's GraphQL queries against the schema that the stand-in serves. It is an example of this crate,
//! not of the one with the queries, because that one does not compile with an invalid query.
//! `just check-graphql` runs it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Schema};

/// GitLab rejects longer queries.
const LONGEST: usize = 10_000;

fn main() -> anyhow::Result<ExitCode> {
    let folder = std::env::args_os().nth(1);
    let folder = folder.map_or_else(|| PathBuf::from("graphql"), PathBuf::from);
    let path = folder.join("schema.graphql");
    let schema = Schema::parse_and_validate(fs_err::read_to_string(&path)?, &path)
        .map_err(|errors| anyhow::anyhow!("{errors}"))?;
    let mut paths = Vec::new();
    for entry in fs_err::read_dir(folder.join("queries"))? {
        paths.push(entry?.path());
    }
    paths.sort();
    anyhow::ensure!(!paths.is_empty(), "there are no queries");
    let mut out = std::io::stdout();
    let mut count = 0;
    for path in &paths {
        for error in check(&schema, &fs_err::read_to_string(path)?, path) {
            count += 1;
            writeln!(out, "{error}")?;
        }
    }
    writeln!(out, "{} queries, {count} errors", paths.len())?;
    Ok(if count == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Returns the problems of a query, with file and line.
fn check(schema: &Valid<Schema>, query: &str, path: &Path) -> Vec<String> {
    let mut errors = Vec::new();
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    match ExecutableDocument::parse_and_validate(schema, query, path) {
        Err(found) => errors.extend(found.errors.iter().map(|error| error.to_string())),
        Ok(document) => {
            let operations: Vec<String> = document
                .operations
                .iter()
                .filter_map(|operation| operation.name.as_ref())
                .map(|name| snake_case(name))
                .collect();
            if operations != [name.clone()] {
                errors.push(format!(
                    "{}: one query of the file's name is expected, not {operations:?}",
                    path.display()
                ));
            }
        }
    }
    if query.len() > LONGEST {
        errors.push(format!(
            "{}: GitLab refuses queries of more than {LONGEST} characters",
            path.display()
        ));
    }
    errors
}

fn snake_case(name: &str) -> String {
    let mut text = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.push(c.to_ascii_lowercase());
    }
    text
}
