//! Renderers of plans for humans: as text and as a graph.

mod dot;
mod text;

pub use dot::dot;
pub use text::text;
