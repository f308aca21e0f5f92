//! A worker against a server that misbehaves.

mod stories;
mod support;
mod tokens;
