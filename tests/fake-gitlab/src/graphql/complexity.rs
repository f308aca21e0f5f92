//! The complexity of a query by GitLab's model: a field costs one plus its selections, some fields cost more, and a
//! connection costs more the larger its pages are.

use std::collections::HashMap;

use async_graphql::{Name, Value};
use async_graphql_parser::Positioned;
use async_graphql_parser::types::{
    ExecutableDocument, Field, FragmentDefinition, OperationDefinition, OperationType, Selection,
    SelectionSet,
};
use serde_json::Value as Json;

use super::types::Types;

/// The largest page, which is also the default.
const PAGE: i64 = 100;

/// The complexity of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cost {
    pub(crate) score: u64,
    pub(crate) depth: u64,
}

/// Computes the complexity of an operation.
pub(crate) fn cost(
    types: &Types,
    document: &ExecutableDocument,
    operation: &OperationDefinition,
    variables: &Json,
) -> Cost {
    let root = match operation.ty {
        OperationType::Query => "Query",
        OperationType::Mutation => "Mutation",
        OperationType::Subscription => "Subscription",
    };
    let counter = Counter {
        types,
        fragments: &document.fragments,
        variables,
    };
    let cost = counter.selections(root, &[&operation.selection_set.node], 0);
    Cost {
        // GitLab reports whole numbers.
        score: cost.0 as u64,
        depth: cost.1,
    }
}

struct Counter<'a> {
    types: &'a Types,
    fragments: &'a HashMap<Name, Positioned<FragmentDefinition>>,
    variables: &'a Json,
}

/// A fragment that contains itself is rejected later; until then its recursion is limited to this depth.
const DEEPEST: u64 = 60;

impl Counter<'_> {
    /// Returns complexity and depth of the selections of an object. Fields with the same response name count once.
    fn selections(&self, object: &str, sets: &[&SelectionSet], level: u64) -> (f64, u64) {
        let mut fields: Vec<(&str, Vec<&Field>)> = Vec::new();
        for set in sets {
            self.collect(set, &mut fields, level);
        }
        let mut sum = 0.0;
        let mut depth = level;
        for (_, same) in fields {
            let (cost, below) = self.field(object, &same, level + 1);
            sum += cost;
            depth = depth.max(below);
        }
        (sum, depth)
    }

    fn collect<'s>(
        &'s self,
        set: &'s SelectionSet,
        fields: &mut Vec<(&'s str, Vec<&'s Field>)>,
        level: u64,
    ) {
        if level > DEEPEST {
            return;
        }
        for item in &set.items {
            match &item.node {
                Selection::Field(field) => {
                    let key = field.node.response_key().node.as_str();
                    match fields.iter_mut().find(|(name, _)| *name == key) {
                        Some((_, same)) => same.push(&field.node),
                        None => fields.push((key, vec![&field.node])),
                    }
                }
                Selection::InlineFragment(fragment) => {
                    self.collect(&fragment.node.selection_set.node, fields, level + 1);
                }
                Selection::FragmentSpread(spread) => {
                    if let Some(fragment) = self.fragments.get(&spread.node.fragment_name.node) {
                        self.collect(&fragment.node.selection_set.node, fields, level + 1);
                    }
                }
            }
        }
    }

    fn field(&self, object: &str, same: &[&Field], level: u64) -> (f64, u64) {
        let Some(field) = same.first() else {
            return (0.0, level);
        };
        let name = field.name.node.as_str();
        let Some(ty) = self.types.field(object, name) else {
            // `__typename`, or a field that validation will reject.
            return (1.0, level);
        };
        let sets: Vec<&SelectionSet> = same.iter().map(|field| &field.selection_set.node).collect();
        let (children, depth) = self.selections(&ty.of, &sets, level);
        let mut cost = children + 1.0 + self.extra(object, name, field);
        if ty.is_connection && !self.is_given(field, "iids") {
            // A percentage is inexact as a float; the error must not be rounded down.
            cost += cost * self.page_size(field) as f64 / PAGE as f64;
        }
        (cost.floor(), depth)
    }

    /// Returns the additional cost of a field.
    fn extra(&self, object: &str, field: &str, selected: &Field) -> f64 {
        let mut extra = 0.0;
        if uses_gitaly(object, field) {
            extra += 1.0;
        }
        if self.is_given(selected, "sort") {
            extra += 1.0;
        }
        if self.is_given(selected, "search") {
            extra += 5.0;
        }
        match (object, field) {
            ("Group", "projects") => extra += 10.0,
            ("Repository", "blobs") => extra += self.count(selected, "paths"),
            ("Repository", "branchNames") => extra += 169.0,
            ("Project", "pipelines") => {
                for argument in ["sha", "ref"] {
                    if self.is_given(selected, argument) {
                        extra += 2.0;
                    }
                }
            }
            _ => {}
        }
        extra
    }

    fn argument(&self, field: &Field, name: &str) -> Option<Json> {
        let value = &field.get_argument(name)?.node;
        let value = value.clone().into_const_with(|variable| {
            let value = self.variables.get(variable.as_str()).cloned();
            // Validation rejects other values later.
            Ok::<_, std::convert::Infallible>(
                async_graphql::Value::from_json(value.unwrap_or_default()).unwrap_or(Value::Null),
            )
        });
        let Ok(value) = value;
        value.into_json().ok().filter(|value| !value.is_null())
    }

    fn is_given(&self, field: &Field, name: &str) -> bool {
        self.argument(field, name).is_some()
    }

    fn count(&self, field: &Field, name: &str) -> f64 {
        match self.argument(field, name) {
            Some(Json::Array(values)) => values.len() as f64,
            Some(_) => 1.0,
            None => 0.0,
        }
    }

    fn page_size(&self, field: &Field) -> i64 {
        ["first", "last"]
            .into_iter()
            .filter_map(|name| self.argument(field, name)?.as_i64())
            .fold(PAGE, i64::min)
            .max(0)
    }
}

