//! The log of a build: where it is written, and which of its lines explain a failure.

mod cause;
mod caused_by;
mod consequence;
mod errors;
mod evidence;
mod go_test;
mod headings;
mod lines;
mod sink;
mod text;
mod tool;

pub(crate) use errors::ErrorLines;
pub use headings::HEADING;
pub(crate) use headings::{Headings, Mark, Piece};
pub(crate) use lines::Lines;
pub use sink::LogSink;
