//! Stories of a worker and a server that misbehaves.

mod stories;
mod support;
mod tokens;