/// Returns whether a field calls the git service.
fn uses_gitaly(object: &str, field: &str) -> bool {
    matches!(
        (object, field),
        (
            "Repository",
            "rootRef" | "empty" | "exists" | "tree" | "blobs"
        ) | ("Tree", "lastCommit" | "trees" | "blobs" | "submodules")
            | ("MergeRequest", "diffHeadSha")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measure(query: &str, variables: &Json) -> Cost {
        let schema = async_graphql_parser::parse_schema(super::super::SDL).unwrap();
        let types = Types::new(&schema);
        let document = async_graphql_parser::parse_query(query).unwrap();
        let operation = document.operations.iter().next().unwrap().1.node.clone();
        cost(&types, &document, &operation, variables)
    }

    #[test]
    fn allows_page_of_projects_with_one_file_each() {
        let cost = measure(
            r#"query($path: ID!, $first: Int) { group(fullPath: $path) {
                projects(sort: ACTIVITY_DESC, first: $first) {
                    nodes {
                        id fullPath path archived updatedAt lastActivityAt
                        repository { rootRef blobs(paths: [".SRCINFO"]) {
                            nodes { path oid rawTextBlob }
                        } }
                    }
                }
            } }"#,
            &serde_json::json!({ "first": 100 }),
        );
        // blobs: (4 below + itself + git + one path) doubled = 14; repository: 14 + rootRef 2 +
        // itself = 17; nodes: 6 + 17 + 1 = 24; projects: (24 + itself + sort + 10) doubled = 72.
        assert_eq!(cost.score, 73);
        assert_eq!(cost.depth, 7);
    }

    #[test]
    fn smaller_pages_cost_less() {
        let of = |first: i64| {
            let query = "query($n: Int) { group(fullPath: \"a\") { projects(first: $n) { nodes { id } } } }";
            measure(query, &serde_json::json!({ "n": first })).score
        };
        // (2 + itself + 10) = 13
        assert_eq!([of(0), of(50), of(100), of(1_000)], [14, 20, 27, 27]);
    }

    #[test]
    fn charges_single_merge_request_without_page_factor() {
        let one = measure(
            r#"{ project(fullPath: "a") { mergeRequests(iids: ["1"]) { nodes { iid } } } }"#,
            &Json::Null,
        );
        assert_eq!(one.score, 4);
    }

    #[test]
    fn charges_fragments_where_spread_and_fields_once() {
        let cost = measure(
            "{ project(fullPath: \"a\") { ...p id } } fragment p on Project { id name }",
            &Json::Null,
        );
        assert_eq!(cost, Cost { score: 3, depth: 2 });
    }
}
