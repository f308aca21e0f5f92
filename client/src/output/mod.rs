//! All output of the client: adapts to terminals and pipes, and removes the control characters of
//! packages, logs and servers.

mod clean;
mod color;
mod errors;
mod eta;
mod hints;
mod json;
mod results;
mod screen;
pub(crate) mod style;
mod table;
pub(crate) mod time;

pub(crate) use clean::{LogCleaner, clean};
pub(crate) use color::ColorChoice;
pub(crate) use errors::report;
pub use errors::report_error;
pub(crate) use eta::Eta;
pub(crate) use hints::hint_line;
pub(crate) use json::{Filter, Projection, Selection};
pub(crate) use results::Output;
pub(crate) use screen::Screen;
pub(crate) use table::{Cell, Table};
