//! Transformations of a query before its execution.

use async_graphql::{Name, Value};
use async_graphql_parser::types::{
    DocumentOperations, ExecutableDocument, OperationDefinition, Selection, SelectionSet,
};

use crate::VERSION;

/// Returns the operation to execute.
pub(crate) fn operation<'a>(
    document: &'a ExecutableDocument,
    name: Option<&str>,
) -> Option<&'a OperationDefinition> {
    match (&document.operations, name) {
        (DocumentOperations::Single(only), None) => Some(&only.node),
        (DocumentOperations::Single(_), Some(_)) => None,
        (DocumentOperations::Multiple(all), Some(name)) => all.get(name).map(|one| &one.node),
        (DocumentOperations::Multiple(all), None) => {
            let mut all = all.values();
            let first = all.next()?;
            all.next().is_none().then_some(&first.node)
        }
    }
}

/// Removes `@gl_introduced`, and the fields that it marks as newer than this version.
pub(crate) fn skip_newer_fields(document: &mut ExecutableDocument) {
    match &mut document.operations {
        DocumentOperations::Single(only) => clean(&mut only.node.selection_set.node),
        DocumentOperations::Multiple(all) => {
            for operation in all.values_mut() {
                clean(&mut operation.node.selection_set.node);
            }
        }
    }
    for fragment in document.fragments.values_mut() {
        clean(&mut fragment.node.selection_set.node);
    }
}

fn clean(set: &mut SelectionSet) {
    set.items.retain_mut(|item| {
        match &mut item.node {
            Selection::Field(field) => clean(&mut field.node.selection_set.node),
            Selection::InlineFragment(fragment) => clean(&mut fragment.node.selection_set.node),
            Selection::FragmentSpread(_) => {}
        }
        let mut keep = true;
        item.node.directives_mut().retain(|directive| {
            if directive.node.name.node != "gl_introduced" {
                return true;
            }
            let version = directive.node.arguments.iter().find_map(|(name, value)| {
                (name.node == Name::new("version")).then_some(&value.node)
            });
            let version = version.cloned().and_then(|value| value.into_const());
            if let Some(Value::String(version)) = version {
                keep &= numbers(&version) <= numbers(VERSION);
            }
            false
        });
        keep
    });
}

fn numbers(version: &str) -> Vec<u64> {
    version
        .split('.')
        .map(|part| part.parse().unwrap_or_default())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skips_fields_of_newer_versions() {
        let query =
            "{ a @gl_introduced(version: \"18.1.0\") b @gl_introduced(version: \"99.0\") c }";
        let mut document = async_graphql_parser::parse_query(query).unwrap();
        skip_newer_fields(&mut document);
        let set = &operation(&document, None).unwrap().selection_set.node;
        let names: Vec<String> = set
            .items
            .iter()
            .map(|item| match &item.node {
                Selection::Field(field) => {
                    assert!(field.node.directives.is_empty());
                    field.node.name.node.to_string()
                }
                _ => panic!("not a field"),
            })
            .collect();
        assert_eq!(names, ["a", "c"]);
    }
}
