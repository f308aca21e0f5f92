//! Renderers of plans for humans: as text and as a graph.

mod builds;
mod dot;
mod extent;
mod text;

pub use dot::dot;
pub use extent::Extent;
pub use text::{text, text_within};
