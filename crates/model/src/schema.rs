//! The schemas of identifiers in the OpenAPI document, with the pattern and an example of each, and of states and
//! kinds. Those of bodies are derived.

/// Implements the schema of an identifier, state or kind, in builds with the feature `openapi`.
macro_rules! schema {
    ($name:ty, $schema:expr) => {
        #[cfg(feature = "openapi")]
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                $schema
            }
        }

        #[cfg(feature = "openapi")]
        impl utoipa::ToSchema for $name {}
    };
}
pub(crate) use schema;

#[cfg(feature = "openapi")]
pub(crate) use kinds::{choice, number, text, uuid};

#[cfg(feature = "openapi")]
mod kinds {
    use utoipa::openapi::schema::{
        KnownFormat, ObjectBuilder, Schema, SchemaFormat, SchemaType, Type,
    };
    use utoipa::openapi::{Object, RefOr};

    fn described(lines: &[&str], kind: Type) -> ObjectBuilder {
        let lines: Vec<&str> = lines.iter().map(|line| line.trim()).collect();
        ObjectBuilder::new()
            .schema_type(SchemaType::Type(kind))
            .description(Some(lines.join(" ")))
    }

    fn finish(object: impl Into<Object>) -> RefOr<Schema> {
        RefOr::T(Schema::Object(object.into()))
    }

    /// Returns the schema of a text that matches a pattern.
    pub(crate) fn text(lines: &[&str], pattern: &str, example: &str) -> RefOr<Schema> {
        let text = described(lines, Type::String).pattern(Some(pattern));
        finish(text.examples([example]))
    }

    /// Returns the schema of a text that is one of several. The derived one has the names of variants.
    pub(crate) fn choice(
        lines: &[&str],
        values: impl Iterator<Item = &'static str>,
    ) -> RefOr<Schema> {
        let text = described(lines, Type::String);
        finish(text.enum_values(Some(values)))
    }

    /// Returns the schema of a number that the database or GitLab assigns.
    pub(crate) fn number(lines: &[&str]) -> RefOr<Schema> {
        let number = described(lines, Type::Integer)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)));
        finish(number.examples([42]))
    }

    /// Returns the schema of a UUID.
    pub(crate) fn uuid(lines: &[&str]) -> RefOr<Schema> {
        let uuid =
            described(lines, Type::String).format(Some(SchemaFormat::Custom("uuid".to_owned())));
        finish(uuid.examples(["01939c5e-7b1a-7c3e-9d2f-4b5a6c7d8e9f"]))
    }
}
