//! Plans for people: as text and as a graph to draw.

mod dot;
mod text;

pub use dot::dot;
pub use text::text;
