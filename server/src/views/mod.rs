//! Views of pages. A view is built from the API's types and the current time, holds what its template
//! prints and decides nothing else. Labels, icons and tones of states are defined here, so that domain
//! types know nothing about colours.

pub(crate) mod assets;
pub(crate) mod build;
pub(crate) mod build_table;
mod changes;
pub(crate) mod error;
pub(crate) mod filter;
pub(crate) mod home;
mod layout;
pub(crate) mod links;
pub(crate) mod listing;
pub(crate) mod log;
pub(crate) mod namespace;
mod notes;
mod progress;
mod reason;
mod size;
pub(crate) mod sources;
mod status;
mod time;
pub(crate) mod workers;

/// Marks templates that other templates include without escaping.
macro_rules! html_part {
    ($($part:ty),+) => {$(
        // The part's own template has escaped its content.
        impl askama::filters::HtmlSafe for $part {}
    )+};
}
pub(crate) use html_part;
