//! Stories of a worker and a server that misbehaves.

mod fake_server;
mod logs;
mod stories;
mod support;
