//! Brings ready builds and waiting workers together. Nothing here polls: claims wait until a
//! transition says that a build became ready.

mod choose;
mod claims;
mod leases;
mod pair;

pub use claims::ClaimDesk;
pub use leases::LeaseClock;
