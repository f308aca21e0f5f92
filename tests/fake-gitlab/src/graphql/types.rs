//! The types of the schema, by name.

use std::collections::HashMap;

use async_graphql_parser::types::{
    BaseType, ServiceDocument, Type, TypeKind, TypeSystemDefinition,
};

/// A field of an object.
#[derive(Clone, Debug)]
pub(crate) struct FieldType {
    /// The innermost type.
    pub(crate) of: String,
    pub(crate) is_connection: bool,
}

/// The fields of all objects.
#[derive(Debug, Default)]
pub(crate) struct Types {
    objects: HashMap<String, HashMap<String, FieldType>>,
}

impl Types {
    pub(crate) fn new(document: &ServiceDocument) -> Self {
        let mut objects = HashMap::new();
        for definition in &document.definitions {
            if let TypeSystemDefinition::Type(ty) = definition
                && let TypeKind::Object(object) = &ty.node.kind
            {
                let fields = object.fields.iter().map(|field| {
                    let of = innermost(&field.node.ty.node).to_owned();
                    let is_connection = of.ends_with("Connection");
                    let name = field.node.name.node.to_string();
                    (name, FieldType { of, is_connection })
                });
                objects.insert(ty.node.name.node.to_string(), fields.collect());
            }
        }
        Self { objects }
    }

    pub(crate) fn field(&self, object: &str, field: &str) -> Option<&FieldType> {
        self.objects.get(object)?.get(field)
    }
}

fn innermost(ty: &Type) -> &str {
    match &ty.base {
        BaseType::Named(name) => name,
        BaseType::List(inner) => innermost(inner),
    }
}
