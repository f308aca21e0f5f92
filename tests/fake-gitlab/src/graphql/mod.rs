//! The GraphQL API.

mod complexity;
mod connection;
mod endpoint;
mod errors;
mod nodes;
mod prepare;
mod schema;
mod types;

pub(crate) use endpoint::{ComplexityLimits, endpoint, operation_names};
pub(crate) use schema::Schema;

/// The schema that is served.
const SDL: &str = include_str!("../../../../graphql/schema.graphql");
