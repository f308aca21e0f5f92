//! The server: connections, what every request goes through, and where requests go.

mod connection;
pub(crate) mod pipeline;
mod routes;

pub(crate) use connection::serve;
