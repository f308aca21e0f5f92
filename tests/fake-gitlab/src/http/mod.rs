//! The HTTP server: connections, middleware and routes.

mod connection;
pub(crate) mod pipeline;
mod routes;

pub(crate) use connection::serve;
