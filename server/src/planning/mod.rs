//! What plans share: the queue for processors, and sonames.

pub mod known_sonames;
pub mod queue;
