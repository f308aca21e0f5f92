//! What pages look like. A view is made from the wire types of the API and the present time, holds
//! what its template prints and decides nothing else. Labels, icons and tones of states live here,
//! so that no domain type knows about colours.

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

/// What a template prints without escaping: parts that are templates themselves.
macro_rules! html_part {
    ($($part:ty),+) => {$(
        // Its own template has escaped everything already.
        impl askama::filters::HtmlSafe for $part {}
    )+};
}
pub(crate) use html_part;
