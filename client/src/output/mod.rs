//! Everything that is printed goes through here: it adapts to terminals and pipes, and lets no
//! control character of a package, a log or a server through.

mod clean;
mod color;
mod errors;
mod results;
pub(crate) mod style;
mod table;
pub(crate) mod time;

pub(crate) use clean::{LogCleaner, clean};
pub(crate) use color::ColorChoice;
pub use errors::report_error;
pub(crate) use errors::{report, split_hint};
pub(crate) use results::Output;
pub(crate) use table::{Cell, Table};
