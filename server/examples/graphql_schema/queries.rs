//! Whether a query is valid.

use std::path::Path;

use apollo_compiler::{ExecutableDocument, Schema};

/// GitLab refuses longer ones.
const LONGEST: usize = 10_000;

/// What is wrong with a query, in words that name file and line.
pub(crate) fn check(schema: &str, query: &str, path: &Path) -> anyhow::Result<Vec<String>> {
    let schema = Schema::parse_and_validate(schema, "schema.graphql")
        .map_err(|errors| anyhow::anyhow!("{errors}"))?;
    let mut errors = Vec::new();
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    match ExecutableDocument::parse_and_validate(&schema, query, path) {
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
    Ok(errors)
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
