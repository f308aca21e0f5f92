//! The executable schema, built from the schema's text: every field is resolved by the node of its object.

use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use async_graphql::Value;
use async_graphql::dynamic::{
    self, Enum, EnumItem, Field, FieldFuture, FieldValue, InputObject, InputValue, Object,
    ResolverContext, Scalar, TypeRef,
};
use async_graphql_parser::types::{
    BaseType, InputValueDefinition, ServiceDocument, Type, TypeDefinition, TypeKind,
    TypeSystemDefinition,
};

use super::SDL;
use super::nodes::{Args, Node, NodeValue, RequestContext, mutation};
use super::types::Types;

/// The schema, with an index of its types.
pub(crate) struct Schema {
    pub(crate) executable: dynamic::Schema,
    pub(crate) types: Types,
}

impl Schema {
    pub(crate) fn new() -> Result<Self> {
        let document =
            async_graphql_parser::parse_schema(SDL).context("cannot parse the schema")?;
        Ok(Self {
            types: Types::new(&document),
            executable: executable(&document)?,
        })
    }
}

fn executable(document: &ServiceDocument) -> Result<dynamic::Schema> {
    let mut builder = dynamic::Schema::build("Query", Some("Mutation"), None)
        .limit_recursive_depth(64)
        .disable_suggestions();
    for definition in &document.definitions {
        let TypeSystemDefinition::Type(ty) = definition else {
            continue;
        };
        let ty = &ty.node;
        let name = ty.name.node.as_str();
        builder = match &ty.kind {
            TypeKind::Scalar => builder.register(Scalar::new(name)),
            TypeKind::Enum(values) => {
                let items = values.values.iter();
                let items = items.map(|item| EnumItem::new(item.node.value.node.as_str()));
                builder.register(Enum::new(name).items(items))
            }
            TypeKind::Object(_) => builder.register(object(ty)),
            TypeKind::InputObject(input) => {
                let fields = input.fields.iter().map(|field| argument(&field.node));
                let input = fields.fold(InputObject::new(name), InputObject::field);
                builder.register(input)
            }
            TypeKind::Interface(_) | TypeKind::Union(_) => {
                bail!("{name}: interfaces and unions are not expected")
            }
        };
    }
    builder.finish().context("the schema is inconsistent")
}

fn object(ty: &TypeDefinition) -> Object {
    let name = ty.name.node.as_str();
    let mut object = Object::new(name);
    let TypeKind::Object(definition) = &ty.kind else {
        return object;
    };
    let is_mutation = name == "Mutation";
    for field in &definition.fields {
        let field = &field.node;
        let nullable = field.ty.node.nullable;
        let field_name: Arc<str> = field.name.node.as_str().into();
        let built = Field::new(
            field.name.node.as_str(),
            type_ref(&field.ty.node),
            move |context| {
                resolve_now(
                    &context,
                    nullable,
                    resolve(&field_name, is_mutation, &context),
                )
            },
        );
        let arguments = field.arguments.iter().map(|one| argument(&one.node));
        object = object.field(arguments.fold(built, Field::argument));
    }
    object
}

/// Resolves a field synchronously. A nullable one that fails is null and leaves an error.
fn resolve_now<'a>(
    context: &ResolverContext<'a>,
    nullable: bool,
    outcome: async_graphql::Result<Option<FieldValue<'a>>>,
) -> FieldFuture<'a> {
    match outcome {
        Ok(value) => FieldFuture::Value(value),
        Err(error) if nullable => {
            let error = error.into_server_error(context.item.pos);
            context.add_error(context.set_error_path(error));
            FieldFuture::Value(None)
        }
        Err(error) => FieldFuture::new(async move { Err::<Option<FieldValue<'_>>, _>(error) }),
    }
}

fn resolve<'a>(
    field: &str,
    is_mutation: bool,
    context: &ResolverContext<'a>,
) -> async_graphql::Result<Option<FieldValue<'a>>> {
    let request = context.data::<RequestContext>()?;
    let args = Args::new(&context.args);
    let resolved = if is_mutation {
        mutation::mutate(field, &args, request)
    } else {
        match context.parent_value.downcast_ref::<Node>() {
            Some(node) => node.resolve(field, &args, request),
            None => Node::Query.resolve(field, &args, request),
        }
    };
    Ok(match resolved? {
        NodeValue::Null | NodeValue::Value(Value::Null) => None,
        NodeValue::Value(value) => Some(FieldValue::value(value)),
        NodeValue::Node(node) => Some(FieldValue::owned_any(node)),
        NodeValue::Nodes(nodes) => {
            let values = nodes.into_iter().map(FieldValue::owned_any);
            Some(FieldValue::list(values))
        }
    })
}

fn argument(definition: &InputValueDefinition) -> InputValue {
    let value = InputValue::new(definition.name.node.as_str(), type_ref(&definition.ty.node));
    match &definition.default_value {
        Some(default) => value.default_value(default.node.clone()),
        None => value,
    }
}

fn type_ref(ty: &Type) -> TypeRef {
    let inner = match &ty.base {
        BaseType::Named(name) => TypeRef::named(name.as_str()),
        BaseType::List(inner) => TypeRef::List(Box::new(type_ref(inner))),
    };
    if ty.nullable {
        inner
    } else {
        TypeRef::NonNull(Box::new(inner))
    }
}
