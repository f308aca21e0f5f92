//! What plans share: the queue in which they wait for a processor, and who links which library.

pub mod known_sonames;
pub mod queue;
