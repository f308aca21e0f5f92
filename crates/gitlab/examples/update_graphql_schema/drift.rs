//! Compares the used part of a schema with the schema of a GitLab instance.
//!
//! Only changed definitions are rewritten, so that the file keeps its order and comments.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use apollo_compiler::Node;
use apollo_compiler::ast::{
    Definition, Document, FieldDefinition, InputValueDefinition, Type, Value,
};
use serde::Deserialize;

/// The schema of a GitLab instance.
pub(crate) struct GitlabSchema(BTreeMap<String, SchemaType>);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SchemaType {
    name: String,
    #[serde(default)]
    fields: Option<Vec<SchemaField>>,
    #[serde(default)]
    input_fields: Option<Vec<SchemaInput>>,
    #[serde(default)]
    enum_values: Option<Vec<Named>>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SchemaField {
    name: String,
    is_deprecated: bool,
    args: Vec<SchemaInput>,
    r#type: TypeRef,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SchemaInput {
    name: String,
    default_value: Option<String>,
    r#type: TypeRef,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TypeRef {
    kind: String,
    name: Option<String>,
    of_type: Option<Box<TypeRef>>,
}

impl GitlabSchema {
    /// Reads the response to the introspection query.
    pub(crate) fn read(response: serde_json::Value) -> anyhow::Result<Self> {
        #[derive(Deserialize)]
        struct Introspection {
            data: Data,
        }
        #[derive(Deserialize)]
        struct Data {
            __schema: Schema,
        }
        #[derive(Deserialize)]
        struct Schema {
            types: Vec<SchemaType>,
        }
        let response: Introspection = serde_json::from_value(response)?;
        let types = response.data.__schema.types.into_iter();
        Ok(Self(
            types.map(|found| (found.name.clone(), found)).collect(),
        ))
    }
}

impl TypeRef {
    fn to_type(&self) -> anyhow::Result<Type> {
        let inner = || {
            let inner = self.of_type.as_deref();
            inner.ok_or_else(|| anyhow::anyhow!("a type reference is nested too deeply"))
        };
        Ok(match self.kind.as_str() {
            "NON_NULL" => inner()?.to_type()?.non_null(),
            "LIST" => inner()?.to_type()?.list(),
            _ => {
                let name = self.name.as_deref().unwrap_or_default();
                Type::Named(apollo_compiler::Name::new(name)?)
            }
        })
    }
}

/// The differences.
#[derive(Default)]
pub(crate) struct Drift {
    /// Used definitions that GitLab no longer has.
    pub(crate) missing: Vec<String>,
    /// Definitions that differ.
    pub(crate) changed: Vec<String>,
    /// The updated text of our schema.
    pub(crate) text: String,
}

/// Compares our part of a schema with GitLab's.
pub(crate) fn compare(ours: &str, theirs: &GitlabSchema) -> anyhow::Result<Drift> {
    let document = Document::parse(ours, "schema.graphql")
        .map_err(|errors| anyhow::anyhow!("{}", errors.errors))?;
    let mut drift = Drift::default();
    let mut edits: Vec<(Range<usize>, String)> = Vec::new();
    for definition in &document.definitions {
        let Some(name) = definition.name().map(ToString::to_string) else {
            continue;
        };
        // Directives are not part of the comparison.
        if matches!(definition, Definition::DirectiveDefinition(_)) {
            continue;
        }
        let Some(there) = theirs.0.get(&name) else {
            drift.missing.push(format!("type {name}"));
            continue;
        };
        match definition {
            Definition::ObjectTypeDefinition(object) => {
                for field in &object.fields {
                    edits.extend(drift.field(&name, field, there)?);
                }
            }
            Definition::InputObjectTypeDefinition(input) => {
                let theirs = there.input_fields.as_deref().unwrap_or_default();
                for field in &input.fields {
                    let new = drift.input(&name, field, theirs)?;
                    edits.extend(new.and_then(|new| edit(field, new.to_string())));
                }
            }
            Definition::EnumTypeDefinition(values) => {
                let ours: BTreeSet<&str> = values.values.iter().map(|v| v.value.as_str()).collect();
                let theirs = there.enum_values.as_deref().unwrap_or_default();
                let theirs: BTreeSet<&str> = theirs.iter().map(|v| v.name.as_str()).collect();
                let missing = ours.difference(&theirs);
                drift
                    .missing
                    .extend(missing.map(|value| format!("{name}.{value}")));
                let new: Vec<_> = theirs.difference(&ours).copied().collect();
                if let (Some(last), false) = (values.values.last(), new.is_empty()) {
                    let added = new.iter().map(|value| format!("{name}.{value} is new"));
                    drift.changed.extend(added);
                    edits.extend(edit(last, format!("{} {}", last.value, new.join(" "))));
                }
            }
            _ => {}
        }
    }
    edits.sort_by_key(|(range, _)| std::cmp::Reverse(range.start));
    ours.clone_into(&mut drift.text);
    for (range, new) in edits {
        drift.text.replace_range(range, &new);
    }
    Ok(drift)
}

impl Drift {
    fn field(
        &mut self,
        type_name: &str,
        ours: &Node<FieldDefinition>,
        there: &SchemaType,
    ) -> anyhow::Result<Option<(Range<usize>, String)>> {
        let path = format!("{type_name}.{}", ours.name);
        let fields = there.fields.as_deref().unwrap_or_default();
        let Some(theirs) = fields.iter().find(|field| field.name == ours.name.as_str()) else {
            self.missing.push(format!("field {path}"));
            return Ok(None);
        };
        if theirs.is_deprecated {
            self.changed.push(format!("{path} is deprecated"));
        }
        let mut new = FieldDefinition::clone(ours);
        let mut is_changed = false;
        let ty = theirs.r#type.to_type()?;
        if ty != ours.ty {
            self.changed
                .push(format!("{path} changed from {} to {ty}", ours.ty));
            new.ty = ty;
            is_changed = true;
        }
        for argument in &mut new.arguments {
            if let Some(changed) = self.input(&path, argument, &theirs.args)? {
                *argument = Node::new(changed);
                is_changed = true;
            }
        }
        Ok(is_changed.then(|| edit(ours, new.to_string())).flatten())
    }

    /// Compares an argument or input field, and returns the new definition if it differs.
    fn input(
        &mut self,
        of: &str,
        ours: &Node<InputValueDefinition>,
        theirs: &[SchemaInput],
    ) -> anyhow::Result<Option<InputValueDefinition>> {
        let path = format!("{of}({})", ours.name);
        let Some(there) = theirs.iter().find(|input| input.name == ours.name.as_str()) else {
            self.missing.push(format!("argument {path}"));
            return Ok(None);
        };
        let ty = there.r#type.to_type()?;
        let default = ours.default_value.as_deref().map(Value::to_string);
        let says = |default: &Option<String>| default.clone().filter(|text| text != "null");
        if ty == *ours.ty && says(&default) == says(&there.default_value) {
            return Ok(None);
        }
        self.changed.push(format!(
            "{path}, type or default, changed from {} to {ty}",
            ours.ty
        ));
        let mut new = InputValueDefinition::clone(ours);
        new.ty = Node::new(ty);
        if there.default_value.is_none() {
            new.default_value = None;
        }
        Ok(Some(new))
    }
}

fn edit<T>(node: &Node<T>, new: String) -> Option<(Range<usize>, String)> {
    let span = node.location()?;
    Some((span.offset()..span.end_offset(), new))
}
