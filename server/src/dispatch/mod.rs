//! Brings ready builds to those who build them: workers that wait, and a GitLab. Nothing polls for
//! builds: a transition says that one became ready.

mod choose;
mod claims;
mod fetched;
mod leases;
mod pair;
pub mod pipelines;

pub use claims::ClaimDesk;
pub use fetched::FetchedProtocols;
pub use leases::LeaseClock;
